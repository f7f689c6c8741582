"""What docker run says and returns when it can't run: 125 the engine, 126 can't execute, 127 not found."""
import pytest

IMAGE = "busybox:1"


@pytest.mark.parametrize("command, code, message", [
    (["no-such-command"], 127, r'exec: "no-such-command": executable file not found in \$PATH'),
    (["/no/such/file"], 127, "/no/such/file.*no such file or directory"),
    (["/etc/not-executable"], 126, "permission denied"),
    (["/etc"], 126, "is a directory|permission denied"),
])
def test_commands_that_cannot_run(docker, command, code, message):
    docker.fails("run", "--rm", IMAGE, *command, code=code, match=message)


def test_working_directory_that_is_a_file(docker):
    docker.fails("run", "--rm", "-w", "/etc/passwd", IMAGE, "true", code=126, match="/etc/passwd.*not a directory")


def test_the_failed_container_is_left_as_created(docker):
    docker.fails("run", "--name", "failed", IMAGE, "no-such-command", code=127)
    state = docker.inspect("failed")["State"]
    assert state["Status"] == "created" and state["ExitCode"] == 127 and "no-such-command" in state["Error"]


def test_and_start_tells_the_same(docker):
    docker.ok("create", "--name", "bad", IMAGE, "no-such-command")
    docker.fails("start", "bad", code=1, match="no-such-command.*not found")


@pytest.mark.parametrize("options, message", [
    (["--memory", "1m"], "Minimum memory limit"),
    (["--cpus", "1000"], "Range of CPUs is from"),
    (["--cpus", "-1"], "Range of CPUs is from|invalid|CPU"),
    (["--cpu-shares", "-1"], "cpu.shares|shares: invalid"),
    (["--cpu-shares", "1"], "minimum allowed cpu-shares is 2"),
    (["--blkio-weight", "5"], "range of blkio weight is from 10 to 1000|10 and 1000|10 to 1000"),
    (["--cpuset-cpus", "900"], "Requested CPUs are not available"),
    (["--user", "nobody-knows"], "unable to find user nobody-knows: no matching entries in passwd file"),
    (["--user", "0:nogroupatall"], "unable to find group nogroupatall"),
    (["--cap-add", "NOT_A_CAP"], "NOT_A_CAP"),
    (["--cap-drop", "NOT_A_CAP"], "NOT_A_CAP"),
    (["--security-opt", "seccomp=/no/such/file"], "seccomp"),
    (["--security-opt", "nonsense"], "security-opt"),
    (["--network", "no-such-network"], "no-such-network.*not found"),
    (["--ulimit", "nofile=2000:1000"], "ulimit"),
    (["--stop-signal", "NOSUCH"], "invalid signal: NOSUCH"),
    (["--runtime", "no-such-runtime"], "runtime"),
    (["--mount", "type=bind,src=/no/such/source,dst=/x"], "bind source path does not exist|/no/such/source"),
    (["-v", "/tmp:relative"], "invalid|must be absolute|not an absolute"),
    (["-v", "/tmp:/x:nocopy"], "invalid volume specification|invalid mode"),  # of volumes only
    (["--tmpfs", "relative"], "invalid|absolute"),
    (["-v", "/tmp:/"], "destination can't be '/'"),
    (["--hostname", "x" * 70], "hostname|invalid|too long"),
    (["--shm-size", "-1"], "SHM size|invalid"),
    (["--pids-limit", "abc"], "invalid"),
])
def test_bad_options(docker, api, options, message):
    docker.fails("run", "--rm", *options, IMAGE, "true", code=125, match=message)
    leftover = [item for item in api.get("/containers/json?all=1").json() if item["State"] == "running"]
    assert not leftover


def test_negative_retries(docker):
    docker.fails("run", "--restart", "on-failure:-1", IMAGE, "true", code=125, match="cannot be negative")


def test_a_variable_without_a_name(docker, api):
    answer = api.post("/containers/create", {"Image": IMAGE, "Cmd": ["true"], "Env": ["=x"]})
    assert answer.status == 400 and "environment variable" in answer.message


def test_an_empty_word_is_no_command(docker):
    docker.fails("run", "--rm", IMAGE, "", code=127, match='exec: "": executable file not found')


def test_unknown_restart_policy(docker):
    docker.fails("run", "--restart", "sometimes", IMAGE, "true", code=125, match="restart policy")


def test_unknown_image_is_pulled_and_not_found(docker, registry):
    docker.fails("run", "--rm", f"{registry.address}/no-such-image:1", "true", code=125,
                 match="manifest unknown|not found|does not exist|pull access denied")


def test_pull_never(docker):
    docker.fails("run", "--rm", "--pull", "never", "not-here:1", "true", code=125, match="No such image: not-here:1")


@pytest.mark.parametrize("reference", ["UPPER", "a::b", "a@sha256:12", "-x/y"])
def test_bad_reference(docker, reference):
    assert docker("run", "--rm", "--", reference, "true").code == 125


def test_no_command(docker, api):
    answer = api.post("/containers/create", {"Image": IMAGE, "Entrypoint": [""], "Cmd": []})
    assert answer.status == 400 and "No command specified" in answer.message, answer
