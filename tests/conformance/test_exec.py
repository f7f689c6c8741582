"""docker exec."""
import re
import time

import pytest
from pexpect import EOF

from support.client import wait_until

IMAGE = "busybox:1"


def test_output_and_streams(docker, container):
    result = docker("exec", container, "sh", "-c", "echo out; echo err >&2")
    assert (result.code, result.out, result.err) == (0, "out\n", "err\n")


@pytest.mark.parametrize("code", [0, 1, 17, 255])
def test_exit_code(docker, container, code):
    assert docker("exec", container, "sh", "-c", f"exit {code}").code == code


def test_death_by_signal(docker, container):
    assert docker("exec", container, "sh", "-c", "kill -9 $$").code == 137


def test_standard_input(docker, container):
    assert docker.ok("exec", "-i", container, "cat", input="through\n") == "through"


def test_a_megabyte_of_input(docker, container):
    data = "x" * 1_000_000
    assert docker.ok("exec", "-i", container, "wc", "-c", input=data) == "1000000"


def test_terminal(each_docker, container):
    with each_docker.terminal("exec", "-it", container, "sh", rows=31, columns=101) as it:
        it.expect("# ")
        it.sendline("until stty size; do sleep 0.1; done 2>/dev/null")
        it.expect("31 101")
        it.sendline("exit 3")
        it.expect(EOF)
    assert it.exitstatus == 3


def test_resize_reaches_the_terminal(docker, container):
    with docker.terminal("exec", "-it", container, "sh", rows=31, columns=101) as it:
        it.expect("# ")
        time.sleep(0.3)
        it.setwinsize(42, 142)
        time.sleep(0.3)
        it.sendline("stty size")
        it.expect("42 142")


def test_detached(docker, container):
    assert docker.ok("exec", "-d", container, "sh", "-c", "echo done >/proof") == ""
    wait_until(lambda: docker("exec", container, "cat", "/proof").out == "done\n")


def test_user_workdir_environment(docker, container):
    out = docker.ok("exec", "-u", "app:extra", "-w", "/home/app", "-e", "A=b c", container, "sh", "-c", "id -u; id -g; pwd; echo $A; echo $HOME")
    assert out.splitlines() == ["1000", "2000", "/home/app", "b c", "/home/app"]


def test_environment_of_the_container_is_kept(docker):
    name = docker.ok("run", "-d", "-e", "X=1", "-w", "/tmp", IMAGE, "sleep", "100")
    assert docker.ok("exec", name, "sh", "-c", "echo $X; pwd").split() == ["1", "/tmp"]


@pytest.mark.parametrize("command, codes, message", [  # 126 was Docker's word for both until 23
    (["no-such-command"], (126, 127), "executable file not found|no such file"),
    (["/etc/not-executable"], (126,), "permission denied"),
])
def test_commands_that_cannot_run(docker, container, command, codes, message):
    result = docker("exec", container, *command)
    assert result.code in codes and re.search(message, result.out + result.err), result


def test_workdir_that_is_missing(docker, container):
    assert docker("exec", "-w", "/no/such", container, "pwd").code in (126, 127)


def test_in_a_stopped_container(docker):
    name = docker.ok("create", IMAGE, "true")
    docker.fails("exec", name, "true", code=1, match="is not running")


def test_in_an_unknown_container(docker):
    docker.fails("exec", "nobody", "true", code=1, match="No such container: nobody")


def test_unknown_user(docker, container):
    result = docker("exec", "-u", "nobody-knows", container, "true")
    assert result.code in (1, 126) and "unable to find user nobody-knows" in result.out + result.err, result


def test_same_namespaces_and_root(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "echo here >/file; exec sleep 100")
    read = "for n in mnt pid net ipc uts; do readlink /proc/1/ns/$n; readlink /proc/self/ns/$n; done; cat /file"
    lines = docker.ok("exec", name, "sh", "-c", read).split()
    assert lines[-1] == "here" and lines[0:10:2] == lines[1:10:2]


def test_same_confinement(docker, container):
    own = docker.ok("run", "--rm", IMAGE, "grep", "-E", "^(Cap|Seccomp:|NoNewPrivs)", "/proc/self/status")
    assert docker.ok("exec", container, "grep", "-E", "^(Cap|Seccomp:|NoNewPrivs)", "/proc/self/status") == own


def test_same_cgroup(docker, container):
    assert docker.ok("exec", container, "sh", "-c", "cat /proc/self/cgroup") == docker.ok("exec", container, "cat", "/proc/1/cgroup")


@pytest.mark.bulkhead_only  # runc refuses --privileged where the host's root lacks a capability
def test_privileged_exec(docker, container):
    full = docker.ok("run", "--rm", "--privileged", IMAGE, "grep", "CapEff", "/proc/self/status")
    assert docker.ok("exec", "--privileged", container, "grep", "CapEff", "/proc/self/status") == full


def test_ends_with_the_container(docker, container):
    client = docker.start("exec", container, "sleep", "1000")
    wait_until(lambda: "sleep 1000" in docker.ok("top", container) and docker.ok("top", container).count("sleep") == 2)
    docker.ok("kill", container)
    assert client.wait(10) == 137
    client.communicate()


def test_its_exit_code_can_be_asked_for_after_the_container(docker, container, engine):
    exec_id = engine.api.post(f"/containers/{container}/exec", {"Cmd": ["sleep", "1000"]}).json()["Id"]
    assert engine.api.post(f"/exec/{exec_id}/start", {"Detach": True}).status == 200
    docker.ok("kill", container)
    docker.ok("wait", container)
    seen = wait_until(lambda: not (answer := engine.api.get(f"/exec/{exec_id}/json").json())["Running"] and answer)
    assert seen["ExitCode"] == 137


def test_outlives_its_client(docker, container):
    client = docker.start("exec", container, "sh", "-c", "sleep 0.5; echo done >/proof")
    wait_until(lambda: docker.ok("top", container).count("sleep") >= 2)
    client.kill()
    client.communicate()
    wait_until(lambda: docker("exec", container, "cat", "/proof").out == "done\n")


def test_many_at_once(docker, container):
    clients = [docker.start("exec", container, "echo", str(number)) for number in range(12)]
    for number, client in enumerate(clients):
        out, err = client.communicate(timeout=60)
        assert (client.returncode, out) == (0, f"{number}\n"), err


def test_inspect_through_the_api(api, docker, container):
    answer = api.post(f"/containers/{container}/exec", {"Cmd": ["sh", "-c", "exit 5"], "AttachStdout": True})
    assert answer.status == 201, answer
    number = answer.json()["Id"]
    assert api.get(f"/exec/{number}/json").json()["Running"] is False
    assert api.post(f"/exec/{number}/start", {"Detach": True}).status == 200
    record = wait_until(lambda: (record := api.get(f"/exec/{number}/json").json()) and record["ExitCode"] is not None
                        and not record["Running"] and record)
    assert record["ExitCode"] == 5 and record["ContainerID"] == container
    assert record["ProcessConfig"]["entrypoint"] == "sh" and record["ProcessConfig"]["arguments"] == ["-c", "exit 5"]


def test_unknown_exec_id(api):
    assert api.get("/exec/0000/json").status == 404
    assert api.post("/exec/0000/start", {"Detach": True}).status == 404


def test_exec_starts_once(api, docker, container):
    number = api.post(f"/containers/{container}/exec", {"Cmd": ["true"]}).json()["Id"]
    assert api.post(f"/exec/{number}/start", {"Detach": True}).status == 200
    wait_until(lambda: api.get(f"/exec/{number}/json").json()["ExitCode"] == 0)
    assert api.post(f"/exec/{number}/start", {"Detach": True}).status in (404, 409)


def test_no_command(api, docker, container):
    answer = api.post(f"/containers/{container}/exec", {"Cmd": []})
    assert answer.status == 400 and "No exec command specified" in answer.message


@pytest.mark.bulkhead_only
@pytest.mark.parametrize("property", ["privileged", "CapAdd", "SecurityOpt"])
def test_what_an_exec_does_not_have_is_refused_by_name(api, container, property):
    answer = api.post(f"/containers/{container}/exec", {"Cmd": ["true"], property: ["x"]})
    assert answer.status == 501 and property in answer.message, answer


def test_a_start_takes_no_options(api):
    container = api.create(Image="busybox:1", Cmd=["true"])
    answer = api.post(f"/containers/{container}/start", {"HostConfig": {"Privileged": True}})
    assert answer.status == 400, answer
    assert api.inspect(container)["State"]["Status"] == "created"
    assert api.post(f"/containers/{container}/start").status == 204
