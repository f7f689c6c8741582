"""Bind mounts, tmpfs, read-only roots, and what is mounted by default."""
import os
import re
import subprocess

import pytest

from support.client import wait_until

IMAGE = "busybox:1"


def sh(docker, script, *options):
    return docker.ok("run", "--rm", *options, IMAGE, "sh", "-c", script)


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("from the host\n")
    return tmp_path


def test_bind_both_ways(docker, folder):
    assert sh(docker, "cat /m/file; echo back >/m/new", "-v", f"{folder}:/m") == "from the host"
    assert (folder / "new").read_text() == "back\n"


@pytest.mark.parametrize("host", ["appends", "cuts"])
def test_an_open_log_that_the_host_changes(docker, folder, host):
    """What one side did to an open file the other takes into account: cache=none of a VM's shares (docs/hyperv-mounts.md)."""
    script = "exec >>/m/log; echo one; touch /m/ready; while [ ! -e /m/go ]; do sleep 0.05; done; echo two"
    name = docker.ok("run", "-d", "-v", f"{folder}:/m", IMAGE, "sh", "-c", script)
    wait_until((folder / "ready").exists)
    if host == "appends":
        with open(folder / "log", "a", encoding="ascii") as log:
            log.write("host\n")
    else:
        os.truncate(folder / "log", 0)
    (folder / "go").touch()
    assert docker.ok("wait", name) == "0"
    assert (folder / "log").read_text() == ("one\nhost\ntwo\n" if host == "appends" else "two\n")


def test_bind_read_only(docker, folder):
    assert "Read-only" in docker("run", "--rm", "-v", f"{folder}:/m:ro", IMAGE, "touch", "/m/x").err


def test_bind_of_one_file(docker, folder):
    assert sh(docker, "cat /etc/motd", "-v", f"{folder}/file:/etc/motd:ro") == "from the host"


def test_missing_source_of_v_is_made(docker, folder):
    sh(docker, "echo x >/m/y", "-v", f"{folder}/made/here:/m")
    assert (folder / "made/here/y").read_text() == "x\n"


def test_missing_source_of_mount_is_refused(docker, folder, api):
    docker.fails("run", "--rm", "--mount", f"type=bind,src={folder}/none,dst=/m", IMAGE, "true", code=125, match="bind source path does not exist")
    assert not (folder / "none").exists() and api.get("/containers/json?all=1").json() == []


def test_mount_syntax(docker, folder):
    assert sh(docker, "cat /m/file", "--mount", f"type=bind,src={folder},dst=/m,readonly") == "from the host"


def test_a_source_that_does_not_fit_is_named(docker, folder):
    result = docker("run", "--rm", "-v", f"{folder}:/etc/passwd", IMAGE, "true")
    assert result.code in (125, 127), result
    assert str(folder) in result.err and "/etc/passwd" in result.err and "/run/" not in result.err, result


def test_bind_over_a_symlink_of_the_image_stays_inside(docker, folder):
    sh(docker, "true", "-v", f"{folder}:/var/run/x")
    name = docker.ok("create", "-v", f"{folder}:/m/deep/path", IMAGE, "ls", "/m/deep/path")
    assert docker.ok("start", "-a", name) == "file"


def test_submounts_come_along(docker, folder):
    (folder / "sub").mkdir()
    os.system(f"mount -t tmpfs none {folder}/sub && touch {folder}/sub/deep")
    try:
        assert sh(docker, "ls /m/sub", "-v", f"{folder}:/m") == "deep"
    finally:
        os.system(f"umount {folder}/sub")


def test_same_target_twice(docker, folder):
    docker.fails("run", "--rm", "-v", f"{folder}:/m", "-v", "/tmp:/m", IMAGE, "true", code=125, match="Duplicate mount point: /m")


def test_tmpfs(docker):
    out = sh(docker, "grep ' /t ' /proc/mounts; stat -c %a /t; touch /t/x && echo writable", "--tmpfs", "/t:size=1m,mode=1700")
    assert re.search(r"tmpfs /t tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=1700", out) and out.endswith("1700\nwritable")


def test_tmpfs_executable_where_asked(docker):
    assert sh(docker, "cp /bin/busybox /t/true && /t/true && echo ran", "--tmpfs", "/t:exec") == "ran"


def test_read_only_root(docker):
    assert "Read-only file system" in docker("run", "--rm", "--read-only", IMAGE, "touch", "/x").err
    assert sh(docker, "touch /dev/shm/a /t/a /m/a && echo rest", "--read-only", "--tmpfs", "/t", "--tmpfs", "/m") == "rest"


def test_changes_stay_in_the_container(docker):
    sh(docker, "rm -rf /etc; echo changed >/new")
    assert sh(docker, "ls -d /new /etc/passwd 2>/dev/null || true") == "/etc/passwd"


def test_default_mounts(docker):
    mounts = {line.split()[1]: line.split()[2:4] for line in sh(docker, "cat /proc/mounts").splitlines()}
    assert mounts["/"][0] == "overlay" and mounts["/proc"][0] == "proc" and mounts["/dev"][0] == "tmpfs"
    assert mounts["/dev/pts"][0] == "devpts" and mounts["/dev/shm"][0] == "tmpfs" and mounts["/dev/mqueue"][0] == "mqueue"
    assert mounts["/sys"][0] == "sysfs" and mounts["/sys"][1].startswith("ro") and "nosuid" in mounts["/proc"][1]
    assert {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} <= set(mounts)


def test_default_devices(docker):
    names = set(sh(docker, "ls /dev").split())
    assert {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm", "fd", "stdin", "stdout", "stderr"} <= names | {"console"}
    assert not names & {"sda", "vda", "kvm", "mem", "kmsg", "loop0", "fuse"}
    assert sh(docker, "echo x >/dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; readlink /dev/fd").split() == ["4", "4", "/proc/self/fd"]


@pytest.mark.one_mode("process", reason="a device of the host is not the guest kernel's")
def test_device_option(docker):
    assert sh(docker, "head -c 3 /dev/mine | wc -c", "--device", "/dev/zero:/dev/mine:r") == "3"


def test_etc_files_can_be_written(docker):
    assert sh(docker, "echo 1.2.3.4 x >>/etc/hosts && tail -1 /etc/hosts") == "1.2.3.4 x"


def test_nothing_of_the_host_shows(docker):
    mounts = sh(docker, "cat /proc/self/mountinfo")
    assert "/oldroot" not in mounts and "pivot" not in mounts
    assert all(line.split()[4].split("/")[1] in ("", "proc", "dev", "sys", "etc") for line in mounts.splitlines())


@pytest.fixture
def shared(folder):
    """A mount of its own that is shared with nobody but who asks for it."""
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    subprocess.run(["mount", "--make-shared", folder], check=True)
    yield folder
    subprocess.run(["umount", "-R", folder], check=True)


@pytest.mark.one_mode("process", reason="mounts don't pass from one kernel to another: hyperv refuses, see below")
def test_shared_mount_goes_both_ways(docker, shared):
    name = docker.ok("run", "-d", "--privileged", "-v", f"{shared}:/x:rshared", IMAGE, "sleep", "1000")
    docker.ok("exec", name, "sh", "-c", "mkdir /x/in && mount -t tmpfs none /x/in && touch /x/in/f")
    assert (shared / "in/f").exists()
    (shared / "out").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", shared / "out"], check=True)
    (shared / "out/g").touch()
    assert docker.ok("exec", name, "ls", "/x/out") == "g"


@pytest.mark.one_mode("process", reason="mounts don't pass from one kernel to another: hyperv refuses, see below")
def test_slave_mount_only_hears(docker, shared):
    name = docker.ok("run", "-d", "--privileged", "-v", f"{shared}:/x:rslave", IMAGE, "sleep", "1000")
    docker.ok("exec", name, "sh", "-c", "mkdir /x/in && mount -t tmpfs none /x/in && touch /x/in/f")
    assert (shared / "in").exists() and not (shared / "in/f").exists()
    (shared / "out").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", shared / "out"], check=True)
    (shared / "out/g").touch()
    assert docker.ok("exec", name, "ls", "/x/out") == "g"


@pytest.mark.parametrize("option", ["shared", "rshared", "slave", "rslave"])
def test_no_propagation_from_a_private_mount(docker, shared, isolation, option):
    subprocess.run(["mount", "--make-private", shared], check=True)
    match = "it is not a shared (or slave )?mount" if isolation == "process" else f"'{option}' .*kernel of its own"
    docker.fails("run", "--rm", "-v", f"{shared}:/x:{option}", IMAGE, "true", code=125, match=match)


@pytest.mark.parametrize("options", [["-v", "{}:/proc"], ["--tmpfs", "/proc"]])
def test_nothing_but_a_procfs_on_proc(docker, folder, options):
    docker.fails("run", "--rm", *(option.format(folder) for option in options), IMAGE, "true", code=125, match="not of type proc")


def test_nothing_of_the_users_inside_proc(docker, folder):
    docker.fails("run", "--rm", "-v", f"{folder}:/proc/sys", IMAGE, "true", code=125, match="inside /proc")


@pytest.mark.one_mode("process", reason="a device of the host is not the guest kernel's")
def test_bind_of_a_device_over_a_device(docker):
    assert sh(docker, "stat -c %t:%T /dev/random", "-v", "/dev/urandom:/dev/random") == "1:9"


def test_bind_of_a_file_over_a_device(docker, folder):
    assert sh(docker, "cat /dev/null /proc/keys", "-v", f"{folder}/file:/dev/null") == "from the host"


def test_folder_of_an_anonymous_volume_is_made(docker):
    assert sh(docker, "touch /anon/deep/x && ls /anon/deep", "-v", "/anon/deep") == "x"


def test_folder_of_an_anonymous_volume_stays(docker):
    name = docker.ok("create", "-v", "/anon", IMAGE, "sh", "-c", "echo x >>/anon/log; wc -l </anon/log")
    assert [docker.ok("start", "-a", name) for _ in range(2)] == ["1", "2"]


@pytest.mark.bulkhead_only  # Docker's volume can be written there
def test_anonymous_volume_of_a_read_only_root_is_told(docker):
    result = docker("run", "--rm", "--read-only", "-v", "/anon", IMAGE, "touch", "/anon/x")
    assert "/anon can't be written" in result.err and "Read-only file system" in result.err, result


def test_missing_working_directory_of_a_read_only_root_is_made(docker):
    assert docker.ok("run", "--rm", "--read-only", "-w", "/new/deep", IMAGE, "pwd") == "/new/deep"


def test_dockerenv(docker):
    """Programs look for it to know that they are in a container."""
    assert sh(docker, "stat -c '%F %s' /.dockerenv", "--read-only") == "regular empty file 0"


def test_named_volume(docker):
    """Only bind mounts are asked for so far; a named volume must work or be refused, never be lost silently."""
    result = docker("run", "--rm", "-v", "named:/v", IMAGE, "touch", "/v/x")
    assert result.code == 0 or (result.code == 125 and "volume" in result.err), result


def test_many_layers_of_options_together(docker, folder):
    out = sh(docker, "id -u; pwd; cat /m/file; touch /t/x; touch /x 2>&1 | grep -c Read-only", "--read-only", "--tmpfs", "/t:mode=1777", "-u", "app", "-w", "/home/app", "-v",
             f"{folder}:/m:ro")
    assert out.splitlines() == ["1000", "/home/app", "from the host", "1"]
