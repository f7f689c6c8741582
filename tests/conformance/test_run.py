"""docker run: streams, exit codes, and the options that shape the process."""
import re
import signal
import time

import pytest
from pexpect import EOF

from support.client import wait_until

IMAGE = "busybox:1"


def run(docker, *arguments, **options):
    return docker("run", "--rm", *arguments, **options)


def sh(docker, script, *options):
    return docker.ok("run", "--rm", *options, IMAGE, "sh", "-c", script)


def test_output_and_exit_code(each_docker):
    result = each_docker("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 0")
    assert (result.code, result.out, result.err) == (0, "out\n", "err\n")


@pytest.mark.parametrize("code", [0, 1, 3, 42, 125, 126, 127, 128, 255])
def test_the_commands_exit_code_is_the_clients(docker, code):
    assert run(docker, IMAGE, "sh", "-c", f"exit {code}").code == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT])
def test_death_by_signal_is_128_plus_n(docker, number):
    # The inner shell is not PID 1, so the signal works; `exec` would make it PID 1, which ignores what it does not handle.
    assert run(docker, "--init", IMAGE, "sh", "-c", f"kill -{int(number)} $$").code == 128 + number


def test_standard_input(docker):
    assert run(docker, "-i", IMAGE, "cat", input="one\ntwo\n").out == "one\ntwo\n"


def test_without_i_standard_input_is_empty(docker):
    assert run(docker, IMAGE, "cat", input="not for you").out == ""


def test_a_megabyte_through_stdin_and_stdout(docker):
    data = "".join(f"line {number}\n" for number in range(100_000))
    result = run(docker, "-i", IMAGE, "cat", input=data)
    assert result.code == 0 and result.out == data


def test_bytes_are_not_changed(docker):
    assert sh(docker, r"printf '\377\000\001'").encode(errors="surrogateescape") == b"\xff\x00\x01"


def test_streams_stay_apart_and_whole(docker):
    result = run(docker, IMAGE, "sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done")
    assert result.out.split() == [f"o{number}" for number in range(2000)]
    assert result.err.split() == [f"e{number}" for number in range(2000)]


def test_terminal(each_docker):
    # The client sets the size once the container has started.
    with each_docker.terminal("run", "--rm", "-it", IMAGE, "sh", "-c", "tty; until stty size 2>/dev/null | grep .; do sleep 0.05; done; read x; echo got $x", rows=30, columns=100) as it:
        it.expect("/dev/pts/0")
        it.expect("30 100")
        it.sendline("hello")
        it.expect("got hello")
        it.expect(EOF)
    assert it.exitstatus == 0


def test_terminal_exit_code_and_job_control(docker):
    with docker.terminal("run", "--rm", "-it", IMAGE, "sh") as it:
        it.expect("# ")
        it.sendline("echo sta''rted; sleep 100")
        it.expect("started\r\n")
        time.sleep(0.5)  # the shell forks sleep and gives it the terminal
        it.sendcontrol("c")
        it.expect("# ")
        it.sendline("exit 7")
        it.expect(EOF)
    assert it.exitstatus == 7


def test_t_without_terminal_is_refused_by_the_client(docker):
    docker.fails("run", "--rm", "-it", IMAGE, "true", code=1, match="not a TTY", input="")


def test_detached_prints_the_id(docker):
    out = docker.ok("run", "-d", IMAGE, "sleep", "100")
    assert re.fullmatch("[0-9a-f]{64}", out)
    assert docker.format(out, "{{.State.Running}}") == "true"


def test_rm_removes(docker, api):
    name = "gone-after"
    run(docker, "--name", name, IMAGE, "true")
    wait_until(lambda: api.get(f"/containers/{name}/json").status == 404, what="--rm")


def test_environment(docker):
    out = sh(docker, "env", "-e", "A=1", "-e", "B=two words", "-e", "EMPTY=").splitlines()
    assert {"A=1", "B=two words", "EMPTY=", "HOME=/root"} <= set(out)
    assert any(line.startswith("PATH=/usr/local/sbin") for line in out)
    assert re.search("HOSTNAME=[0-9a-f]{12}", "\n".join(out))


def test_environment_overrides_the_images(docker):
    assert sh(docker, "/bin/echo $PATH", "-e", "PATH=/bin") == "/bin"


def test_term_is_set_with_a_terminal(docker):
    with docker.terminal("run", "--rm", "-t", IMAGE, "sh", "-c", "echo TERM=$TERM.") as it:
        it.expect_exact("TERM=xterm.")


def test_workdir_is_made(docker):
    assert sh(docker, "pwd", "-w", "/made/for/me") == "/made/for/me"


def test_workdir_must_be_absolute(docker):
    docker.fails("run", "--rm", "-w", "relative", IMAGE, "pwd", code=125, match="working directory 'relative' is invalid, it needs to be an absolute path")


def test_entrypoint(docker):
    assert docker.ok("run", "--rm", "--entrypoint", "/bin/echo", IMAGE, "a", "b") == "a b"


def test_default_command_is_the_images(docker):
    assert docker.ok("run", "--rm", "-i", IMAGE, input="echo from $0\n") == "from sh"


def test_hostname(docker):
    assert sh(docker, "hostname; cat /etc/hostname; grep -c wall /etc/hosts", "--hostname", "wall").split() == ["wall", "wall", "1"]


def test_hostname_is_the_short_id(docker):
    name = docker.ok("run", "-d", IMAGE, "sleep", "100")
    assert docker.ok("exec", name, "hostname") == name[:12]


def test_domainname(docker):
    assert sh(docker, "hostname; cat /proc/sys/kernel/domainname", "--hostname", "a", "--domainname", "b.c").split() == ["a", "b.c"]


def test_add_host(docker):
    assert re.search(r"^10\.1\.2\.3\s+other$", sh(docker, "cat /etc/hosts", "--add-host", "other:10.1.2.3"), re.MULTILINE)


def test_hosts_has_localhost(docker):
    hosts = sh(docker, "cat /etc/hosts")
    assert re.search(r"^127\.0\.0\.1\s+localhost$", hosts, re.MULTILINE) and re.search(r"^::1\s+localhost", hosts, re.MULTILINE)


def test_dns_options(docker):
    out = sh(docker, "cat /etc/resolv.conf", "--dns", "10.9.8.7", "--dns-search", "example.test", "--dns-option", "ndots:3")
    assert "nameserver 10.9.8.7" in out and "search example.test" in out and "options ndots:3" in out


def test_init_reaps_orphans(docker):
    name = docker.ok("run", "-d", "--init", IMAGE, "sleep", "100")
    docker.ok("exec", name, "sh", "-c", "(sleep 0.1 &) ; true")
    processes = docker.ok("exec", name, "sh", "-c", "sleep 0.4; ps -o pid,stat,args")
    assert " Z" not in processes
    assert re.search(r"^\s*1\s.*init", processes, re.MULTILINE), processes


def test_init_forwards_signals(docker):
    name = docker.ok("run", "-d", "--init", IMAGE, "sleep", "100")
    wait_until(lambda: "sleep 100" in docker.ok("exec", name, "ps", "-o", "args"))  # init has begun its work then
    docker.ok("stop", "-t", "20", name, timeout=10)
    assert docker.format(name, "{{.State.ExitCode}}") == "143"


def test_labels(docker):
    name = docker.ok("run", "-d", "--label", "a=b", "--label", "empty", IMAGE, "sleep", "100")
    assert docker.inspect(name)["Config"]["Labels"] == {"a": "b", "empty": "", "made.by": "bulkhead-tests"}


def test_stop_signal(docker):
    name = docker.ok("run", "-d", "--stop-signal", "USR1", IMAGE, "sh", "-c", "trap 'echo usr1; exit 9' USR1; echo ready; while :; do sleep 0.05; done")
    wait_until(lambda: docker.ok("logs", name) == "ready")
    docker.ok("stop", name)
    assert docker.ok("logs", name).split() == ["ready", "usr1"] and docker.format(name, "{{.State.ExitCode}}") == "9"


def test_cidfile(docker, tmp_path):
    docker.ok("run", "--rm", "--cidfile", tmp_path / "id", IMAGE, "true")
    assert re.fullmatch("[0-9a-f]{64}", (tmp_path / "id").read_text())


def test_attach_only_stdout(docker):
    result = run(docker, "-a", "stdout", IMAGE, "sh", "-c", "echo out; echo err >&2")
    assert (result.out, result.err) == ("out\n", "")


def test_signals_reach_the_process(docker):
    process = docker.start("run", "--rm", "--init", IMAGE, "sh", "-c", "echo ready; exec sleep 100")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143
    process.communicate()


def test_name_in_use(docker):
    docker.ok("run", "-d", "--name", "taken", IMAGE, "sleep", "100")
    docker.fails("run", "--name", "taken", IMAGE, "true", code=125, match=r'Conflict\. The container name "/taken" is already in use by container')


@pytest.mark.parametrize("name", ["a/b", "-a", "a b", "..", "ü"])
def test_bad_names(docker, name):
    docker.fails("create", f"--name={name}", IMAGE, "true", code=1, match="Invalid container name")


def test_many_at_once(docker):
    clients = [docker.start("run", "--rm", IMAGE, "echo", str(number)) for number in range(12)]
    for number, client in enumerate(clients):
        out, err = client.communicate(timeout=60)
        assert (client.returncode, out) == (0, f"{number}\n"), err
