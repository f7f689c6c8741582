"""Images that this host's kernel can't run: found out before anything is made, and told with what would run them."""
import json
import os
import struct
import tarfile

import pytest

from support import archives
from support.bad_registry import BadRegistry

pytestmark = pytest.mark.bulkhead_only  # the reference refuses in other words, and knows no hosts

MISMATCH = r"The operating system of the container does not match the operating system of the host\. \(0xc0370101\)"
INDEX = "application/vnd.oci.image.index.v1+json"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def windows_config(version="10.0.20348.2700"):
    return archives.config([b"a layer"], os="windows", **{"os.version": version})


@pytest.fixture
def bulkhead(engine, make_client):
    return make_client(engine, "bulkhead")


@pytest.fixture
def load(docker):
    """Loads an image for Windows by this name; gone at the end."""
    names = []

    def run(name, version="10.0.20348.2700"):
        names.append(name)
        assert f"Loaded image: {name}" in docker.ok("load", input=archives.docker_archive(name, [b"no tar"], windows_config(version)))
        return name

    yield run
    for name in names:
        docker("rmi", "-f", name)


@pytest.fixture
def registry():
    with BadRegistry() as running:
        yield running


def serve(registry, name="win", foreign=False, indexed=True):
    """An image for Windows, as Microsoft's are: behind an index, its layers not in the registry at all."""
    manifest = registry.add_image(name, [b"a layer"], config_bytes=windows_config())
    for layer in manifest["layers"]:
        del registry.blobs[layer["digest"]]
        if foreign:
            layer.update(mediaType=FOREIGN, urls=["http://127.0.0.1:1/layer"])
    number = registry.set_manifest(name, manifest)
    if indexed:
        size = len(json.dumps(manifest).encode())
        registry.set_manifest(name, {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": manifest["mediaType"], "digest": number, "size": size,
             "platform": {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2700"}}]}, INDEX)
    return f"{registry.address}/{name}:1"


def test_a_loaded_windows_image_can_be_inspected(docker, load):
    load("win:1")
    image = docker.inspect("win:1", "image")
    assert (image["Os"], image["OsVersion"], image["Architecture"]) == ("windows", "10.0.20348.2700", "amd64")
    assert "win" in docker.ok("images") and docker.ok("history", "-q", "win:1")


@pytest.mark.parametrize("options", [[], ["--isolation=process"], ["--isolation=hyperv"]])
def test_a_windows_image_is_not_run(docker, api, load, options):
    load("win:1")
    message = docker.fails("run", "--rm", *options, "win:1", "cmd", code=125, match=MISMATCH)
    assert "Windows Server 2022" in message and "Windows Server 2025" in message and "10.0.20348.2700" in message
    docker.fails("create", *options, "win:1", "cmd", code=1, match=MISMATCH)
    assert api.get("/containers/json?all=1").json() == []


@pytest.mark.parametrize("indexed", [True, False])
def test_a_pull_for_this_host_says_where_it_would_run(docker, registry, indexed):
    name = serve(registry, indexed=indexed)
    assert "Windows Server 2025" in docker.fails("pull", name, code=1, match=MISMATCH)
    docker.fails("run", "--rm", name, "cmd", code=125, match=MISMATCH)
    assert docker.ok("images", "-q", name) == ""


@pytest.mark.parametrize("foreign", [True, False])
def test_a_pull_for_windows_brings_the_configuration_alone(docker, bulkhead, registry, foreign):
    name = serve(registry, foreign=foreign)
    docker.ok("pull", "--platform", "windows/amd64", name)
    assert docker.inspect(name, "image")["OsVersion"] == "10.0.20348.2700"
    assert "Windows Server 2022" in bulkhead.ok("compat", name)
    docker.ok("rmi", name)


def test_foreign_layers_of_a_linux_image_stay_refused(docker, registry):
    """Saying that the image is for Windows must not be a way around the check."""
    manifest = registry.add_image("x", [b"a layer"])
    manifest["layers"][0].update(mediaType=FOREIGN, urls=["http://127.0.0.1:1/layer"])
    registry.set_manifest("x", manifest)
    docker.fails("pull", f"{registry.address}/x:1", code=1, match="foreign")
    docker.fails("pull", "--platform", "windows/amd64", f"{registry.address}/x:1", code=1, match="does not match the specified platform")
    assert docker.ok("images", "-q", f"{registry.address}/x:1") == ""


def test_an_engine_that_restarts_still_has_it(own_docker, own_engine):
    own_docker.ok("load", input=archives.docker_archive("win:1", [b"no tar"], windows_config()))
    own_engine.stop()
    own_engine.start()
    assert own_docker.inspect("win:1", "image")["Os"] == "windows"
    own_docker.ok("rmi", "win:1")
    assert own_docker.ok("images", "-q", "win") == ""


def test_compat_shows_every_host(bulkhead, load):
    out = bulkhead.ok("compat", load("win:1"))
    lines = {line.split("  ")[0]: line.split() for line in out.splitlines()}
    assert lines["Windows Server 2019"][3:6] == ["17763", "no", "no"]
    assert lines["Windows Server 2022"][3:6] == ["20348", "yes", "yes"]
    assert lines["Windows Server 2025"][3:6] == ["26100", "yes", "yes"]
    assert "learn.microsoft.com" in out


@pytest.mark.parametrize("version, host, code, process, hyperv", [
    ("10.0.14393.1770", "10.0.14393.1770", 0, "yes", "yes"), ("10.0.14393.1770", "14393.1944", 0, "no", "yes"),
    ("10.0.14393.1770", "14393", 0, "with equal revision", "yes"), ("10.0.17763.1", "20348", 0, "no", "yes"),
    ("10.0.20348.1", "17763", 1, "no", "no"), ("10.0.26100.1", "20348", 1, "no", "no")])
def test_compat_with_one_host(bulkhead, load, version, host, code, process, hyperv):
    load("win:1", version)
    result = bulkhead("compat", "--json", "--host", host, "win:1")
    server = json.loads(result.out)["Hosts"][0]
    assert (result.code, server["Process"], server["Hyperv"]) == (code, process, hyperv)


def test_compat_refuses_nonsense(bulkhead, load):
    load("win:1", "banana")
    bulkhead.fails("compat", "win:1", code=1, match="banana")
    bulkhead.fails("compat", "--host", "banana", "win:1", code=1, match="banana")
    bulkhead.fails("compat", "nosuchimage", code=1, match="No such image.*bulkhead pull")


# --- images for Linux, and the kernel that they need

REMEDIES = r"rebuild.*--isolation=hyperv.*another host"


def elf_that_needs(major, minor):
    """A libc.so.6 of headers alone: its ABI note names this kernel."""
    note = struct.pack("<III4sIIII", 4, 16, 1, b"GNU\0", 0, major, minor, 0)
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 4, 4, 120, 120, 120, len(note), len(note), 4) + note


@pytest.fixture
def linux_image(docker):
    """Loads busybox with more layers or another configuration under this name; gone at the end."""
    names = []

    def run(name, layers=(), **changes):
        names.append(name)
        layers = [archives.busybox_layer(), *map(archives.tar, layers)]
        docker.ok("load", input=archives.docker_archive(name, layers, archives.config(layers, **changes)))
        return name

    yield run
    for name in names:
        docker("rmi", "-f", name)


def nothing_was_made(api):
    return api.get("/containers/json?all=1").json() == []


@pytest.mark.parametrize("needs", [">=99", "<3", "6.1 <6.1", "4"])
def test_a_label_that_this_kernel_does_not_meet(docker, api, linux_image, needs):
    image = linux_image("labelled:1", config={"Labels": {"org.bulkhead.kernel": needs}, "Cmd": ["true"]})
    message = docker.fails("run", "--rm", image, "true", code=125, match=REMEDIES)
    assert needs in message and os.uname().release in message and "org.bulkhead.kernel" in message
    assert nothing_was_made(api)


@pytest.mark.parametrize("needs", [">=4.4", ">=4.4 <99", "any", ""])
def test_a_label_that_this_kernel_meets(docker, linux_image, needs):
    image = linux_image("labelled:1", config={"Labels": {"org.bulkhead.kernel": needs}, "Cmd": ["true"]})
    assert docker.ok("run", "--rm", "--network", "none", image, "echo", "fits") == "fits"


def test_a_label_of_the_container_counts_before_the_image(docker, linux_image):
    image = linux_image("labelled:1", config={"Labels": {"org.bulkhead.kernel": ">=99"}, "Cmd": ["true"]})
    docker.ok("run", "--rm", "--network", "none", "--label", "org.bulkhead.kernel=any", image, "true")
    docker.fails("run", "--rm", "--label", "org.bulkhead.kernel=>=98", "busybox:1", "true", code=125, match=">=98")


def test_a_label_that_is_no_range(docker, api, linux_image):
    image = linux_image("labelled:1", config={"Labels": {"org.bulkhead.kernel": "the newest"}, "Cmd": ["true"]})
    docker.fails("run", "--rm", image, "true", code=125, match="no range of kernel versions")
    assert nothing_was_made(api)


@pytest.mark.parametrize("changes, match", [
    ({"os.version": "99.1"}, "os.version"), ({"os.features": ["win32k"]}, "win32k"), ({"architecture": "s390x"}, "s390x")])
def test_what_else_an_image_says(docker, api, linux_image, changes, match):
    image = linux_image("other:1", **changes)
    docker.fails("run", "--rm", image, "true", code=125, match=f"{match}.*{REMEDIES}")
    assert nothing_was_made(api)


@pytest.mark.parametrize("layers", [
    [[("lib", archives.folder()), ("lib/x86_64-linux-gnu", archives.folder()), ("lib/x86_64-linux-gnu/libc.so.6", elf_that_needs(99, 1))]],
    [[("usr/lib64/libc.so.6", {"type": tarfile.SYMTYPE, "linkname": "/opt/libc"}), ("opt/libc", elf_that_needs(99, 1))]],
    [[("lib64/libc.so.6", elf_that_needs(3, 2))], [("lib64/libc.so.6", elf_that_needs(99, 1))]],
], ids=["debian", "symlink", "the upper layer counts"])
def test_a_library_that_is_newer_than_this_kernel(docker, api, linux_image, layers):
    image = linux_image("library:1", layers)
    message = docker.fails("run", "--rm", image, "true", code=125, match=REMEDIES)
    assert ">=99.1" in message and "libc.so.6" in message
    assert nothing_was_made(api)


@pytest.mark.parametrize("layers", [
    [[("lib64/libc.so.6", elf_that_needs(99, 1))], [("lib64/.wh.libc.so.6", "")]],
    [[("lib64/libc.so.6", elf_that_needs(99, 1)[:100])]],
    [[("lib64/libc.so.6", "#!/bin/sh\n")]],
    [[("lib64/libc.so.6", {"type": tarfile.SYMTYPE, "linkname": "/../../../../../../lib/x86_64-linux-gnu/libc.so.6"})]],
    [[("lib64/libc.so.6", {"type": tarfile.SYMTYPE, "linkname": "libc.so.6"})]],
    [[("lib64/libc.so.6", {"type": tarfile.FIFOTYPE})]],
], ids=["deleted", "truncated", "no library", "out of the root", "a loop", "a fifo"])
def test_libraries_that_say_nothing(docker, linux_image, layers):
    image = linux_image("library:1", layers)
    assert docker.ok("run", "--rm", "--network", "none", image, "echo", "runs") == "runs"


def test_a_real_library(docker, debian):
    assert docker.ok("run", "--rm", "--network", "none", debian, "echo", "runs") == "runs"
