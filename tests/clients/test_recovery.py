"""The engine dies or restarts while containers run: they go on, and the next engine tells the truth about them."""
import json
import os
import re
import time

import pytest

from support.client import wait_until

IMAGE = "busybox:1"
COUNT = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done"


@pytest.fixture
def docker(own_docker):
    return own_docker


@pytest.fixture(params=["kill", "stop"])
def bounce(request, own_engine):
    """Ends the engine (by SIGKILL, or politely) and starts it again; `between` runs while there is none."""

    def run(between=lambda: None):
        getattr(own_engine, request.param)()
        between()
        own_engine.start()

    return run


def ticks(docker, name):
    return [int(line.split()[1]) for line in docker.ok("logs", name).splitlines()]


def test_a_container_goes_on(docker, bounce):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", COUNT)
    before = docker.inspect(name)["State"]
    bounce(lambda: time.sleep(0.5))
    after = docker.inspect(name)["State"]
    assert (after["Status"], after["Pid"], after["StartedAt"]) == ("running", before["Pid"], before["StartedAt"])
    assert os.path.exists(f"/proc/{before['Pid']}")


def test_a_copy_to_a_stopped_container_that_was_cut_off(docker, own_engine, tmp_path):
    """The wall that it was given for the copy goes, and it can be started."""
    name = docker.ok("create", IMAGE, "sleep", "100")
    copy = docker.start("cp", "-", f"{name}:/tmp", text=False)
    copy.stdin.write(b"\0" * 100)  # and no more: the engine waits
    copy.stdin.flush()
    bundles = own_engine.run_root / "bundles"
    wait_until(lambda: list(bundles.glob("*/attach.sock")))
    own_engine.kill()
    copy.kill()
    copy.communicate()
    own_engine.start()
    assert not list(bundles.iterdir())
    docker.ok("start", name)
    docker.ok("cp", f"{name}:/etc/passwd", tmp_path / "passwd")


def test_the_log_has_no_gap(docker, bounce):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", COUNT)
    wait_until(lambda: len(ticks(docker, name)) > 3)
    bounce(lambda: time.sleep(0.5))
    last = ticks(docker, name)[-1]
    wait_until(lambda: ticks(docker, name)[-1] > last + 3)
    numbers = ticks(docker, name)
    assert numbers == list(range(1, len(numbers) + 1))


def test_ended_meanwhile(docker, bounce, against):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "sleep 1; echo last words; exit 7")
    pid = docker.format(name, "{{.State.Pid}}")
    bounce(lambda: wait_until(lambda: not alive(pid)))
    state = wait_until(lambda: (state := docker.inspect(name)["State"]) and state["Status"] == "exited" and state)
    assert (state["ExitCode"], state["Running"], state["Pid"]) == (7, False, 0)
    assert docker.ok("wait", name) == "7"
    if against != "dockerd":  # which loses what is said while it is away, just before the end
        assert docker.ok("logs", name) == "last words"
    assert docker.ok("ps", "-a", "--format", "{{.Status}}").startswith("Exited (7)")


def alive(pid):
    """Running; a zombie that waits for its parent has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_wait_after_a_restart(docker, bounce):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "sleep 3; exit 8")
    bounce()
    assert docker.ok("wait", name) == "8"


def test_stop_kill_exec_rm_after_a_restart(docker, bounce):
    one, two = (docker.ok("run", "-d", IMAGE, "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done") for _ in range(2))
    bounce()
    assert docker.ok("exec", one, "echo", "still here") == "still here"
    docker.ok("stop", one)
    assert docker.format(one, "{{.State.ExitCode}}") == "3"
    docker.ok("rm", "-f", two)
    docker.ok("start", one)
    assert docker.format(one, "{{.State.Running}}") == "true"


def test_attach_after_a_restart(docker, bounce):
    name = docker.ok("run", "-dit", IMAGE, "sh")
    bounce()
    with docker.terminal("attach", name) as it:
        time.sleep(0.3)
        it.sendline("echo an''swer")
        it.expect("answer")


def test_rm_of_a_container_that_ended_meanwhile(docker, bounce):
    """--rm is the engine's promise: kept by the next one too."""
    name = docker.ok("run", "-d", "--rm", IMAGE, "sleep", "0.7")
    bounce(lambda: time.sleep(1.5))
    wait_until(lambda: docker("inspect", name).code == 1)


def test_paused_stays_paused(docker, bounce):
    name = docker.ok("run", "-d", IMAGE, "sleep", "100")
    docker.ok("pause", name)
    bounce()
    assert docker.format(name, "{{.State.Status}}") == "paused"
    docker.ok("unpause", name)


def test_addresses_are_not_given_twice(docker, bounce):
    template = "{{.NetworkSettings.Networks.bridge.IPAddress}}"
    names = [docker.ok("run", "-d", IMAGE, "sleep", "100") for _ in range(3)]
    before = [docker.format(name, template) for name in names]
    bounce()
    assert [docker.format(name, template) for name in names] == before
    fresh = [docker.format(docker.ok("run", "-d", IMAGE, "sleep", "100"), template) for _ in range(3)]
    assert len(set(before + fresh)) == 6
    assert "1 packets received" in docker.ok("exec", names[0], "ping", "-c", "1", "-W", "2", fresh[0])


def test_names_images_and_stopped_containers_are_kept(docker, bounce):
    assert docker("run", "--name", "kept", "--label", "a=b", IMAGE, "sh", "-c", "echo x; exit 5").code == 5
    before = docker.inspect("kept")
    bounce()
    after = docker.inspect("kept")
    for key in ("Id", "Created", "State", "Path", "Args", "Config", "Image"):
        assert after[key] == before[key], key
    assert docker.ok("logs", "kept") == "x" and "busybox:1" in docker.ok("images", "--format", "{{.Repository}}:{{.Tag}}")
    docker.fails("create", "--name", "kept", IMAGE, "true", code=1, match="already in use")


def test_restart_count_of_kills(docker, own_engine):
    """Ten crashes in a row, at ten moments of a container's life."""
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", COUNT)
    for number in range(10):
        client = docker.start("run", "--rm", IMAGE, "true")
        time.sleep(0.01 * number)
        own_engine.kill()
        client.kill()
        client.communicate()
        own_engine.start()
    assert docker.format(name, "{{.State.Running}}") == "true"
    own_engine.api.remove_all_containers()
    assert json.loads(own_engine.api.get("/containers/json?all=1").body) == []
    assert docker.ok("run", "--rm", IMAGE, "echo", "fine") == "fine"


def test_a_restart_policy_survives(docker, bounce):
    name = docker.ok("run", "-d", "--restart", "always", IMAGE, "sh", "-c", "echo up; sleep 1")
    bounce(lambda: time.sleep(1.5))
    wait_until(lambda: docker.ok("logs", name).count("up") >= 2)


def test_a_killed_shim_is_told(docker, own_engine, against):
    """The shim of one container dies: that container is shown as ended, others are not touched."""
    one, two = (docker.ok("run", "-d", IMAGE, "sleep", "1000") for _ in range(2))
    pid = int(docker.format(one, "{{.State.Pid}}"))
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        shim = int(re.search(r"PPid:\s+(\d+)", status.read()).group(1))
    with open(f"/proc/{shim}/cmdline", encoding="utf-8") as command:
        assert "shim" in command.read()
    os.kill(shim, 9)
    wait_until(lambda: docker.format(one, "{{.State.Status}}") == "exited", timeout=20)
    assert docker.format(two, "{{.State.Running}}") == "true"
    wait_until(lambda: not alive(pid))
    docker.ok("rm", one)


def test_sigterm_ends_the_engine_quickly(docker, own_engine):
    docker.ok("run", "-d", IMAGE, "sleep", "1000")
    begin = time.monotonic()
    assert own_engine.stop() == 0
    assert time.monotonic() - begin < 5
    own_engine.start()
