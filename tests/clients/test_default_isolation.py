"""Which mode a container gets that asks for none: the kind of host, and how it is set otherwise."""
import json
import subprocess

import pytest

from support import images

pytestmark = pytest.mark.bulkhead_only

IMAGE = "busybox:1"


def busybox():
    return images.image_folder() / images.IMAGES[IMAGE]


def labels(engine):
    return dict(label.split("=", 1) for label in engine.api.get("/info").json()["Labels"])


@pytest.fixture
def engine_with(make_engine):
    """Starts an engine with these arguments; ended afterwards."""
    started = []

    def run(*arguments, before=()):
        engine = make_engine(arguments=list(arguments))
        command = engine.command()
        engine.command = lambda: [*before, *command]
        started.append(engine)
        engine.start()
        return engine

    yield run
    for engine in started:
        engine.stop()
        engine.kill()
        engine.clean_up()


def isolation_of(engine):
    return engine.api.get("/info").json()["Isolation"]


def test_this_host_is_a_server(docker, engine):
    """The machines of the tests say nothing of themselves, or that they are servers."""
    info = json.loads(docker.ok("info", "--format", "{{json .}}"))
    assert info["Isolation"] == "process"
    assert labels(engine)["org.bulkhead.isolation.default"].startswith("process (this host is a server")
    assert labels(engine)["org.bulkhead.host.kind"].startswith("server (")
    assert "org.bulkhead.host.kind" in docker.ok("info")


@pytest.mark.parametrize("option", ["isolation=hyperv", "isolation=HyperV"])
def test_exec_opt(engine_with, option):
    engine = engine_with("--exec-opt", option)
    assert isolation_of(engine) == "hyperv"
    assert labels(engine)["org.bulkhead.isolation.default"] == "hyperv (set by --exec-opt)"


def test_daemon_json(engine_with, tmp_path):
    file = tmp_path / "daemon.json"
    file.write_text('{"exec-opts": ["isolation=hyperv"]}')
    engine = engine_with("--config-file", str(file))
    assert isolation_of(engine) == "hyperv" and str(file) in labels(engine)["org.bulkhead.isolation.default"]


@pytest.mark.parametrize("text, message", [
    ('{"exec-opts": ["isolation=thick"]}', "isolation=thick"), ('{"storage-driver": "zfs"}', "storage-driver"), ("{", "JSON"),
    ('{"exec-opts": ["isolation=process"]}', "both by --exec-opt")])
def test_settings_that_can_not_be(make_engine, tmp_path, text, message):
    file = tmp_path / "daemon.json"
    file.write_text(text)
    engine = make_engine(arguments=["--config-file", str(file), "--exec-opt", "isolation=process"])
    done = subprocess.run(engine.command(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and message in done.stderr and len(done.stderr.splitlines()) == 1, done


def test_a_config_file_that_is_not_there(make_engine):
    engine = make_engine(arguments=["--config-file", "/nonexistent/daemon.json"])
    done = subprocess.run(engine.command(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "/nonexistent/daemon.json" in done.stderr


def test_a_default_that_can_not_be_had_is_not_replaced(engine_with, make_client):
    engine = engine_with("--exec-opt", "isolation=hyperv", "--vm-qemu", "/nonexistent/qemu")
    docker = make_client(engine)
    with open(busybox(), "rb") as archive:
        docker.ok("load", input=archive.read())
    message = docker.fails("run", "--rm", IMAGE, "true", code=125, match="hyperv isolation")
    for remedy in ("bulkhead doctor", "--isolation=process", "daemon.json", "not replaced by a thinner wall"):
        assert remedy in message, message
    assert engine.api.get("/containers/json?all=1").json() == []
    name = docker.ok("create", "--isolation=process", IMAGE, "true")
    assert docker.format(name, "{{.HostConfig.Isolation}}") == "process"
    docker.ok("rm", name)


@pytest.fixture
def workstation(tmp_path):
    """A command to start an engine behind, that makes os-release say it is a workstation's, in a mount namespace of its own."""
    release = tmp_path / "os-release"
    release.write_text('ID=test\nPRETTY_NAME="A workstation"\nVARIANT_ID=workstation\n')
    script = f'mount --bind {release} "$(readlink -f /etc/os-release)" && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]


def test_a_workstation_defaults_to_hyperv(engine_with, workstation):
    engine = engine_with(before=workstation)
    assert isolation_of(engine) == "hyperv"
    assert labels(engine)["org.bulkhead.host.kind"] == "workstation (os-release says VARIANT_ID=workstation)"


def test_process_isolation_on_a_workstation_comes_with_a_warning(engine_with, workstation, make_client):
    engine = engine_with(before=workstation)
    docker = make_client(engine)
    with open(busybox(), "rb") as archive:
        docker.ok("load", input=archive.read())
    result = docker("create", "--isolation=process", IMAGE, "true")
    assert result.code == 0 and "development and test" in result.err
    docker.ok("rm", result.out.strip())


def test_what_is_set_counts_before_the_kind(engine_with, workstation):
    engine = engine_with("--exec-opt", "isolation=process", before=workstation)
    assert isolation_of(engine) == "process"
