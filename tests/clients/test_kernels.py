"""The catalogue of guest kernels: listed, added, chosen by name or by range, removed."""
import json
import os

import pytest

pytestmark = pytest.mark.bulkhead_only

IMAGE = "busybox:1"


@pytest.fixture
def bulkhead(engine, make_client):
    return make_client(engine, "bulkhead")


@pytest.fixture
def vmlinux(engine):
    """The built-in kernel's file, for something to add."""
    return os.path.realpath(engine.binaries / "bulkhead-vmlinux")


@pytest.fixture
def added(bulkhead, vmlinux):
    bulkhead.ok("kernel", "add", "another", vmlinux)
    yield "another"
    bulkhead("kernel", "rm", "another")


def kernels(bulkhead):
    return {kernel["Name"]: kernel for kernel in json.loads(bulkhead.ok("kernel", "ls", "--json"))}


def release(bulkhead):
    return kernels(bulkhead)["builtin"]["Release"]


def create(api, isolation="hyperv", command=("uname", "-r"), **annotations):
    body = {"Image": IMAGE, "Cmd": list(command), "HostConfig": {"Isolation": isolation, "NetworkMode": "none", "Annotations": annotations}}
    return api.post("/containers/create", body)


def test_the_built_in_kernel_is_first(bulkhead):
    first = bulkhead.ok("kernel", "ls").splitlines()[1].split()
    assert first[0] == "builtin" and first[1].startswith("6.12")


def test_add_and_remove(bulkhead, added):
    entry = kernels(bulkhead)[added]
    assert entry["Release"] == release(bulkhead) and entry["Digest"].startswith("sha256:")
    bulkhead.fails("kernel", "add", added, entry["Path"], code=1, match="already")
    bulkhead.ok("kernel", "rm", added)
    assert added not in kernels(bulkhead)
    bulkhead.fails("kernel", "rm", added, code=1, match="No such kernel")


@pytest.mark.parametrize("name, path, match", [
    ("../x", "vmlinux", "can't be a kernel's name"), ("builtin", "vmlinux", "can't be a kernel's name"), ("x", "/bin/true", "no release"),
    ("x", "/etc/passwd", "uncompressed vmlinux"), ("x", "/nonexistent", "no such file"), ("x", "/dev/zero", "regular file")])
def test_what_is_no_kernel(bulkhead, vmlinux, name, path, match):
    bulkhead.fails("kernel", "add", name, vmlinux if path == "vmlinux" else path, code=1, match=match)
    assert list(kernels(bulkhead)) == ["builtin"]


def test_a_configuration_without_what_guests_need(bulkhead, vmlinux, tmp_path):
    config = tmp_path / "config"
    config.write_text("CONFIG_EROFS_FS=m\n")
    bulkhead.fails("kernel", "add", "--config", config, "x", vmlinux, code=1, match="CONFIG_EROFS_FS")
    bulkhead.ok("kernel", "add", "--config", os.path.join(os.path.dirname(vmlinux), "config"), "x", vmlinux)
    assert kernels(bulkhead)["x"]["ConfigChecked"]
    bulkhead.ok("kernel", "rm", "x")


def test_a_kernel_of_ones_choice_is_booted(bulkhead, api, added):
    container = create(api, **{"org.bulkhead.kernel": added}).json()["Id"]
    assert api.get(f"/containers/{container}/json").json()["HostConfig"]["Annotations"]["org.bulkhead.kernel"] == added
    assert bulkhead.ok("start", "-a", container) == release(bulkhead)
    bulkhead.fails("kernel", "rm", added, code=1, match="is used by container")
    bulkhead.ok("rm", container)


@pytest.mark.parametrize("asked", ["6.12", ">=6.1 <7", "builtin", "any"])
def test_a_range_takes_the_first_that_fits(bulkhead, api, added, asked):
    container = create(api, **{"org.bulkhead.kernel": asked}).json()["Id"]
    assert api.get(f"/containers/{container}/json").json()["HostConfig"]["Annotations"]["org.bulkhead.kernel"] == "builtin"
    bulkhead.ok("rm", container)


@pytest.mark.parametrize("isolation, asked, match", [
    ("hyperv", ">=99", "kernel add"), ("hyperv", "nosuchkernel", "no guest kernel"), ("hyperv", "../../../etc", "no guest kernel"),
    ("process", ">=99", "--isolation=hyperv"), ("process", "builtin", "no guest kernel")])
def test_what_can_not_be_had_is_refused(api, isolation, asked, match):
    answer = create(api, isolation, **{"org.bulkhead.kernel": asked})
    assert answer.status in (404, 501) and match in answer.message, answer.message
    assert api.get("/containers/json?all=1").json() == []
