"""Known ways out of other runtimes, tried from inside and from hostile images."""
import os
import subprocess

import pytest

from support import archives
from support.client import wait_until

IMAGE = "busybox:1"
BASE = archives.busybox_layer()


@pytest.fixture
def hostile(docker):
    """Loads an image of the base and these entries as hostile:1."""

    def make(*layers, **changes):
        docker.ok("load", input=archives.docker_archive("hostile:1", [BASE, *map(archives.tar, layers)], archives.config([BASE, *map(archives.tar, layers)], **changes)))
        return "hostile:1"

    yield make
    docker("rmi", "-f", "hostile:1")


def test_proc_self_exe_of_the_runtime_cannot_be_opened_for_writing(docker, container):
    """CVE-2019-5736: a container replaces the runtime's binary through /proc/self/exe while it is being exec'ed into."""
    docker.ok("exec", "-d", container, "sh", "-c", "for i in $(seq 1 2000); do for p in /proc/[0-9]*; do [ ${p#/proc/} -gt 2 ] && echo x 2>/dev/null >$p/exe && touch /won; done; done")
    for _ in range(20):
        docker("exec", container, "true")
    assert docker("exec", container, "test", "-e", "/won").code == 1


@pytest.mark.parametrize("folder", ["/proc/self/fd/7", "/proc/self/fd/8", "/proc/self/fd/9", "/proc/1/cwd", "/proc/self/cwd/../.."])
def test_working_folder_through_a_leaked_descriptor(docker, folder):
    """CVE-2024-21626: a working folder of /proc/self/fd/N that is a folder of the host."""
    result = docker("run", "--rm", "-w", folder, IMAGE, "sh", "-c", "pwd -P; ls /proc/self/cwd/")
    assert "vmlinuz" not in result.out and "lost+found" not in result.out and ".." not in result.out, result


def test_no_descriptor_leaks_into_the_container(docker, container):
    for listing in (docker.ok("run", "--rm", IMAGE, "ls", "-l", "/proc/self/fd"), docker.ok("exec", container, "ls", "-l", "/proc/self/fd")):
        numbers = {line.split(" -> ")[0].split()[-1] for line in listing.splitlines() if " -> " in line}
        assert numbers <= {"0", "1", "2", "3"}, listing  # 3 is the folder that ls reads


def test_no_descriptor_of_pid_1_leads_out(docker, container):
    listing = docker.ok("exec", container, "ls", "-l", "/proc/1/fd")
    assert "/tmp/" not in listing and ".sock" not in listing, listing


@pytest.mark.parametrize("link", ["dev", "proc", "sys", "etc", "tmp", "run", "var"])
def test_image_whose_folder_is_a_link_to_the_host(docker, hostile, link, tmp_path):
    """CVE-2025-31133 and its siblings: mounts of the runtime land where a link of the image points."""
    image = hostile([(link, archives.symlink("/" + "../" * 20 + str(tmp_path)))]) if link != "tmp" else hostile([("x", archives.symlink(str(tmp_path)))])
    docker("run", "--rm", "--network", "none", "-v", "/etc/hostname:/var/mounted:ro", image, "/bin/true")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("target", ["/link/inside", "/link", "/a/../link/x"])
def test_mount_target_through_a_link(docker, hostile, target, tmp_path):
    image = hostile([("link", archives.symlink("/" + "../" * 20 + str(tmp_path)))])
    docker("run", "--rm", "--network", "none", "-v", f"/etc/hostname:{target}:ro", "--tmpfs", "/link/t", image, "/bin/true")
    assert os.listdir(tmp_path) == []


def test_dev_null_of_the_image_is_not_used_to_mask(docker, hostile):
    """CVE-2025-31133: masked paths are bind mounts of /dev/null; the image's own one may be a link to /proc/sys/..."""
    image = hostile([("dev", archives.folder()), ("dev/null", archives.symlink("/proc/sys/kernel/core_pattern"))])
    result = docker("run", "--rm", "--network", "none", image, "sh", "-c", "echo '|/bin/evil' >/proc/sys/kernel/core_pattern; cat /proc/kcore | head -c 10 | wc -c")
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        assert "evil" not in file.read()
    assert result.out.strip() in ("0", "")


def test_dev_console_of_the_image_is_not_followed(docker, hostile, tmp_path):
    """CVE-2025-52565: /dev/console is a bind mount on what the image may have made a link."""
    image = hostile([("dev", archives.folder()), ("dev/console", archives.symlink("/proc/sysrq-trigger"))])
    with docker.terminal("run", "--rm", "-it", "--network", "none", image, "sh", "-c", "echo started; ls -l /dev/console") as it:
        it.expect("started")


def test_volume_source_swapped_for_a_link_inside_is_read_inside(docker, tmp_path):
    """A later container's mount target in a shared folder may be a link that an earlier one made."""
    docker.ok("run", "--rm", "-v", f"{tmp_path}:/m", IMAGE, "sh", "-c", "ln -s /etc /m/link")
    docker("run", "--rm", "-v", f"{tmp_path}:/m", "-v", "/etc/hostname:/m/link/planted:ro", IMAGE, "true")
    assert not os.path.exists("/etc/planted")


def test_cgroup_release_agent(docker):
    """CVE-2022-0492: a container mounts cgroup v1 and names a release agent of the host."""
    script = "mkdir /tmp/c; unshare -UrmC mount -t cgroup -o memory cgroup /tmp/c && echo mounted; mount -t cgroup -o memory cgroup /tmp/c && echo mounted"
    assert "mounted" not in docker("run", "--rm", IMAGE, "sh", "-c", script).out
    assert docker("run", "--rm", IMAGE, "sh", "-c", "echo /x >/sys/fs/cgroup/memory/release_agent").code != 0


@pytest.mark.parametrize("path", ["/proc/1/root/", "/proc/self/root/../../", "/proc/1/cwd/../../../"])
def test_proc_paths_stay_inside(docker, path):
    assert docker.ok("run", "--rm", IMAGE, "ls", path).split() == docker.ok("run", "--rm", IMAGE, "ls", "/").split()


def test_exec_after_the_root_was_littered(docker, hostile):
    """exec looks nothing up by path in the container that the container could have replaced by a link to the host."""
    name = docker.ok("run", "-d", "--network", "none", hostile(), "sleep", "1000")
    docker.ok("exec", name, "sh", "-c", "/bin/busybox ln -s /etc/passwd /etc-link; /bin/busybox rm -rf /etc 2>/dev/null; /bin/busybox ln -s / /etc; true")
    docker("exec", "-u", "nobody", name, "/bin/true")
    assert docker.ok("exec", name, "/bin/echo", "fine") == "fine"


def test_two_containers_do_not_see_each_other(docker, container):
    other = docker.ok("run", "-d", IMAGE, "sleep", "2345")
    assert "2345" not in docker.ok("exec", container, "ps")
    assert docker("exec", container, "kill", "-0", docker.format(other, "{{.State.Pid}}")).code == 1


def test_fork_bomb_ends_with_the_container(docker):
    name = docker.ok("run", "-d", "--pids-limit", "50", IMAGE, "sh", "-c", "b() { sleep 4321 & b | b & }; b & exec sleep 4321")
    wait_until(lambda: docker.ok("top", name).count("4321") > 5)
    docker.ok("rm", "-f", name)
    wait_until(lambda: subprocess.run(["pgrep", "-f", "sleep 4321"], stdout=subprocess.DEVNULL).returncode == 1)


def test_the_engines_socket_is_for_root_alone(engine):
    status = os.stat(engine.socket)
    assert oct(status.st_mode)[-1] == "0" and status.st_uid == 0


@pytest.mark.bulkhead_only
def test_the_engines_folders_are_closed_to_others(engine, docker, container):
    for folder in (engine.root, engine.run_root):
        assert oct(folder.stat().st_mode)[-1] in "01", folder
    pid = docker.format(container, "{{.State.Pid}}")
    assert subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "ls", f"/proc/{pid}/root/"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0
