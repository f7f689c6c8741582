"""docker attach, detach keys, and what the client's death means."""
import time

from pexpect import EOF

from support.client import DETACH, wait_until

IMAGE = "busybox:1"
COUNT = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done"


def test_output_arrives(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", COUNT)
    client = docker.start("attach", "--no-stdin", name)
    assert client.stdout.readline().startswith("tick ")
    docker.ok("kill", name)
    assert client.wait(10) == 137
    client.communicate()


def test_exit_code(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "sleep 0.7; exit 9")
    assert docker("attach", name).code == 9


def test_input_reaches_the_process(docker):
    name = docker.ok("run", "-di", IMAGE, "cat")
    client = docker.start("attach", name)
    time.sleep(0.3)
    client.stdin.write("over here\n")
    client.stdin.flush()
    assert client.stdout.readline() == "over here\n"
    docker.ok("kill", name)
    client.communicate(timeout=10)


def test_two_at_once(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", COUNT)
    clients = [docker.start("attach", "--no-stdin", name) for _ in range(2)]
    for client in clients:
        assert client.stdout.readline().startswith("tick ")
    docker.ok("kill", name)
    for client in clients:
        client.communicate(timeout=10)


def test_detach_and_attach_again(each_docker):
    docker = each_docker
    with docker.terminal("run", "-it", "--name", "shell", IMAGE, "sh") as it:
        it.expect("# ")
        it.sendline("mark=kept")
        it.expect("# ")
        it.send(DETACH)
        it.expect(EOF)
    assert it.exitstatus == 0
    assert docker.format("shell", "{{.State.Running}}") == "true"
    with docker.terminal("attach", "shell") as it:
        time.sleep(0.5)
        it.sendline("echo it is $mark")
        it.expect("it is kept")
        it.sendline("exit 4")
        it.expect(EOF)
    assert it.exitstatus == 4


def test_own_detach_keys(docker):
    name = docker.ok("run", "-dit", IMAGE, "sh")
    with docker.terminal("attach", "--detach-keys", "ctrl-a,x", name) as it:
        time.sleep(0.3)
        it.sendline("echo an''swer")
        it.expect("answer")
        it.send("\x01x")
        it.expect(EOF)
    assert docker.format(name, "{{.State.Running}}") == "true"


def test_part_of_the_detach_keys_is_input(docker):
    name = docker.ok("run", "-dit", IMAGE, "sh", "-c", "stty raw -echo; head -c 2 | od -An -tx1; sleep 100")
    with docker.terminal("attach", name) as it:
        time.sleep(0.5)
        it.send("\x10a")
        it.expect("10 61")


def test_the_clients_death_leaves_the_container(docker):
    client = docker.start("run", "-i", "--name", "alone", IMAGE, "sh", "-c", "echo up; exec sleep 100")
    assert client.stdout.readline() == "up\n"
    client.kill()
    client.communicate()
    time.sleep(0.3)
    assert docker.format("alone", "{{.State.Running}}") == "true"


def test_end_of_input_ends_cat(docker):
    name = docker.ok("create", "-i", IMAGE, "cat")
    assert docker.ok("start", "-ai", name, input="end\n", timeout=10) == "end"
    wait_until(lambda: docker.format(name, "{{.State.Status}}") == "exited")


def test_a_client_that_does_not_read_holds_nothing_up(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "sleep 0.5; seq 1 200000; echo done >/proof; sleep 1000")
    client = docker.start("attach", "--no-stdin", name)
    docker.ok("logs", "--tail", "1", name)  # the engine answers others meanwhile
    assert client.stdout.readline() == "1\n"
    client.kill()
    client.communicate()
    wait_until(lambda: docker("exec", name, "cat", "/proof").out == "done\n")


def test_of_a_stopped_container(docker):
    name = docker.ok("create", IMAGE, "true")
    docker.fails("attach", name, code=1, match="[Cc]annot attach to a stopped container")


def test_of_a_paused_container(docker, container):
    docker.ok("pause", container)
    docker.fails("attach", container, code=1, match="paused container")


def test_of_an_unknown_container(docker):
    docker.fails("attach", "nobody", code=1, match="No such container")


def test_attach_of_an_ended_container_through_the_api(docker, api):
    """POST attach?logs=1 of a container that has said something and ended gives the log, then ends."""
    name = docker.ok("run", "-d", IMAGE, "echo", "said")
    docker.ok("wait", name)
    answer = api.post(f"/containers/{name}/attach?logs=1&stdout=1&stderr=1")
    assert answer.status == 200 and answer.body == b"\x01\0\0\0\0\0\0\x05said\n"


def test_resize_of_the_container(docker, api):
    name = docker.ok("run", "-dit", IMAGE, "sh")
    assert api.post(f"/containers/{name}/resize?h=33&w=133").status == 200
    with docker.terminal("attach", name) as it:
        it.setwinsize(44, 144)
        time.sleep(0.4)
        it.sendline("stty size")
        it.expect(r"(44 144|33 133|24 80)")
