"""--isolation: what Linux engines did not have so far."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from support.client import wait_until

IMAGE = "busybox:1"
pytestmark = pytest.mark.bulkhead_only


@pytest.mark.parametrize("value", ["default", "process", "Process", "PROCESS", "Default"])
def test_process_in_any_case(each_docker, value):
    assert each_docker.ok("run", "--rm", f"--isolation={value}", IMAGE, "echo", "in") == "in"


@pytest.mark.parametrize("options, mode", [([], "process"), (["--isolation=default"], "process"), (["--isolation=PrOcEsS"], "process"),
                                           (["--isolation=hyperv"], "hyperv"), (["--isolation=HyperV"], "hyperv")])
def test_inspect_shows_the_mode_in_force(docker, options, mode):
    name = docker.ok("create", *options, IMAGE, "true")
    assert docker.format(name, "{{.HostConfig.Isolation}}") == mode


def test_hyperv_has_a_kernel_of_its_own(each_docker):
    out = each_docker.ok("run", "--rm", "--isolation=hyperv", IMAGE, "sh", "-c", "uname -r; cat /proc/sys/kernel/random/boot_id").split()
    assert out[0] != os.uname().release
    assert out[1] != pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


@pytest.mark.parametrize("value", ["nonsense", "hyper-v", "process ", "vm"])
def test_anything_else_is_refused_and_the_three_are_listed(docker, api, value):
    answer = api.post("/containers/create", {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Isolation": value}})
    assert answer.status == 400
    assert all(word in answer.message for word in ("default", "process", "hyperv", value)), answer.message
    message = docker.fails("run", "--rm", f"--isolation={value}", IMAGE, "true", code=125)
    assert all(word in message for word in ("default", "process", "hyperv"))


@pytest.mark.parametrize("option", ["--network=host", "--pid=host", "--ipc=host", "--uts=host", "--device=/dev/null",
                                    "--memory-swappiness", "--oom-kill-disable", "--memory=109951162777600"])
def test_what_a_vm_cannot_have_is_refused_at_create(docker, api, option):
    given = "--memory-swappiness=10" if option == "--memory-swappiness" else option
    message = docker.fails("create", "--isolation=hyperv", given, IMAGE, "true", code=1)
    assert option in message and "--isolation=process" in message
    assert api.get("/containers/json?all=1").json() == []


@pytest.mark.parametrize("source", ["/dev", "/proc", "/sys", "/", "/dev/null", "a socket", "mounts below"])
def test_a_source_that_a_vm_cannot_have_is_refused_at_create(docker, api, tmp_path, source):
    """Its file system can't translate owners, or it is neither a folder nor a regular file."""
    with contextlib.ExitStack() as stack:
        if source == "a socket":
            source = str(tmp_path / "socket")
            stack.enter_context(socket.socket(socket.AF_UNIX)).bind(source)
        elif source == "mounts below":
            source = str(tmp_path)
            (tmp_path / "below").mkdir()
            subprocess.run(["mount", "-t", "proc", "none", tmp_path / "below"], check=True)
            stack.callback(subprocess.run, ["umount", tmp_path / "below"], check=True)
            # Without what is mounted below it is a folder like any other.
            docker.ok("rm", docker.ok("create", "--isolation=hyperv", "--mount", f"type=bind,src={source},dst=/m,bind-nonrecursive", IMAGE, "true"))
        message = docker.fails("create", "--isolation=hyperv", "-v", f"{source}:/m", IMAGE, "true", code=1)
        assert f"'{source}'" in message and "'/m'" in message and "--isolation=process" in message, message
        assert api.get("/containers/json?all=1").json() == []
        docker.ok("create", "-v", f"{source}:/m", IMAGE, "true")


def test_a_folder_is_no_file_of_names(docker, tmp_path):
    message = docker.fails("create", "--isolation=hyperv", "-v", f"{tmp_path}:/etc/hosts", IMAGE, "true", code=1, match="it is no file")
    assert str(tmp_path) in message
    assert docker.ok("run", "--rm", "--isolation=hyperv", "-v", "/dev/null:/etc/hosts", IMAGE, "wc", "-c", "/etc/hosts") == "0 /etc/hosts"


def test_info_shows_the_isolation(docker):
    assert docker.ok("info", "--format", "{{.Isolation}}") in ("process", "default", "")
    labels = docker.ok("info", "--format", "{{json .Labels}}")
    assert "org.bulkhead.isolation.process=available" in labels and "org.bulkhead.isolation.hyperv=available" in labels
    assert re.search(r"org.bulkhead.isolation.hyperv.accelerator=(kvm|tcg) \(", labels)


def test_an_annotation_chooses_no_wall(docker, api):
    answer = api.post("/containers/create", {"Image": IMAGE, "Cmd": ["uname", "-r"], "HostConfig": {
        "Isolation": "hyperv", "Annotations": {"org.bulkhead.isolation": "process", "org.bulkhead.devices": "all"}}})
    assert docker.ok("start", "-a", answer.json()["Id"]) != os.uname().release


def test_the_disk_has_the_size_that_was_asked_for(docker):
    out = docker.ok("run", "--rm", "--isolation=hyperv", "--storage-opt", "size=64m", IMAGE, "sh", "-c",
                    "df -m / | tail -1 | awk '{print $2}'; dd if=/dev/zero of=/big bs=1M count=100 2>&1 | grep -c 'No space'")
    size, full = out.split()
    assert 40 <= int(size) <= 64 and full == "1"
    assert "--storage-opt" in docker.fails("create", "--storage-opt", "size=64m", IMAGE, "true", code=1)
    docker.fails("create", "--isolation=hyperv", "--storage-opt", "size=nonsense", IMAGE, "true", code=1, match="size")


def test_privileged_is_so_in_its_own_kernel_only(docker):
    out = docker.ok("run", "--rm", "--isolation=hyperv", "--privileged", IMAGE, "sh", "-c",
                    "mkdir /mnt; mount -t tmpfs none /mnt && echo mounted; unshare -m -p -f true && echo nested; echo 0 >/proc/sys/kernel/printk && echo kernel; "
                    "ip link add name privileged9 type bridge && echo linked; grep CapBnd /proc/self/status; test -e /dev/vda && echo devices")
    assert [word for word in ("mounted", "nested", "kernel", "linked", "devices") if word in out.split()] == ["mounted", "nested", "kernel", "linked", "devices"]
    assert "privileged9" not in os.listdir("/sys/class/net")  # by its name: engines make and remove links of their own meanwhile


def machines(engine):
    """Process ids of this engine's VMs."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                cgroup = pathlib.Path(f"/proc/{entry}/cgroup").read_text(encoding="ascii")
                command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            # Those that the keeper has ready are nobody's yet.
            if f"bulkhead-{engine.own_name()}/" in cgroup and "/vm-keeper" not in cgroup and b"qemu" in command:
                found.append(int(entry))
    return found


def test_the_machine_is_jailed(docker, engine):
    docker.ok("run", "-d", "--isolation=hyperv", IMAGE, "sleep", "1000")
    (pid,) = machines(engine)
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines() if ":\t" in line)
    assert min(map(int, status["Uid"].split())) > 65535 and min(map(int, status["Gid"].split())) > 65535
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    for kind in ("mnt", "pid", "ipc", "net", "uts", "cgroup"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    root = set(os.listdir(f"/proc/{pid}/root"))
    assert not root & {"home", "root", "etc", "sys", "var", "tmp", "run"}, root


def test_a_killed_machine_is_told_and_leaves_nothing(docker, engine):
    name = docker.ok("run", "-d", "--isolation=hyperv", IMAGE, "sleep", "1000")
    os.kill(machines(engine)[0], signal.SIGKILL)
    assert docker.ok("wait", name) == "255"
    assert re.search("VM|QEMU|qemu", docker.format(name, "{{.State.Error}}"))
    assert machines(engine) == []
    docker.ok("start", name)
    assert docker.format(name, "{{.State.Running}}") == "true"


def test_a_panicked_guest_is_told(docker):
    name = docker.ok("create", "--isolation=hyperv", "--privileged", IMAGE, "sh", "-c", "echo c >/proc/sysrq-trigger; sleep 100")
    docker("start", name)
    assert docker.ok("wait", name, timeout=120) == "255"
    assert docker.format(name, "{{.State.Error}}") != ""


def test_a_missing_kernel_is_told_at_create(engine_with, make_client):
    with engine_with("--vm-kernel", "/nonexistent/vmlinux") as engine:
        docker = make_client(engine)
        assert "/nonexistent/vmlinux" in docker.fails("create", "--isolation=hyperv", IMAGE, "true", code=1)
        assert "not available" in docker.ok("info", "--format", "{{json .Labels}}")
        assert docker.ok("run", "--rm", IMAGE, "echo", "still") == "still"


def test_the_engine_dies_and_the_machine_lives(own_engine, own_docker):
    name = own_docker.ok("run", "-d", "--isolation=hyperv", IMAGE, "sh", "-c", "echo before; sleep 1000")
    wait_until(lambda: own_docker.ok("logs", name) == "before", what="the log")
    boot = own_docker.ok("exec", name, "cat", "/proc/sys/kernel/random/boot_id")
    own_engine.kill()
    own_engine.start()
    assert own_docker.ok("exec", name, "cat", "/proc/sys/kernel/random/boot_id") == boot
    own_docker.ok("rm", "-f", name)
    assert machines(own_engine) == []
