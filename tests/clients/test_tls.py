"""The API over TLS: the real docker client with certificates of the openssl program, and all who must not be let in."""
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pexpect
import pytest

from support.certificates import Authority
from support.client import Docker, client_path, installed_clients, wait_until
from support.live_engine import live_engine

IMAGE = "busybox:1"
pytestmark = pytest.mark.bulkhead_only

ALLOW_ALL = "- {name: all, match: any, allow: all}\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def files_of(folder):
    return ["--tlscacert", folder / "ca.pem", "--tlscert", folder / "cert.pem", "--tlskey", folder / "key.pem"]


@pytest.fixture(scope="module")
def authority(session_folder):
    return Authority(session_folder / "ours", "ours")


@pytest.fixture(scope="module")
def server_files(authority):
    return authority.make("server", "/CN=engine", "subjectAltName=IP:127.0.0.1,DNS:localhost", "extendedKeyUsage=serverAuth")


@pytest.fixture(scope="module")
def client_files(authority):
    return authority.make("client", "/O=Example/CN=ci.example", "extendedKeyUsage=clientAuth")


@pytest.fixture(scope="module")
def policy_file(session_folder):
    path = session_folder / "tls-policy.yaml"

    def write(rules, head=""):
        new = path.with_suffix(".new")
        new.write_text(f"version: 1\n{head}rules:\n{rules}")
        os.chmod(new, 0o644)
        os.replace(new, path)

    write(ALLOW_ALL)
    write.path = path
    return write


@pytest.fixture(scope="module")
def tls_engine(make_engine, server_files, policy_file):
    port = free_port()
    engine = make_engine(arguments=["--tlsverify", *map(str, files_of(server_files)), "--host", f"tcp://127.0.0.1:{port}",
                                    "--policy", str(policy_file.path)])
    engine.port = port
    with live_engine(engine):
        yield engine


@pytest.fixture
def engine(tls_engine, policy_file, request):
    """Overrides the shared one: this engine serves TLS."""
    request.node.engines = [(tls_engine, tls_engine.log.stat().st_size)]
    policy_file(ALLOW_ALL)
    yield tls_engine
    assert tls_engine.alive()
    policy_file(ALLOW_ALL)
    tls_engine.api.remove_all_containers()


@pytest.fixture
def client_of(engine, client_config, request):
    """A client that talks TLS with the certificate of a folder (docker's variables, as users set them)."""

    def make(folder, binary=None, host="127.0.0.1"):
        binary = binary or client_path(request.config.getoption("--client"), request.config.getoption("--preset"))
        docker = Docker(binary, f"tcp://{host}:{engine.port}", client_config)
        docker.environment.update(DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(folder))
        return docker

    return make


@pytest.fixture(params=[*installed_clients(), "bulkhead"], ids=lambda path: path.strip("/").replace("/", "-"))
def docker(request, client_of, client_files):
    """Once for each installed version of the docker client, and for our own."""
    return client_of(client_files, client_path(request.param, request.config.getoption("--preset")))


def test_the_usual_commands(docker):
    assert re.search(r"^(Server|Engine):", docker.ok("version"), re.MULTILINE)
    assert docker.ok("run", "--rm", IMAGE, "echo", "through TLS") == "through TLS"
    result = docker("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.code, result.out, result.err) == (3, "out\n", "err\n")


def test_the_end_of_input_is_passed_on_and_output_goes_on(docker):
    name = docker.ok("run", "-d", IMAGE, "sleep", "1000")
    assert docker.ok("exec", "-i", name, "sh", "-c", "cat; echo the end", input="one\ntwo\n") == "one\ntwo\nthe end"
    assert docker.ok("run", "-i", "--rm", IMAGE, "wc", "-c", input=b"x" * 3_000_000).strip() == "3000000"


def test_much_output_comes_whole(docker):
    name = docker.ok("run", "-d", IMAGE, "sleep", "1000")
    assert len(docker.ok("exec", name, "head", "-c", "20000000", "/dev/zero", timeout=120)) == 20_000_000


def test_following_a_log(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "echo first; while [ ! -e /go ]; do sleep 0.05; done; echo second")
    following = docker.start("logs", "-f", name)
    try:
        assert following.stdout.readline() == "first\n"
        docker("exec", name, "touch", "/go")  # the container's end may overtake its own
        assert following.stdout.readline() == "second\n"
        assert following.wait(20) == 0
    finally:
        following.kill()
        following.communicate()


def test_attaching(docker):
    name = docker.ok("create", "-i", IMAGE, "sh", "-c", "read line; echo got $line; cat; exit 7")
    docker.ok("start", name)
    result = docker("attach", name, input="hello\nmore\n")
    assert (result.code, result.out) == (7, "got hello\nmore\n")


def test_a_terminal(docker):
    shell = docker.terminal("run", "-it", "--rm", IMAGE, "sh", rows=31, columns=101)
    try:
        shell.expect("# ")
        wait_until(lambda: type_line(shell, "stty size", r"31 101"), what="the size")
        shell.sendline("exit 5")
        shell.expect(pexpect.EOF)
        shell.close()
        assert shell.exitstatus == 5
    finally:
        shell.close(force=True)


def type_line(shell, line, answer):
    shell.sendline(line)
    return shell.expect([answer, pexpect.TIMEOUT], timeout=2) == 0


def test_detaching_leaves_the_container(docker):
    shell = docker.terminal("run", "-it", "--name", "left", IMAGE, "sh")
    try:
        shell.expect("# ")
        shell.send("\x10\x11")
        shell.expect(pexpect.EOF)
    finally:
        shell.close(force=True)
    assert docker.inspect("left")["State"]["Running"] is True


def test_an_interrupted_follower_leaves_nothing_waiting(engine, docker):
    name = docker.ok("run", "-d", IMAGE, "sleep", "1000")
    following = [docker.start("logs", "-f", name) for _ in range(5)]
    tasks = f"/proc/{engine.process.pid}/task"
    wait_until(lambda: len(os.listdir(tasks)) >= 10, what="the followers' threads")
    for process in following:
        process.kill()
        process.communicate()
    docker.ok("rm", "-f", name)
    wait_until(lambda: len(os.listdir(tasks)) < 10, what="the followers' threads to end")


@pytest.fixture(params=[*installed_clients(), "bulkhead"], ids=lambda path: path.strip("/").replace("/", "-"))
def stranger(request, client_of):
    """Makes each client with the certificate of a folder."""
    return lambda folder, **options: client_of(folder, client_path(request.param, request.config.getoption("--preset")), **options)


def refused(docker, match):
    begin = time.monotonic()
    result = docker("ps", timeout=30)
    assert result.code != 0 and re.search(match, result.err, re.IGNORECASE), result
    assert time.monotonic() - begin < 25


def test_without_a_certificate(stranger, authority, client_files, tmp_path, engine):
    shutil.copy(client_files / "ca.pem", tmp_path)
    refused(stranger(tmp_path), "certificate required|bad certificate")
    assert "is not let in: the client presented no certificate" in engine.log_tail()


def test_with_a_certificate_of_another_authority(stranger, session_folder, authority, engine):
    folder = session_folder / "theirs"
    if not folder.exists():
        made = Authority(folder, "ours").make("client", "/CN=ci.example", "extendedKeyUsage=clientAuth")
        shutil.copy(authority.certificate, made / "ca.pem")
    refused(stranger(folder / "client"), "unknown (ca|certificate authority)|bad certificate|decrypt error|certificate")
    assert "the client's certificate is refused" in engine.log_tail()


def test_with_a_certificate_that_has_expired(stranger, authority, engine):
    folder = authority.folder / "expired"
    if not folder.exists():
        authority.make("expired", "/CN=ci.example", "extendedKeyUsage=clientAuth", days=-1)
    refused(stranger(folder), "expired")
    assert "the client's certificate is refused: certificate has expired" in engine.log_tail()


def test_with_a_certificate_for_servers(stranger, server_files):
    refused(stranger(server_files), "certificate")


def test_with_a_name_that_is_none(stranger, authority):
    folder = authority.folder / "two-names"
    if not folder.exists():
        authority.make("two-names", "/CN=ci.example/CN=root", "extendedKeyUsage=clientAuth")
    refused(stranger(folder), "common name of the client's certificate is there more than once")


def test_plain_http_on_the_port(engine, docker):
    for variable in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        docker.environment.pop(variable)
    refused(docker, "HTTP request to an HTTPS server|served with TLS only")


def test_what_is_neither_is_closed(engine):
    with socket.create_connection(("127.0.0.1", engine.port), timeout=20) as connection:
        connection.sendall(os.urandom(4096))
        try:
            while connection.recv(4096):
                pass
        except ConnectionResetError:
            pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_of_tls_are_refused(engine, client_files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(client_files / "ca.pem")
    context.load_cert_chain(client_files / "cert.pem", client_files / "key.pem")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
    with socket.create_connection(("127.0.0.1", engine.port), timeout=20) as connection:
        with pytest.raises(ssl.SSLError, match="alert protocol version"):
            context.wrap_socket(connection, server_hostname="127.0.0.1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_served(engine, client_files, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(client_files / "ca.pem")
    context.load_cert_chain(client_files / "cert.pem", client_files / "key.pem")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", engine.port), timeout=20) as connection:
        with context.wrap_socket(connection, server_hostname="127.0.0.1") as session:
            session.sendall(b"GET /_ping HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := session.recv(4096):
                answer += part
            assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"OK"), answer
            assert session.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]


def test_a_web_page_is_refused(engine, client_files):
    answer = subprocess.run(["curl", "-s", "--cacert", client_files / "ca.pem", "--cert", client_files / "cert.pem", "--key", client_files / "key.pem",
                             "-H", "Origin: http://evil.example", f"https://127.0.0.1:{engine.port}/info"], capture_output=True, text=True, check=True)
    assert "web pages" in answer.stdout


def test_handshakes_that_stall_block_nobody(engine, docker):
    stalled = [socket.create_connection(("127.0.0.1", engine.port), timeout=20) for _ in range(50)]
    try:
        for connection in stalled[::2]:
            connection.sendall(b"\x16\x03\x01")  # the beginning of a TLS record
        assert docker.ok("run", "--rm", IMAGE, "echo", "served") == "served"
    finally:
        for connection in stalled:
            connection.close()


def test_a_stalled_handshake_ends(engine):
    with socket.create_connection(("127.0.0.1", engine.port), timeout=60) as connection:
        connection.sendall(b"\x16\x03\x01")
        while connection.recv(4096):
            pass


def test_handshakes_can_not_use_all_connections_up(engine):
    """Strangers hold a part of the places only: the Unix socket still answers."""
    stalled = []
    try:
        for _ in range(600):
            stalled.append(socket.create_connection(("127.0.0.1", engine.port), timeout=20))
        assert engine.api.get("/_ping").status == 200
    finally:
        for connection in stalled:
            connection.close()


def audit_of(engine):
    return json.loads((engine.root / "audit.log").read_text().splitlines()[-1])


def test_the_policy_decides_by_the_name(engine, authority, client_of, client_files, policy_file):
    other = authority.make("globex", "/CN=globex.example", "extendedKeyUsage=clientAuth")
    nameless = authority.make("nameless", "/O=admin", "subjectAltName=DNS:ci.example", "extendedKeyUsage=clientAuth")
    policy_file("- {name: thick, match: {tls: 'globex.*'}, require: hyperv, because: strangers}\n" + ALLOW_ALL,
                head="callers: [{tls: ci.example, tenant: acme}, {tls: globex.example, tenant: globex}]\n")
    ci = client_of(client_files)
    ci.ok("create", "--name", "mine", IMAGE)
    decided = audit_of(engine)
    assert decided["tenant"] == "acme" and decided["request"]["tls_name"] == "ci.example"
    assert decided["request"].get("uid") is None
    ci.fails("create", "--label", "org.bulkhead.tenant=globex", IMAGE, code=1, match="'ci.example' may not create.*globex")
    client_of(other).fails("create", "--isolation=process", IMAGE, code=1, match="strangers")
    client_of(nameless).fails("create", IMAGE, code=1, match="does not know a caller whose uid nobody knows")
    # The same engine's Unix socket: root by uid, and by no name.
    answer = engine.api.post("/containers/create", {"Image": IMAGE})
    assert answer.status == 403 and "does not know uid 0" in answer.message
    assert audit_of(engine)["request"].get("tls_name") in (None, "")


def test_root_over_tls_is_not_root(engine, client_of, client_files, policy_file):
    policy_file(ALLOW_ALL, head="callers: [{uid: 0, tenants: any}]\n")
    client_of(client_files).fails("create", IMAGE, code=1, match="does not know TLS name 'ci.example'")
    assert engine.api.post("/containers/create", {"Image": IMAGE}).status == 201


def run_engine(make_engine, *arguments):
    """Starts an engine that must refuse its arguments; what it says."""
    engine = make_engine(arguments=[str(argument) for argument in arguments])
    done = subprocess.run(engine.command(), env=engine.environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1, done
    return done.stderr


def test_arguments_that_are_not_safe_are_refused(make_engine, server_files, tmp_path):
    tcp = ["--host", f"tcp://127.0.0.1:{free_port()}"]
    assert "only loopback" in run_engine(make_engine, "--host", "tcp://0.0.0.0:0")
    assert "lets in everybody" in run_engine(make_engine, "--tls", *tcp)
    assert "lets in everybody" in run_engine(make_engine, *files_of(server_files), *tcp)
    assert "--tlscacert" in run_engine(make_engine, "--tlsverify", *tcp)
    assert "/no/such.pem" in run_engine(make_engine, "--tlsverify", *files_of(server_files)[2:], "--tlscacert", "/no/such.pem", *tcp)
    key = tmp_path / "key.pem"
    shutil.copy(server_files / "key.pem", key)
    os.chmod(key, 0o644)
    assert f"chmod 600 {key}" in run_engine(make_engine, "--tlsverify", *files_of(server_files)[:4], "--tlskey", key, *tcp)
    settings = tmp_path / "daemon.json"
    settings.write_text(json.dumps({"tlsverify": True, "tlskey": str(server_files / "key.pem")}))
    assert "set both by --tlskey" in run_engine(make_engine, "--config-file", settings, "--tlskey", key, *tcp)


def test_settings_of_the_file(make_engine, server_files, client_files, client_config, tmp_path):
    port = free_port()
    settings = tmp_path / "daemon.json"
    settings.write_text(json.dumps({"tlsverify": True, "tlscacert": str(server_files / "ca.pem"), "tlscert": str(server_files / "cert.pem"),
                                    "tlskey": str(server_files / "key.pem")}))
    with live_engine(make_engine(arguments=["--config-file", str(settings), "--host", f"tcp://0.0.0.0:{port}"])):
        docker = Docker(client_path("docker", ""), f"tcp://localhost:{port}", client_config)
        assert docker.ok("--tlsverify", *files_of(client_files), "ps", "-q") == ""


def test_our_client_verifies_the_engine(engine, client_of, client_files, session_folder, request, tmp_path):
    bulkhead = client_of(client_files, client_path("bulkhead", request.config.getoption("--preset")))
    assert bulkhead.ok("ps", "-q") == ""
    shutil.copytree(client_files, tmp_path / "c")
    shutil.copy(Authority(tmp_path / "other", "other").certificate, tmp_path / "c/ca.pem")
    bulkhead.environment["DOCKER_CERT_PATH"] = str(tmp_path / "c")
    bulkhead.fails("ps", code=1, match="the server's certificate is refused.*--tlscacert")
    bulkhead.environment["DOCKER_CERT_PATH"] = str(tmp_path)
    bulkhead.fails("ps", code=1, match="--tlscacert.*ca.pem")
    bulkhead.fails("--tls", "--tlsverify=false", "ps", code=1, match="add --tlsverify")


def test_many_clients_at_once(docker):
    done = []
    threads = [threading.Thread(target=lambda: done.append(docker.ok("run", "--rm", IMAGE, "echo", "x", timeout=120))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == ["x"] * 20
