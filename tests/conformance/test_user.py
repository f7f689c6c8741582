"""--user: numbers and names, looked up in the image's own files."""
import pytest

IMAGE = "busybox:1"


def identity(docker, *options):
    out = docker.ok("run", "--rm", *options, IMAGE, "sh", "-c", "id -u; id -g; id -G; echo $HOME").splitlines()
    return out[0], out[1], set(out[2].split()), out[3]


@pytest.mark.parametrize("user, expected", [
    ("root", ("0", "0", {"0"}, "/root")),
    ("app", ("1000", "1000", {"1000", "2000"}, "/home/app")),
    ("1000", ("1000", "1000", {"1000", "2000"}, "/home/app")),
    ("app:extra", ("1000", "2000", {"2000"}, "/home/app")),
    ("app:0", ("1000", "0", {"0"}, "/home/app")),
    ("nobody", ("65534", "65534", {"65534", "2000"}, "/")),
    ("4242", ("4242", "0", {"0"}, "/")),
    ("4242:4343", ("4242", "4343", {"4343"}, "/")),
    (":2000", ("0", "2000", {"2000"}, "/root")),
])
def test_user(docker, user, expected):
    assert identity(docker, "--user", user) == expected


def test_group_add(docker):
    assert identity(docker, "--user", "app:app", "--group-add", "extra", "--group-add", "777")[2] == {"1000", "2000", "777"}


@pytest.mark.parametrize("user", ["4294967296", "-1", "app:nosuch", "a:b:c"])
def test_bad_users(docker, user):
    assert docker("run", "--rm", f"--user={user}", IMAGE, "true").code in (125, 126)


def test_a_plain_user_has_no_effective_capabilities(docker):
    out = docker.ok("run", "--rm", "-u", "app", IMAGE, "grep", "-E", "Cap(Eff|Prm|Amb)", "/proc/self/status")
    assert set(out.split()[1::2]) == {"0000000000000000"}


def test_a_plain_user_cannot_write_roots_files(docker):
    assert docker("run", "--rm", "-u", "app", IMAGE, "touch", "/etc/passwd").code == 1
    assert docker("run", "--rm", "-u", "app", IMAGE, "touch", "/home/app/x").code == 0


def test_workdir_made_for_a_user(docker):
    assert docker.ok("run", "--rm", "-u", "app", "-w", "/new/dir", IMAGE, "pwd") == "/new/dir"


def test_stdio_of_a_plain_user_can_be_reopened(docker):
    assert docker.ok("run", "--rm", "-u", "app", IMAGE, "sh", "-c", "echo again >/dev/stdout") == "again"


def test_terminal_belongs_to_the_user(docker):
    with docker.terminal("run", "--rm", "-it", "-u", "app", IMAGE, "sh", "-c", "echo again >$(tty)") as it:
        it.expect("again")
