"""The `bulkhead` command: docker's verbs, the terminal, starting the engine. Also runs against dockerd: it is a client."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pexpect
import pytest

from support.client import DETACH, Docker, wait_until
from support.engines import REPOSITORY


class Bulkhead(Docker):
    """The command, with the same ways to call it as the docker client."""

    def __init__(self, binary, config_folder, host=None, arguments=()):
        super().__init__(str(binary), host or "", config_folder)
        self.environment.pop("DOCKER_HOST")
        self.environment.pop("BULKHEAD_HOST", None)
        if host:
            self.environment["BULKHEAD_HOST"] = host
        self.global_arguments = list(map(str, arguments))

    def __call__(self, *arguments, **options):
        return super().__call__(*self.global_arguments, *arguments, **options)


@pytest.fixture(scope="session")
def binary(request):
    return REPOSITORY / "build" / request.config.getoption("--preset") / "bin/bulkhead"


@pytest.fixture
def bulkhead(engine, binary, client_config):
    return Bulkhead(binary, client_config, engine.host)


def test_output_error_and_exit_code(bulkhead):
    result = bulkhead("run", "--rm", "busybox:1", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n")


@pytest.mark.bulkhead_only
def test_a_lost_vm_is_told_with_its_reason(bulkhead):
    run = bulkhead.start("run", "--isolation=hyperv", "--name", "lost", "busybox:1", "sh", "-c", "echo up; exec sleep 1000")
    assert run.stdout.readline() == "up\n"
    os.kill(int(bulkhead.format("lost", "{{.State.Pid}}")), signal.SIGKILL)
    _, error = run.communicate(timeout=60)
    assert run.returncode == 255 and error.startswith("bulkhead: ") and bulkhead.format("lost", "{{.State.Error}}") in error


def test_input_reaches_its_end(bulkhead):
    assert bulkhead.ok("run", "--rm", "-i", "busybox:1", "wc", "-c", input=b"x" * 3_000_000) == "3000000"


def test_bytes_pass_unchanged_both_ways(bulkhead):
    data = os.urandom(1_000_000)
    result = subprocess.run([bulkhead.binary, "run", "--rm", "-i", "busybox:1", "cat"], env=bulkhead.environment, input=data,
                            capture_output=True, timeout=60)
    assert result.stdout == data and result.stderr == b""


def test_without_i_no_input_is_read(bulkhead):
    assert bulkhead.ok("run", "--rm", "busybox:1", "wc", "-c", input="nobody reads this") == "0"


def test_options_after_the_image_are_the_commands(bulkhead):
    assert bulkhead.ok("run", "--rm", "busybox:1", "echo", "--rm", "-it", "--name=x", "--", "-e") == "--rm -it --name=x -- -e"


@pytest.mark.parametrize("command, code", [("/no/such/file", 127), ("no-such-command", 127), ("/etc", 126),
                                           ("/etc/not-executable", 126)])
def test_exit_codes_of_a_failed_start(bulkhead, command, code):
    error = bulkhead.fails("run", "--rm", "busybox:1", command, code=code)
    assert error.startswith("bulkhead: ") and error.count("\n") == 1


@pytest.mark.parametrize("arguments, code, says", [
    (("run", "--bogus", "busybox:1"), 125, "unknown option: --bogus; see 'bulkhead run --help'"),
    (("run",), 125, "requires at least 1 argument"),
    (("run", "--memory", "lots", "busybox:1", "true"), 125, "lots"),
    (("run", "--isolation", "thick", "busybox:1", "true"), 125, "thick"),
    (("run", "--pull", "never", "no-such-image", "true"), 125, "bulkhead pull"),
    (("logs", "nobody"), 1, "No such container: nobody; 'bulkhead ps -a' lists them"),
    (("inspect", "nobody"), 1, "'bulkhead ps -a'"),
    (("rmi", "nobody"), 1, "'bulkhead images' lists them"),
    (("frobnicate",), 125, "'bulkhead --help' lists them"),
])
def test_errors_are_one_line_that_says_what_to_do(bulkhead, against, arguments, code, says):
    if against != "bulkhead" and "--isolation" in arguments:
        pytest.skip("the reference knows no isolation")
    error = bulkhead.fails(*arguments, code=code)
    assert error.startswith("bulkhead: ") and error.count("\n") == 1 and says in error


def test_name_conflict_names_the_way_out(bulkhead):
    bulkhead.ok("create", "--name", "taken", "busybox:1")
    assert "--name" in bulkhead.fails("run", "--name", "taken", "busybox:1", code=125)


def test_detached_life(bulkhead):
    container = bulkhead.ok("run", "-d", "--name", "life", "busybox:1", "sleep", "1000")
    assert re.fullmatch("[0-9a-f]{64}", container)
    assert bulkhead.ok("ps", "-q", "--no-trunc") == container
    assert bulkhead.ok("exec", "life", "cat", "/proc/1/comm") == "sleep"
    assert bulkhead.ok("pause", "life") == "life"
    assert "Paused" in bulkhead.ok("ps", "--format", "{{.Status}}")
    bulkhead.ok("unpause", "life")
    assert "sleep 1000" in bulkhead.ok("top", "life")
    bulkhead.ok("rename", "life", "afterlife")
    assert bulkhead.ok("kill", "-s", "KILL", "afterlife") == "afterlife"
    assert bulkhead.ok("wait", "afterlife") == "137"
    assert bulkhead.fails("rm", "afterlife", "nobody", code=1).count("\n") == 1
    assert bulkhead.ok("ps", "-aq") == ""


def test_exec_streams_and_code(bulkhead):
    bulkhead.ok("run", "-d", "--name", "host", "busybox:1", "sleep", "1000")
    result = bulkhead("exec", "-i", "-e", "A=b", "-w", "/tmp", "host", "sh", "-c", "echo $A; pwd >&2; cat; exit 5", input="in\n")
    assert (result.code, result.out, result.err) == (5, "b\nin\n", "/tmp\n")
    assert bulkhead("exec", "host", "no-such-command").code in (126, 127)


def test_logs_keep_streams_apart(bulkhead):
    bulkhead("run", "--name", "talker", "busybox:1", "sh", "-c", "echo one; echo two >&2; sleep 0.2; echo three")
    result = bulkhead("logs", "talker")
    assert (result.out, result.err) == ("one\nthree\n", "two\n")
    assert bulkhead.ok("logs", "--tail", "1", "talker").strip() == "three"
    assert re.match(r"\d{4}-\d\d-\d\dT", bulkhead.ok("logs", "-t", "talker"))
    assert bulkhead.ok("logs", "--until", "1h", "talker") == ""


def test_start_attached(bulkhead):
    bulkhead.ok("create", "-i", "--name", "later", "busybox:1", "cat")
    assert bulkhead.ok("start", "-ai", "later", input="hello") == "hello"
    assert bulkhead.ok("start", "later") == "later"


def test_signals_reach_the_container(bulkhead):
    client = bulkhead.start("run", "--rm", "busybox:1", "sh", "-c", "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done")
    assert client.stdout.readline() == "ready\n"
    client.send_signal(signal.SIGTERM)
    out, _ = client.communicate(timeout=20)
    assert (client.returncode, out) == (9, "caught\n")


def test_terminal(bulkhead):
    terminal = bulkhead.terminal("run", "--rm", "-it", "busybox:1", "sh", rows=33, columns=101)
    terminal.sendline("stty size; echo $((20+3))")
    terminal.expect("33 101")
    terminal.expect("23\r\n")
    terminal.setwinsize(44, 99)
    wait_until(lambda: resized(terminal), what="the new size inside")
    terminal.sendline("exit 3")
    terminal.wait()
    assert terminal.exitstatus == 3


def resized(terminal):
    terminal.sendline("stty size")
    return terminal.expect([r"44 99\r\n", r"33 101\r\n"]) == 0


def test_interrupt_is_the_containers(bulkhead):
    terminal = bulkhead.terminal("run", "--rm", "-it", "busybox:1", "sh", "-c", "trap 'echo in''terrupted; exit 4' INT; echo go; while :; do sleep 0.1; done")
    terminal.expect("go\r\n")
    terminal.send("\x03")
    terminal.expect("interrupted")
    terminal.wait()
    assert terminal.exitstatus == 4


def test_detach_keys(bulkhead):
    terminal = bulkhead.terminal("run", "-it", "--name", "kept", "busybox:1", "sh")
    terminal.sendline("echo $((40+2))")
    terminal.expect("42\r\n")
    terminal.send(DETACH)
    terminal.wait()
    assert terminal.exitstatus == 0
    assert bulkhead.format("kept", "{{.State.Status}}") == "running"
    terminal = bulkhead.terminal("attach", "kept")
    terminal.sendline("echo $((50+4)); exit 6")
    terminal.expect("54\r\n")
    terminal.wait()
    assert terminal.exitstatus == 6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, None])
def test_the_terminal_is_restored(bulkhead, number):
    """A shell on the terminal runs the client, which is ended by a signal or by its container's end."""

    shell = pexpect.spawn("/bin/sh", env={**bulkhead.environment, "PS1": "$ "}, encoding="utf-8", timeout=20)
    shell.sendline("stty -a > /tmp/before.$$; echo ma''rk")
    shell.expect("mark")
    shell.sendline(f"{bulkhead.binary} run --rm -it --sig-proxy=false --name raw busybox:1 sh; stty -a | cmp - /tmp/before.$$ && echo sa''me; rm /tmp/before.$$")
    shell.expect("# ")
    if number is None:
        shell.sendline("exit")
    else:
        for pid in clients_of(bulkhead, "raw"):
            os.kill(pid, number)
    shell.expect("same")
    shell.close(force=True)


def clients_of(bulkhead, name):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].decode() == bulkhead.binary and name.encode() in words and pid_environment(entry) == bulkhead.environment["BULKHEAD_HOST"]:
                found.append(int(entry.name))
    assert found
    return found


def pid_environment(entry):
    for line in (entry / "environ").read_bytes().split(b"\0"):
        if line.startswith(b"BULKHEAD_HOST="):
            return line.partition(b"=")[2].decode()
    return None


def test_tables_fit_the_terminal(bulkhead):
    bulkhead.ok("run", "-d", "--name", "a-container-with-a-name-that-is-much-too-long-for-a-narrow-terminal", "busybox:1", "sleep", "1000")
    terminal = bulkhead.terminal("ps", rows=24, columns=90)
    lines = terminal.read().splitlines()
    assert len(lines) == 2 and all(len(line) <= 90 for line in lines)
    assert "…" in lines[1]
    assert "much-too-long-for-a-narrow-terminal" in bulkhead.ok("ps")  # no terminal, no limit
    assert "IMAGE ID" in bulkhead.ok("images")


def test_escape_sequences_of_a_container_stay_out_of_tables(bulkhead):
    bulkhead.ok("run", "-d", "busybox:1", "sh", "-c", "sleep 1000; \x1b]0;owned\x07")
    assert "\x1b" not in bulkhead.ok("ps", "--no-trunc")


def test_formats(bulkhead):
    container = bulkhead.ok("create", "--name", "formed", "-l", "a=b", "busybox:1", "true")
    row = json.loads(bulkhead.ok("ps", "-a", "--format", "json"))
    assert row["Names"] == "formed" and row["Labels"].endswith("a=b") or "a=b" in row["Labels"]
    assert bulkhead.ok("ps", "-a", "--no-trunc", "--format", "{{.ID}}\\t{{.Names}}") == f"{container}\tformed"
    assert bulkhead.ok("inspect", "-f", "{{json .Config.Cmd}}", "formed") == '["true"]'
    assert json.loads(bulkhead.ok("inspect", "formed", "busybox:1"))[1]["RepoTags"] == ["busybox:1"]


def test_images_tag_history_rmi(bulkhead):
    bulkhead.ok("tag", "busybox:1", "example.test:5000/other:2")
    assert bulkhead.ok("images", "--format", "{{.Repository}}:{{.Tag}}", "example.test:5000/other") == "example.test:5000/other:2"
    assert "layer 0" in bulkhead.ok("history", "--no-trunc", "busybox:1")
    assert bulkhead.ok("rmi", "example.test:5000/other:2").startswith("Untagged: example.test:5000/other:2")


def test_import(bulkhead, tmp_path):
    (tmp_path / "hello").write_text("from the archive")
    archive = tmp_path / "root.tar"
    subprocess.run(["tar", "-C", tmp_path, "-cf", archive, "./hello"], check=True)
    image = bulkhead.ok("import", archive, "imported:1")
    assert image.startswith("sha256:")
    assert bulkhead.ok("images", "-q", "--no-trunc", "imported:1") == image
    bulkhead.ok("rmi", "imported:1")


def test_pull_plain_and_on_a_terminal(own_engine, binary, client_config, registry):
    bulkhead = Bulkhead(binary, client_config, own_engine.host)
    name = f"{registry.address}/debian:12"
    plain = bulkhead.ok("pull", name, timeout=120)
    assert "Pull complete" in plain and f"Downloaded newer image for {name}" in plain and "\x1b" not in plain and "[=" not in plain
    assert plain.endswith(f"\n{name}")
    bulkhead.ok("rmi", name)
    drawn = bulkhead.terminal("pull", name, rows=24, columns=60, timeout=120).read()
    assert "Downloading [" in drawn and "Pull complete" in drawn and "\x1b[1A" in drawn
    layers = [line for line in re.split(r"[\r\n]+|\x1b\[[0-9]*[A-Z]", drawn) if re.match(r"[0-9a-f]{12}: ", line)]
    assert layers and all(len(line) <= 60 for line in layers)
    assert bulkhead.ok("pull", "-q", name) == name


def test_run_pulls_what_is_missing(bulkhead, registry):
    name = f"{registry.address}/busybox:1"
    result = bulkhead("run", "--rm", name, "echo", "hello")
    assert result.code == 0 and result.out == "hello\n", result
    assert "Unable to find image" in result.err
    bulkhead.ok("rmi", name)


def test_cidfile(bulkhead, tmp_path):
    path = tmp_path / "id"
    assert bulkhead.ok("create", "--cidfile", path, "busybox:1") == path.read_text()
    bulkhead.fails("create", "--cidfile", path, "busybox:1", code=1)
    bulkhead.fails("run", "--cidfile", tmp_path / "other", "--isolation", "thick", "busybox:1", code=125)
    assert not (tmp_path / "other").exists()


def test_closed_output_ends_the_client(bulkhead):
    client = bulkhead.start("run", "--rm", "--name", "chatter", "busybox:1", "yes")
    client.stdout.readline()
    client.stdout.close()
    assert client.wait(timeout=20) != 0


def test_version_and_info(bulkhead):
    assert "API version" in bulkhead.ok("version")
    assert "Kernel version" in bulkhead.ok("info")
    assert json.loads(bulkhead.ok("version", "--format", "json"))["Client"]["Version"]


# ---- starting the engine ------------------------------------------------------------------------------------------------------


@pytest.fixture
def starter(binary, client_config, session_folder, tmp_path):
    """A client that finds no engine. What it starts is ended, by the id in /proc of whoever serves the folder."""
    folder = session_folder / f"start-{tmp_path.name}"
    client = Bulkhead(binary, client_config, arguments=("--root", folder / "root", "--run-root", folder / "run"))
    client.folder = folder
    yield client
    for pid in daemons_of(folder):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not daemons_of(folder), what="the engine's end")


def daemons_of(folder):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if os.path.basename(words[0]) == "bulkheadd" and str(folder / "root") in words:
                found.append(int(entry.name))
    return found


@pytest.mark.bulkhead_only
def test_starts_the_engine_where_none_runs(starter):
    assert starter.ok("ps", "-q") == ""
    (daemon,) = daemons_of(starter.folder)
    assert os.getsid(daemon) == daemon, "it would get the terminal's signals"
    assert os.readlink(f"/proc/{daemon}/cwd") == "/"
    assert "listening" in (starter.folder / "run/bulkheadd.log").read_text()
    assert starter.ok("ps", "-q") == "" and daemons_of(starter.folder) == [daemon]


@pytest.mark.bulkhead_only
def test_clients_at_once_start_one_engine(starter):
    clients = [subprocess.Popen([starter.binary, *starter.global_arguments, "ps", "-q"], env=starter.environment,
                                stdin=subprocess.DEVNULL) for _ in range(6)]
    assert [client.wait(timeout=60) for client in clients] == [0] * 6
    wait_until(lambda: len(daemons_of(starter.folder)) == 1, what="the slower engines' end")


@pytest.mark.bulkhead_only
def test_descriptors_of_the_caller_do_not_live_on_in_the_engine(starter):
    """`bulkhead ps | cat` must end although the engine that it started goes on."""
    start = time.monotonic()
    done = subprocess.run(["sh", "-c", f"{starter.binary} {' '.join(starter.global_arguments)} ps -q 9>&1 | cat"],
                          env=starter.environment, capture_output=True, timeout=60)
    assert done.returncode == 0 and time.monotonic() - start < 50


@pytest.mark.bulkhead_only
def test_an_engine_that_cannot_start_says_why(starter):
    starter.folder.mkdir()
    (starter.folder / "root").write_text("a file, no folder")
    error = starter.fails("ps", code=1)
    assert error.count("\n") == 1 and "bulkheadd.log" in error and str(starter.folder / "root") in error


def test_no_engine_to_start(binary, client_config, tmp_path):
    lonely = tmp_path / "bulkhead"
    lonely.write_bytes(binary.read_bytes())
    lonely.chmod(0o755)
    client = Bulkhead(lonely, client_config, f"unix://{tmp_path}/none.sock")
    error = client.fails("ps", code=1)
    assert "no engine listens at" in error and "--host" in error and error.count("\n") == 1


def test_bad_hosts(binary, client_config):
    for host in ("http://x", "unix://relative", "tcp://h:x"):
        error = Bulkhead(binary, client_config, host).fails("ps", code=1)
        assert host in error and error.count("\n") == 1
