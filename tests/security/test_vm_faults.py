"""What goes wrong around a VM is told at the client as what it is, and nothing is left behind."""
import contextlib
import http.client
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from support.api import UnixConnection
from support.client import wait_until
from support.live_engine import end_by_force, load

IMAGE = "busybox:1"
VM = "--isolation=hyperv"
pytestmark = pytest.mark.bulkhead_only


def machine_of(docker, name):
    """The process id of a container's QEMU."""
    pid = int(docker.format(name, "{{.State.Pid}}"))
    assert b"qemu" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    return pid


def test_there_is_no_qemu(engine_with, make_client):
    with engine_with("--vm-qemu", "/nonexistent/qemu") as engine:
        docker = make_client(engine)
        message = docker.fails("create", VM, IMAGE, "true", code=1)
        assert "/nonexistent/qemu" in message and "qemu-system-x86" in message
        assert engine.api.get("/containers/json?all=1").json() == []
        assert docker.ok("run", "--rm", IMAGE, "echo", "still") == "still"


@pytest.mark.slow
def test_an_agent_that_hangs(docker):
    name = docker.ok("run", "-d", VM, IMAGE, "sleep", "1000")
    pid = machine_of(docker, name)
    os.kill(pid, signal.SIGSTOP)
    try:
        message = docker("exec", name, "true", timeout=90)
        assert message.code != 0 and "agent in the VM does" in message.out + message.err, message
        assert docker.ok("wait", name, timeout=30) == "255"
        assert "answer" in docker.format(name, "{{.State.Error}}")
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="the end of QEMU")
    finally:
        if os.path.exists(f"/proc/{pid}"):
            os.kill(pid, signal.SIGKILL)
    assert docker.ok("start", "-a", docker.ok("create", VM, IMAGE, "echo", "again")) == "again"


@pytest.mark.slow
def test_a_guest_that_falls_silent_holds_no_copy(docker, engine, api):
    """Neither for ever, nor beyond its client."""
    name = docker.ok("run", "-d", VM, IMAGE, "sh", "-c", "dd if=/dev/zero of=/large bs=1M count=64; sleep 1000")
    wait_until(lambda: docker("exec", name, "ls", "-l", "/large").out.find("67108864") > 0)

    def connections():
        return sum("socket:" in os.readlink(path) for path in pathlib.Path(f"/proc/{engine.process.pid}/fd").iterdir() if path.is_symlink())

    before = connections()
    clients = []
    for _ in range(2):
        client = UnixConnection(api.path, timeout=90)
        client.request("GET", f"/containers/{name}/archive?path=/large")
        clients.append((client, client.getresponse()))
    pid = machine_of(docker, name)
    os.kill(pid, signal.SIGSTOP)
    try:
        busy = connections()
        assert busy > before
        readers = [threading.Thread(target=read_until_it_breaks, args=(answer,)) for _, answer in clients]
        for reader in readers:
            reader.start()
        time.sleep(2)  # all that was under way has come
        clients[0][0].sock.shutdown(2)
        wait_until(lambda: connections() < busy, what="the end of the copy whose client has gone")
        readers[1].join(80)
        assert not readers[1].is_alive(), "the other copy must end too"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert docker.ok("exec", name, "echo", "lives") == "lives"


def read_until_it_breaks(answer):
    with contextlib.suppress(http.client.HTTPException, OSError):
        while answer.read(1 << 20):
            pass


@pytest.mark.parametrize("option", [[], ["--rm"]])
def test_the_client_of_a_lost_vm_ends_with_255(docker, option):
    run = docker.start("run", *option, "--name", "lost", VM, IMAGE, "sh", "-c", "echo up; exec sleep 1000")
    assert run.stdout.readline() == "up\n"
    os.kill(machine_of(docker, "lost"), signal.SIGKILL)
    run.communicate(timeout=60)
    assert run.returncode == 255
    if not option:
        assert docker.format("lost", "{{.State.ExitCode}}") == "255" and docker.format("lost", "{{.State.Error}}")


def test_a_hanging_agent_can_be_killed_at_once(docker):
    name = docker.ok("run", "-d", VM, IMAGE, "sleep", "1000")
    os.kill(machine_of(docker, name), signal.SIGSTOP)
    docker.ok("rm", "-f", name, timeout=90)


@pytest.fixture
def small(make_engine, request):
    """An engine whose root is a tmpfs of 48 MB, with busybox:1."""
    engine = make_engine(arguments=["--vm-warm", "0"])
    engine.root.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", engine.root], check=True)
    try:
        engine.start()
        request.node.engines = [(engine, 0)]
        load(engine, IMAGE)
        yield engine
        engine.api.remove_all_containers()
        engine.stop()
    finally:
        engine.kill()
        subprocess.run(["umount", "--lazy", engine.root])
        end_by_force(engine)


def fill(folder, leave):
    """A file there that takes all but `leave` bytes."""
    filler = folder / "filler"
    with open(filler, "wb") as file:
        status = os.statvfs(folder)
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_bsize - leave)
    return filler


def test_a_full_disk_under_a_guest_is_an_error_in_it(small, make_client):
    docker = make_client(small)
    # Its log is on the full disk too: the exit code tells.
    name = docker.ok("run", "-d", VM, IMAGE, "sh", "-c", "dd if=/dev/zero of=/f bs=1M count=200 conv=fsync && exit 3; exit 4")
    assert docker.ok("wait", name, timeout=60) == "4", "the guest must be told, and must not hang"
    docker.ok("rm", "-f", name)
    assert docker.ok("run", "--rm", VM, IMAGE, "echo", "room again") == "room again"


def test_a_disk_that_does_not_fit_is_told_at_create(small, make_client):
    docker = make_client(small)
    filler = fill(small.root, 64 << 10)
    message = docker.fails("create", VM, IMAGE, "true", code=1)
    assert "space" in message.lower() or "disk" in message.lower(), message
    filler.unlink()
    assert docker.ok("run", "--rm", VM, IMAGE, "echo", "room again") == "room again"


@pytest.mark.parametrize("mode", ["process", "hyperv"])
def test_the_engine_is_killed_at_each_step_of_a_start(own_engine, make_client, mode):
    docker = make_client(own_engine)
    docker.ok("run", "--rm", f"--isolation={mode}", IMAGE, "true")  # what is made once is there
    delays = [step / 1000 for step in ((0, 2, 4, 6, 8, 11, 14, 18, 23, 30) if mode == "process" else (0, 5, 15, 30, 50, 80, 120, 180, 260, 400))]
    for delay in delays:
        name = docker.ok("create", f"--isolation={mode}", IMAGE, "sleep", "1000")
        starting = threading.Thread(target=docker, args=("start", name), kwargs={"timeout": 60})
        starting.start()
        time.sleep(0.03 + delay)  # the client itself takes a while
        own_engine.kill()
        starting.join()
        own_engine.start()
        status = docker.format(name, "{{.State.Status}}")
        if status == "running":
            assert docker.ok("exec", name, "echo", "in") == "in"
        else:
            assert status in ("created", "exited"), status
            docker.ok("start", name)
        docker.ok("rm", "-f", name)
    own_engine.stop()  # the fixture looks for what is left


def test_the_engine_is_killed_right_after_an_end_and_what_was_written_stays(own_engine, make_client, tmp_path):
    """The end is told before the VM's disk is let go of: the next engine has the shim do that, which lives."""
    docker = make_client(own_engine)
    for number in range(3):
        name = docker.ok("create", VM, IMAGE, "sh", "-c", f"echo {number} >/kept; cat /kept")
        assert docker.ok("start", "-a", name) == str(number)
        own_engine.kill()
        own_engine.start()
        assert not list((own_engine.run_root / "bundles").iterdir())
        docker.ok("cp", f"{name}:/kept", tmp_path / "kept")
        assert (tmp_path / "kept").read_text() == f"{number}\n"
        assert docker.ok("start", "-a", name) == str(number)
