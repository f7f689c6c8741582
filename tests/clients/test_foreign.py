"""Images for other processors: emulated in a guest of hyperv isolation, refused in process isolation."""
import json
import shutil
import subprocess

import pytest

from support import archives
from support.foreign_busybox import foreign_busybox
from support.registry import Registry

pytestmark = pytest.mark.bulkhead_only

APPLETS = ["sh", "uname", "cat", "echo", "id", "sleep", "ls", "env", "ping", "su"]


def layer(architecture):
    program = foreign_busybox(architecture).read_bytes()
    return archives.tar(
        [("bin", archives.folder()), ("bin/busybox", {"mode": 0o755, "content": program}), ("tmp", archives.folder(0o1777)),
         ("etc", archives.folder()), ("proc", archives.folder()),
         ("etc/passwd", b"root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/:/bin/sh\n"), ("etc/group", b"root:x:0:\n")] +
        [(f"bin/{name}", archives.symlink("busybox")) for name in APPLETS])


def archive(tag, architecture, named=None):
    layers = [layer(architecture)]
    return archives.docker_archive(tag, layers, archives.config(layers, architecture=named or architecture))


@pytest.fixture
def arm64(docker, tmp_path):
    if not shutil.which("qemu-aarch64-static"):
        pytest.skip("qemu-user-static is not installed")
    (tmp_path / "image.tar").write_bytes(archive("foreign:arm64", "arm64"))
    docker.ok("load", "-i", tmp_path / "image.tar")
    yield "foreign:arm64"
    docker("rmi", "-f", "foreign:arm64")


def run(docker, *words, **options):
    return docker.ok("run", "--rm", "--isolation=hyperv", *words, **options)


def test_programs_of_another_processor_run(docker, arm64):
    out = run(docker, arm64, "sh", "-c", "uname -m; sh -c 'uname -m; echo $0' named; exit 0")
    assert out.split() == ["aarch64", "aarch64", "named"]
    assert docker("run", "--rm", "--isolation=hyperv", arm64, "sh", "-c", "exit 7").code == 7


def test_the_record_says_that_they_are_emulated(docker, arm64):
    answer = docker("create", "--isolation=hyperv", "--annotation", "org.bulkhead.emulation=s390x", arm64, "true")
    assert answer.code == 0 and "emulation" in answer.err, answer
    container = answer.out.strip()
    assert docker.inspect(container)["HostConfig"]["Annotations"]["org.bulkhead.emulation"] == "arm64"
    assert docker.inspect(arm64, "image")["Architecture"] == "arm64"


def test_exec_signals_and_users(docker, arm64):
    container = docker.ok("run", "-d", "--isolation=hyperv", arm64, "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done")
    assert docker.ok("exec", container, "uname", "-m") == "aarch64"
    assert docker.ok("exec", "-u", "app", container, "id", "-u") == "1000"
    docker.ok("stop", "-t", "20", container)
    assert docker.ok("wait", container) == "3"


def test_the_wall_is_as_thick(docker, arm64):
    """The default capabilities and the seccomp filter are the kernel's affair: they hold for the emulator."""
    status = run(docker, arm64, "cat", "/proc/self/status")
    assert "Seccomp:\t2" in status and "CapBnd:\t00000000a80425fb" in status


def test_own_programs_still_run_beside(docker, arm64, tmp_path):
    shutil.copy("/bin/busybox", tmp_path / "busybox")
    assert run(docker, "-v", f"{tmp_path}:/x:ro", arm64, "sh", "-c", "/x/busybox uname -m; uname -m").split() == ["x86_64", "aarch64"]


def test_on_the_stock_kernel(docker, arm64):
    assert run(docker, "--annotation", "org.bulkhead.kernel=6.1", arm64, "sh", "-c", "uname -m; uname -r").startswith("aarch64\n6.1.")


def test_process_isolation_refuses_and_says_what_would_do(docker, arm64):
    docker.fails("run", "--rm", "--isolation=process", arm64, "true", code=125, match="arm64 processors.*--isolation=hyperv")


def test_a_processor_that_nobody_emulates(docker, tmp_path):
    (tmp_path / "image.tar").write_bytes(archive("foreign:vax", "arm64", named="vax"))
    docker.ok("load", "-i", tmp_path / "image.tar")
    docker.fails("run", "--rm", "--isolation=hyperv", "foreign:vax", "true", code=125, match="vax processors.*no emulator")
    error = docker.fails("run", "--rm", "--isolation=process", "foreign:vax", "true", code=125, match="vax processors.*no emulator")
    assert "hyperv" not in error, error
    docker.ok("rmi", "foreign:vax")


@pytest.mark.parametrize("architecture, machine", [("arm", "armv"), ("s390x", "s390x"), ("386", "i686")])
def test_other_processors(docker, tmp_path, architecture, machine):
    if not shutil.which("qemu-aarch64-static"):
        pytest.skip("qemu-user-static is not installed")
    (tmp_path / "image.tar").write_bytes(archive("foreign:other", architecture))
    docker.ok("load", "-i", tmp_path / "image.tar")
    assert run(docker, "foreign:other", "uname", "-m").startswith(machine)
    docker.ok("rmi", "-f", "foreign:other")


def write_layout(folder):
    """One image for two platforms, as a folder in OCI's layout."""
    (folder / "blobs/sha256").mkdir(parents=True)

    def write(blob):
        (folder / "blobs/sha256" / archives.digest(blob).partition(":")[2]).write_bytes(blob)

    def entry(blob, kind, **more):
        return {"mediaType": f"application/vnd.oci.image.{kind}.v1+json", "digest": archives.digest(blob), "size": len(blob), **more}

    entries = []
    for architecture, content in (("amd64", archives.busybox_layer()), ("arm64", layer("arm64"))):
        manifest, blobs = archives.oci_image([content], config_bytes=archives.config([content], architecture=architecture))
        for blob in blobs.values():
            write(blob)
        entries.append(entry(manifest, "manifest", platform={"os": "linux", "architecture": architecture}))
    index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}).encode()
    write(index)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry(index, "index")]}))


@pytest.fixture
def both(tmp_path):
    write_layout(tmp_path / "layout")
    with Registry(tmp_path / "registry", writable=True) as registry:
        name = f"{registry.address}/both:1"
        subprocess.run(["skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false", f"oci:{tmp_path}/layout",
                        f"docker://{name}"], check=True)
        yield name


def test_pull_and_run_by_platform(docker, both):
    assert run(docker, "--platform", "linux/arm64", both, "uname", "-m", timeout=120) == "aarch64"
    assert docker.inspect(both, "image")["Architecture"] == "arm64"
    docker.fails("create", "--pull=never", "--platform", "linux/amd64", both, code=1, match="does not match the specified platform")
    assert run(docker, "--platform", "linux/amd64", both, "sh", "-c", "echo $0", timeout=120) == "sh"
    assert docker.inspect(both, "image")["Architecture"] == "amd64"
    docker.ok("rmi", "-f", both)
