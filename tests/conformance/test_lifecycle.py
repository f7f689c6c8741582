"""create, start, stop, kill, restart, rm, rename, wait, pause, top, and the states between."""
import re
import threading
import time

import pytest

from support.client import wait_until

IMAGE = "busybox:1"
TRAP = "trap 'echo term; exit 5' TERM; echo up; while :; do sleep 0.05; done"


def status(docker, name):
    return docker.format(name, "{{.State.Status}}")


def test_create_start_wait_rm(docker):
    name = docker.ok("create", "--name", "steps", IMAGE, "sh", "-c", "exit 6")
    assert re.fullmatch("[0-9a-f]{64}", name) and status(docker, name) == "created"
    assert docker.ok("start", "steps") == "steps"
    assert docker.ok("wait", "steps") == "6"
    assert status(docker, name) == "exited"
    assert docker.ok("rm", "steps") == "steps"
    docker.fails("inspect", "--type", "container", "steps", code=1, match="No such container: steps")


def test_start_attached(docker):
    docker.ok("create", "--name", "later", IMAGE, "sh", "-c", "echo hi; exit 4")
    result = docker("start", "-a", "later")
    assert (result.code, result.out) == (4, "hi\n")


def test_start_attached_with_input(docker):
    docker.ok("create", "-i", "--name", "cat", IMAGE, "cat")
    assert docker.ok("start", "-ai", "cat", input="through\n") == "through"


def test_start_again_runs_again(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "echo x >>/count; wc -l </count")
    docker.ok("wait", name)
    docker.ok("start", "-a", name)
    assert docker.ok("logs", name).split() == ["1", "2"]


def test_start_of_a_running_one_is_fine(docker, container):
    assert docker.ok("start", container) == container


def test_start_of_unknown(docker):
    docker.fails("start", "nobody", code=1, match="No such container: nobody")


def test_stop_lets_the_process_end(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", TRAP)
    wait_until(lambda: "up" in docker.ok("logs", name))
    assert docker.ok("stop", name) == name
    assert docker.ok("logs", name).split() == ["up", "term"]
    assert docker.format(name, "{{.State.ExitCode}}") == "5"


def test_stop_kills_after_the_timeout(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    begin = time.monotonic()
    docker.ok("stop", "-t", "1", name)
    assert 0.9 < time.monotonic() - begin < 8
    assert docker.format(name, "{{.State.ExitCode}}") == "137"


def test_stop_of_a_stopped_one_is_fine(docker, container):
    docker.ok("kill", container)
    docker.ok("wait", container)
    docker.ok("stop", container)


def test_kill(docker, container):
    docker.ok("kill", container)
    assert docker.ok("wait", container) == "137"
    docker.fails("kill", container, code=1, match="is not running")


@pytest.mark.parametrize("word", ["TERM", "SIGTERM", "15", "term"])
def test_kill_with_signal(docker, word):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", TRAP)
    wait_until(lambda: "up" in docker.ok("logs", name))
    docker.ok("kill", "-s", word, name)
    assert docker.ok("wait", name) == "5"


def test_kill_with_nonsense(docker, container):
    docker.fails("kill", "-s", "NOSUCH", container, code=1, match="Invalid signal: NOSUCH")


def test_restart(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "echo up; exec sleep 1000")
    wait_until(lambda: docker.ok("logs", name) == "up")
    before = docker.inspect(name)
    docker.ok("restart", "-t", "0", name)
    after = docker.inspect(name)
    assert after["State"]["Running"] and after["State"]["Pid"] != before["State"]["Pid"]
    assert after["State"]["StartedAt"] > before["State"]["StartedAt"]
    wait_until(lambda: docker.ok("logs", name).split() == ["up", "up"])


def test_one_that_ran_is_never_shown_as_created_again(docker, api, container):
    seen, done = set(), threading.Event()

    def look():
        while not done.is_set():
            seen.add(api.inspect(container)["State"]["Status"])
            seen.add(api.get("/containers/json?all=1").json()[0]["State"])

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(4):
        docker.ok("restart", "-t", "0", container)
    done.set()
    watcher.join()
    assert "running" in seen and seen <= {"running", "exited"}


def test_restart_starts_a_stopped_one(docker, container):
    docker.ok("kill", container)
    docker.ok("restart", container)
    assert status(docker, container) == "running"


def test_rm_refuses_a_running_one(docker, container):
    docker.fails("rm", container, code=1, match="[Cc]annot remove.*running container")
    docker.ok("rm", "-f", container)
    docker.fails("rm", container, code=1, match="No such container")


def test_rm_takes_several(docker):
    names = [docker.ok("create", IMAGE, "true") for _ in range(3)]
    assert docker.ok("rm", *names).split() == names


def test_prefix_of_id_is_enough(docker, container):
    assert docker.format(container[:5], "{{.Id}}") == container


def test_rename(docker, container):
    docker.ok("rename", container, "new-name")
    assert docker.format("new-name", "{{.Name}}") == "/new-name"
    other = docker.ok("create", IMAGE, "true")
    docker.fails("rename", other, "new-name", code=1, match="already in use")
    docker.fails("rename", other, "bad/name", code=1, match="Invalid container name")
    docker.fails("rename", "nobody", "some-name", code=1, match="No such container")


def test_old_name_is_free_after_rename(docker):
    docker.ok("create", "--name", "first", IMAGE, "true")
    docker.ok("rename", "first", "second")
    docker.ok("create", "--name", "first", IMAGE, "true")


def test_wait_for_several_and_for_one_still_running(docker):
    one = docker.ok("run", "-d", IMAGE, "sh", "-c", "exit 1")
    two = docker.ok("run", "-d", IMAGE, "sh", "-c", "sleep 0.5; exit 2")
    assert docker.ok("wait", one, two).split() == ["1", "2"]


def test_wait_for_unknown(docker):
    docker.fails("wait", "nobody", code=1, match="No such container")


def test_wait_removed(docker, api):
    name = docker.ok("run", "-d", "--rm", IMAGE, "sh", "-c", "sleep 0.3; exit 3")
    answer = api.post(f"/containers/{name}/wait?condition=removed")
    assert answer.status == 200 and answer.json()["StatusCode"] == 3


def test_pause(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "while :; do echo x >>/ticks; sleep 0.02; done")
    docker.ok("pause", name)
    assert status(docker, name) == "paused"
    assert "(Paused)" in docker.ok("ps", "--format", "{{.Status}}")
    docker.fails("pause", name, code=1, match="already paused")
    docker.fails("exec", name, "true", code=1, match="is paused")
    docker.ok("unpause", name)
    assert status(docker, name) == "running"
    docker.fails("unpause", name, code=1, match="is not paused")


def test_a_paused_one_stands_still(docker, api):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "while :; do echo x; sleep 0.02; done")
    wait_until(lambda: docker.ok("logs", name))
    docker.ok("pause", name)
    time.sleep(0.2)
    before = len(docker.ok("logs", name))
    time.sleep(0.5)
    assert len(docker.ok("logs", name)) == before
    docker.ok("unpause", name)
    wait_until(lambda: len(docker.ok("logs", name)) > before)


def test_a_paused_one_can_be_removed(docker, container):
    docker.ok("pause", container)
    docker.ok("rm", "-f", container)


# What the wall itself runs is there too, always the same: in hyperv mode the agent, in process mode nothing.
SYSTEM = {"process": [], "hyperv": ["[bulkhead-agent]"]}


def test_top(docker, isolation):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "sleep 1001 & exec sleep 1002")
    lines = wait_until(lambda: (lines := docker.ok("top", name).splitlines()) and len(lines) == 3 + len(SYSTEM[isolation]) and lines)
    assert lines[0].split()[:2] == ["UID", "PID"] and lines[0].split()[-1] == "CMD"
    commands = lambda: {line.split(None, 7)[-1] for line in docker.ok("top", name).splitlines()[1:]}
    wait_until(lambda: commands() == {"sleep 1001", "sleep 1002", *SYSTEM[isolation]})


def test_top_shows_what_the_walls_own_processes_cost(docker, container, isolation):
    rows = [line.split() for line in docker.ok("top", container, "-o", "pid,rss,time,comm").splitlines()]
    own = [row for row in rows if row[3] in SYSTEM["hyperv"]]
    assert [row[3] for row in own] == SYSTEM[isolation]
    assert all(int(row[1]) > 100 and row[0] == "1" for row in own)


def test_top_with_ps_options(docker, container, isolation):
    lines = docker.ok("top", container, "-o", "pid,comm").splitlines()
    assert lines[0].split() == ["PID", "COMMAND"] and [line.split()[1] for line in lines[1:]] == SYSTEM[isolation] + ["sleep"]
    assert isolation != "process" or lines[1].split()[0] == docker.format(container, "{{.State.Pid}}")


def test_top_of_a_stopped_one(docker):
    name = docker.ok("create", IMAGE, "true")
    docker.fails("top", name, code=1, match="is not running")


def test_state_of_an_ended_one(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "exit 3")
    docker.ok("wait", name)
    state = docker.inspect(name)["State"]
    assert (state["Status"], state["Running"], state["Pid"], state["ExitCode"], state["OOMKilled"]) == ("exited", False, 0, 3, False)
    assert state["StartedAt"] <= state["FinishedAt"]


def test_restart_policy_restarts(docker):
    name = docker.ok("run", "-d", "--restart", "on-failure:2", IMAGE, "sh", "-c", "echo x; exit 1")
    wait_until(lambda: docker.format(name, "{{.RestartCount}} {{.State.Status}}") == "2 exited", timeout=20)
    assert docker.ok("logs", name).split() == ["x"] * 3


def test_rm_by_force_wins_over_restarts(docker, api):
    """A restart that is under way must not start it again behind the removal's back."""
    for delay in (0, 0.01, 0.02, 0.03, 0.05, 0.08):
        name = docker.ok("run", "-d", IMAGE, "sleep", "1000")  # as PID 1 it ignores the stop signal
        restarts = [threading.Thread(target=api.post, args=(f"/containers/{name}/restart?t={seconds}",)) for seconds in (0, 0, 0, 1, 1)]
        for restart in restarts:
            restart.start()
        time.sleep(delay)
        removal = api.delete(f"/containers/{name}?force=1")
        assert removal.status == 204, removal
        for restart in restarts:
            restart.join()
        docker.fails("inspect", "--type", "container", name, code=1, match="No such container")


@pytest.fixture
def restarting(docker):
    """A container that waits for its restart, for three seconds from its sixth end on. (While it is being started again it shows
    as restarting too.)"""
    since = str(int(time.time()) - 1)
    name = docker.ok("run", "-d", "--restart", "always", IMAGE, "sh", "-c", "exit 1")

    def ends():
        return docker.ok("events", "--since", since, "--until", f"{time.time():.3f}", "--filter", f"container={name}", "--filter", "event=die").count("die")
    wait_until(lambda: ends() >= 6, timeout=60)
    return name


def test_one_that_waits_for_its_restart_can_be_killed(docker, restarting):
    docker.ok("kill", restarting)
    assert docker.ok("wait", restarting) == "1"
    assert docker.format(restarting, "{{.State.Status}} {{.State.Running}}") == "exited false"
    docker.ok("start", restarting)


def test_one_that_waits_for_its_restart_says_so(docker, restarting):
    for verb in (["exec", restarting, "true"], ["pause", restarting], ["top", restarting]):
        docker.fails(*verb, code=1, match="is restarting, wait until the container is running")


def test_one_that_waits_for_its_restart_can_be_stopped_and_removed(docker, restarting):
    docker.ok("stop", restarting)
    assert status(docker, restarting) == "exited"
    docker.ok("start", restarting)
    docker.ok("rm", "-f", restarting)
