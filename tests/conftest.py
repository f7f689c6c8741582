"""Fixtures of the black-box tests. Every test can run against the reference too: pytest --against=dockerd."""
import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from support import client, images, leftovers
from support.engines import KINDS
from support.live_engine import live_engine, load
from support.registry import Registry

PREFIX = "bulkhead-test-"


def pytest_addoption(parser):
    parser.addoption("--against", choices=sorted(KINDS), default="bulkhead", help="the engine under test")
    parser.addoption("--preset", default=os.environ.get("BULKHEAD_PRESET", "release"), help="which build of Bulkhead")
    parser.addoption("--client", default="docker", help="docker, bulkhead, or the path of a client")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--against") == "bulkhead":
        return
    skip = pytest.mark.skip(reason="the reference has no such thing")
    for item in items:
        if item.get_closest_marker("bulkhead_only"):
            item.add_marker(skip)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its engine wrote meanwhile."""
    report = (yield).get_result()
    if report.failed:
        for engine, since in getattr(item, "engines", []):
            report.sections.append((f"log of {engine.name}", engine.log_tail(since)))


@pytest.fixture(scope="session")
def session_folder():
    """Below it all engines of this run live. Sweeps first what a killed run left; its lock tells whether a run is alive."""
    sweep_dead_runs()
    folder = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    leftovers.sweep(folder)
    shutil.rmtree(folder, ignore_errors=True)


def sweep_dead_runs():
    for old in pathlib.Path("/tmp").glob(PREFIX + "*"):
        try:
            with open(old / "lock", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        except OSError:
            pass
        leftovers.sweep(old)
        for folder in old.glob("e*"):
            for kind in KINDS.values():
                kind(folder).clean_up()
        shutil.rmtree(old, ignore_errors=True)


@pytest.fixture(scope="session")
def make_engine(request, session_folder):
    """Makes (not starts) an engine under test in a folder of its own."""
    numbers = iter(range(10_000))

    def make(**options):
        kind = KINDS[request.config.getoption("--against")]
        return kind(session_folder / f"e{next(numbers)}", preset=request.config.getoption("--preset"), **options)

    return make


@pytest.fixture(scope="session")
def against(request):
    return request.config.getoption("--against")


@pytest.fixture(scope="session")
def shared_engine(make_engine):
    """One engine for all tests that only want one that is there."""
    with live_engine(make_engine()) as engine:
        yield engine


@pytest.fixture
def engine(shared_engine, request):
    """The shared engine; containers that the test leaves are removed. A test that ends the engine has failed."""
    if not shared_engine.alive():
        shared_engine.start()  # an earlier test's fault, told there
    since = shared_engine.log.stat().st_size
    request.node.engines = [(shared_engine, since)]
    yield shared_engine
    assert shared_engine.alive(), f"the engine died:\n{shared_engine.log_tail(since)}"
    shared_engine.api.remove_all_containers()
    assert not (reports := shared_engine.sanitizer_reports()), reports


@pytest.fixture
def own_engine(make_engine, request):
    """An engine for this test alone, with busybox:1: it may be killed and restarted."""
    engine = make_engine()
    request.node.engines = [(engine, 0)]
    with live_engine(engine):
        yield engine


@pytest.fixture
def engine_with(make_engine):
    """`with engine_with(argument, ...) as engine`: one with arguments of its own."""
    return lambda *arguments: live_engine(make_engine(arguments=arguments))


@pytest.fixture(scope="session")
def client_config(session_folder):
    folder = session_folder / "client"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def make_client(request, client_config):
    """Makes the client that --client names, or another, for an engine."""

    def make(engine, name=None):
        name = name or request.config.getoption("--client")
        return client.Docker(client.client_path(name, request.config.getoption("--preset")), engine.host, client_config)

    return make


@pytest.fixture
def docker(engine, make_client):
    """The docker client of this machine's PATH, talking to the shared engine."""
    return make_client(engine)


@pytest.fixture
def own_docker(own_engine, make_client):
    return make_client(own_engine)


@pytest.fixture(params=[*client.installed_clients(), "bulkhead"], ids=lambda path: path.strip("/").replace("/", "-"))
def each_docker(request, engine, make_client):
    """Once for each installed version of the docker client, and for our own."""
    return make_client(engine, request.param)


@pytest.fixture
def api(engine):
    return engine.api


@pytest.fixture
def container(docker):
    """A running container that does nothing."""
    return docker.ok("run", "-d", "busybox:1", "sleep", "1000")


@pytest.fixture(scope="session")
def debian(shared_engine):
    return load(shared_engine, "debian:12")


@pytest.fixture(scope="session")
def registry():
    """A real registry with busybox:1, debian:12 and big:1, read-only."""
    with Registry(images.image_folder() / "registry") as running:
        yield running


@pytest.fixture(scope="session")
def probe(session_folder):
    """A static program that makes system calls by number and prints "number errno" for each."""
    program = session_folder / "probe"
    subprocess.run(["gcc", "-static", "-O1", "-o", program, pathlib.Path(__file__).parent / "support/syscall_probe.c"], check=True)
    return program
