"""What `bulkhead` does beyond docker's verbs: it starts an engine where none runs, and speaks to people."""
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pexpect import EOF

from support import images, leftovers
from support.engines import Bulkhead

pytestmark = pytest.mark.bulkhead_only
IMAGE = "busybox:1"


@pytest.fixture
def cli(engine, make_client):
    return make_client(engine, "bulkhead")


@pytest.fixture
def alone(session_folder, request):
    """`bulkhead` with roots of its own and no engine; what it starts is ended."""
    folder = session_folder / "alone"
    binary = Bulkhead(folder, request.config.getoption("--preset")).binaries / "bulkhead"
    before = leftovers.Before()
    (folder / "home").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "BULKHEAD_"))}

    def run(*arguments, **options):
        return subprocess.run([binary, "--root", folder / "root", "--run-root", folder / "run", *arguments], env={**environment, "HOME": str(folder / "home")},
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options)

    run.folder = folder
    yield run
    for pid, command in leftovers.processes_of(folder).items():
        if "bulkheadd" in command:
            os.kill(pid, signal.SIGTERM)
    try:
        before.assert_nothing_left(folder, Bulkhead(folder).own_name())
    finally:
        leftovers.sweep(folder)


def test_starts_the_engine_where_none_runs(alone):
    assert alone("ps").returncode == 0
    loaded = alone("load", "-i", images.image_folder() / images.IMAGES[IMAGE])
    assert loaded.returncode == 0, loaded
    ran = alone("run", "--rm", IMAGE, "echo", "hello")
    assert (ran.returncode, ran.stdout) == (0, "hello\n"), ran
    engines = [command for command in leftovers.processes_of(alone.folder).values() if "bulkheadd" in command.split()[0]]
    assert len(engines) == 1, engines


def test_several_at_once_start_one_engine(alone):
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: alone("ps"), range(6)))
    assert all(result.returncode == 0 for result in results), results
    engines = [command for command in leftovers.processes_of(alone.folder).values() if "bulkheadd" in command.split()[0]]
    assert len(engines) == 1, engines


@pytest.mark.parametrize("arguments, code", [
    (["run", "no-such-image-here:1"], 125), (["run", "--rm", IMAGE, "no-such-command"], 127), (["run", "--rm", IMAGE, "/etc/not-executable"], 126),
    (["rm", "nobody"], 1), (["exec", "nobody", "true"], 1), (["logs", "nobody"], 1), (["pull", "127.0.0.1:1/x"], 1), (["nonsense"], None), (["run"], None),
    (["run", "--no-such-option", IMAGE], None), (["run", "--isolation=vm", IMAGE], 125), (["run", "--isolation=hyperv", IMAGE, "true"], 125), (["rmi", "nothing:1"], 1),
])
def test_errors_are_one_line(cli, arguments, code):
    result = cli(*arguments)
    lines = result.err.strip().splitlines()
    assert result.code == code if code is not None else result.code not in (0, 126, 127), result
    assert lines and len([line for line in lines if line.strip() and "--help" not in line and "Unable to find image" not in line]) == 1, result
    assert "terminate called" not in result.err and "what()" not in result.err


def test_where_nothing_listens(cli, tmp_path):
    """A host that was named is not replaced by an engine of our own."""
    result = cli("-H", f"unix://{tmp_path}/none.sock", "ps")
    assert result.code == 1 and f"{tmp_path}/none.sock" in result.err and len(result.err.strip().splitlines()) == 1


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_tables_fit_the_terminal(cli, columns):
    cli.ok("run", "-d", "--name", "a-name-that-is-rather-long-for-a-narrow-terminal", "--label", "x=y", IMAGE, "sleep", "100000", "and more words")
    for verb in ("ps", "images"):
        with cli.terminal(verb, columns=columns) as it:
            it.expect(EOF)
            lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in it.before.splitlines()]
        assert len(lines) >= 2 and max(map(len, lines)) <= columns, lines


def test_progress_bars(cli, registry):
    name = f"{registry.address}/big:1"
    cli("rmi", "-f", name)
    with cli.terminal("pull", name, timeout=120, columns=100) as it:
        it.expect(EOF)
        text = it.before
    assert it.exitstatus in (0, None) and ("%" in text or "MB" in text), text[-500:]
    plain = cli("pull", name)
    assert plain.code == 0 and "\x1b" not in plain.out, "no control sequences where there is no terminal"
    cli.ok("rmi", name)


def test_info_tells_the_isolation(cli):
    out = cli.ok("info")
    assert "process" in out


def test_docker_and_bulkhead_see_the_same(cli, docker):
    cli.ok("run", "-d", "--name", "seen", IMAGE, "sleep", "1000")
    assert docker.ok("ps", "--format", "{{.Names}}") == cli.ok("ps", "--format", "{{.Names}}") == "seen"
    assert docker.ok("exec", "seen", "hostname") == cli.ok("exec", "seen", "hostname")
    cli.ok("rm", "-f", "seen")
    assert docker.ok("ps", "-aq") == ""


def test_interrupt_ends_run(cli):
    process = cli.start("run", "--rm", "--init", IMAGE, "sh", "-c", "echo ready; exec sleep 1000")
    assert process.stdout.readline() == "ready\n"
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 130 and time.monotonic() - begin < 10
    process.communicate()


def test_help_of_each_verb(cli):
    verbs = re.findall(r"^  ([a-z]+)\s{2,}", cli.ok("--help").partition("Verbs:")[2], re.MULTILINE)
    assert {"run", "ps", "exec", "logs", "images", "pull", "rm", "rmi", "info"} <= set(verbs)
    for verb in verbs:
        assert "Usage:" in cli.ok(verb, "--help")
