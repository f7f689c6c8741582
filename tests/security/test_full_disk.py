"""The disk runs full under the engine: clear errors, nothing half, and all is well once there is room."""
import os
import subprocess

import pytest

from support import archives, client
from support.live_engine import end_by_force, load

pytestmark = pytest.mark.bulkhead_only  # the reference leaves partial layers and dead containers behind


@pytest.fixture
def small(make_engine, request):
    """An engine whose root is a tmpfs of 24 MB, with busybox:1."""
    engine = make_engine()
    engine.root.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", engine.root], check=True)
    try:
        engine.start()
        request.node.engines = [(engine, 0)]
        load(engine, "busybox:1")
        yield engine
        engine.api.remove_all_containers()
        engine.stop()
        assert not (reports := engine.sanitizer_reports()), reports
    finally:
        engine.kill()
        subprocess.run(["umount", "--lazy", engine.root])
        end_by_force(engine)


@pytest.fixture
def docker(small, make_client):
    return make_client(small)


def free_bytes(engine):
    status = os.statvfs(engine.root)
    return status.f_bavail * status.f_bsize


def test_a_pull_that_does_not_fit(docker, small, registry):
    before = free_bytes(small)
    docker.fails("pull", f"{registry.address}/debian:12", code=1, match="no space left|disk")
    assert docker.ok("images", "-q").count("\n") == 0
    client.wait_until(lambda: free_bytes(small) > before - (1 << 20), what="the space of the failed pull")
    assert docker.ok("run", "--rm", "busybox:1", "echo", "fine") == "fine"


def test_a_load_that_does_not_fit(docker, small):
    before = free_bytes(small)
    big = archives.docker_archive("big:1", [archives.tar([("f", bytes(range(256)) * 160_000)])])
    docker.fails("load", code=1, match="no space left|disk", input=big)
    client.wait_until(lambda: free_bytes(small) > before - (1 << 20), what="the space of the failed load")
    assert docker("inspect", "big:1").code == 1


def test_a_container_that_fills_the_disk(docker, small):
    name = docker.ok("run", "-d", "busybox:1", "sh", "-c", "dd if=/dev/zero of=/f bs=1M; echo full; exec sleep 1000")
    client.wait_until(lambda: free_bytes(small) < (1 << 20))
    result = docker("run", "--rm", "busybox:1", "true")
    assert result.code in (0, 125), result  # 0 where what little it needs still fits
    docker.ok("rm", "-f", name)
    assert docker.ok("run", "--rm", "busybox:1", "echo", "room again") == "room again"


def test_a_log_that_fills_the_disk_does_not_stop_the_container(docker, small):
    name = docker.ok("run", "-d", "busybox:1", "sh", "-c", "yes $(seq 1 200) | head -c 40000000; exit 3")
    assert docker.ok("wait", name, timeout=60) == "3"
    docker.ok("rm", name)
    assert docker.ok("run", "--rm", "busybox:1", "echo", "room again") == "room again"


def test_the_engine_starts_on_a_full_disk(docker, small):
    filler = os.open(small.root / "filler", os.O_CREAT | os.O_WRONLY)
    try:
        while os.write(filler, b"x" * 65536):
            pass
    except OSError:
        os.close(filler)
    small.kill()
    try:
        small.start()
    except AssertionError as refused:
        assert "no space left" in str(refused).lower() or "full" in str(refused).lower()
    (small.root / "filler").unlink()
    if not small.alive():
        small.start()
    assert docker.ok("run", "--rm", "busybox:1", "echo", "fine") == "fine"
