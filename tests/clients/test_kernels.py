"""The catalogue of guest kernels: listed, added, chosen by name or by range, removed."""
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time

import pytest

from support.other_user import request_as

pytestmark = pytest.mark.bulkhead_only

IMAGE = "busybox:1"
STOCK = "6.1-cloud"


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
    first, second = (line.split() for line in bulkhead.ok("kernel", "ls").splitlines()[1:3])
    assert first[0] == "builtin" and first[1].startswith("6.12")
    assert second[0] == STOCK and second[1].startswith("6.1.0-") and second[1].endswith("-cloud-amd64")


def test_the_built_in_kernel_has_a_file_for_emulation(bulkhead):
    builtin = kernels(bulkhead)["builtin"]
    assert builtin["Path"] != builtin["EmulatedPath"]
    for file in builtin["Path"], builtin["EmulatedPath"]:
        assert f"Linux version {builtin['Release']} ".encode() in pathlib.Path(file).read_bytes()


def test_what_came_along_stays(bulkhead):
    bulkhead.fails("kernel", "rm", STOCK, code=1, match="came with Bulkhead")
    assert STOCK in kernels(bulkhead)


def test_add_and_remove(bulkhead, added):
    entry = kernels(bulkhead)[added]
    assert entry["Release"] == release(bulkhead) and entry["Digest"].startswith("sha256:")
    bulkhead.fails("kernel", "add", added, entry["Path"], code=1, match="already")
    bulkhead.ok("kernel", "rm", added)
    assert added not in kernels(bulkhead)
    bulkhead.fails("kernel", "rm", added, code=1, match="No such kernel")


@pytest.mark.parametrize("name, path, match", [
    ("../x", "vmlinux", "can't be a kernel's name"), ("6.1", "vmlinux", "reads as a range"), ("any", "vmlinux", "reads as a range"),
    (STOCK, "vmlinux", "came with Bulkhead"), ("builtin", "vmlinux", "can't be a kernel's name"), ("x", "/bin/true", "no release"), ("x", "PACKAGE", "unpack"),
    ("x", "/etc/passwd", "neither a vmlinux nor a bzImage"), ("x", "/nonexistent", "no such file"), ("x", "/dev/zero", "regular file")])
def test_what_is_no_kernel(bulkhead, vmlinux, tmp_path, name, path, match):
    (tmp_path / "not-a-package.deb").write_text("!<arch>")
    path = {"vmlinux": vmlinux, "PACKAGE": tmp_path / "not-a-package.deb"}.get(path, path)
    bulkhead.fails("kernel", "add", name, path, code=1, match=match)
    assert list(kernels(bulkhead)) == ["builtin", STOCK]


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
    assert answer.status in (400, 501) and match in answer.message, answer.message
    assert api.get("/containers/json?all=1").json() == []


# --- Debian's stock kernel, with its modules


def audit_lines(engine, event):
    return [line for line in map(json.loads, (engine.root / "audit.log").read_text().splitlines()) if line["event"] == event]


def test_the_catalogue_is_the_host_administrators(engine, api, bulkhead, vmlinux, added):
    """Whoever else may use the socket can read it."""
    for method, path, body in ("POST", "/kernels?name=theirs", {"Kernel": vmlinux}), ("DELETE", f"/kernels/{added}", None):
        status, answer = request_as(4242, engine, method, path, body)
        assert status == 403 and "uid 4242" in answer and "root" in answer, answer
    status, answer = request_as(4242, engine, "GET", "/kernels")
    assert status == 200 and [kernel["Name"] for kernel in json.loads(answer)] == ["builtin", added, STOCK]


def test_changes_of_the_catalogue_are_written_down(engine, api, bulkhead, vmlinux):
    begin = time.time()
    bulkhead.ok("kernel", "add", "noted", vmlinux)
    request_as(4242, engine, "DELETE", "/kernels/noted")
    bulkhead.ok("kernel", "rm", "noted")
    line = audit_lines(engine, "kernel add")[-1]
    assert (line["kernel"], line["verdict"], line["request"]) == ("noted", "allowed", {"uid": 0, "tls_name": "", "path": vmlinux})
    denied, allowed = audit_lines(engine, "kernel rm")[-2:]
    assert (denied["kernel"], denied["verdict"], denied["request"]["uid"]) == ("noted", "denied", 4242)
    assert (allowed["kernel"], allowed["verdict"], allowed["request"]["uid"]) == ("noted", "allowed", 0)
    filters = json.dumps({"type": ["kernel", "policy"]}).replace(" ", "")
    events = [json.loads(line) for line in api.get(f"/events?since={begin:.9f}&until={time.time():.9f}&filters={filters}").body.splitlines()]
    seen = [(event["Type"], event["Action"], event["Actor"]["Attributes"]["caller"]) for event in events if event["Actor"]["ID"] == "noted"]
    assert seen == [("policy", "allow", "uid 0"), ("kernel", "add", "uid 0"), ("policy", "deny", "uid 4242"), ("policy", "allow", "uid 0"), ("kernel", "remove", "uid 0")]


@pytest.mark.parametrize("name", ["6.1", STOCK])
def test_a_name_of_before_shadows_nothing(engine, api, bulkhead, vmlinux, added, name):
    """A folder of kernels may hold names that 'add' doesn't take any more."""
    shutil.copytree(engine.root / "kernels" / added, engine.root / "kernels" / name)
    try:
        container = create(api, **{"org.bulkhead.kernel": name}).json()["Id"]
        assert api.get(f"/containers/{container}/json").json()["HostConfig"]["Annotations"]["org.bulkhead.kernel"] == STOCK
        bulkhead.ok("rm", container)
    finally:
        bulkhead.ok("kernel", "rm", name)
    assert list(kernels(bulkhead)) == ["builtin", added, STOCK]


def test_a_create_under_way_holds_its_kernel(api, bulkhead, vmlinux):
    """Either the kernel stays, or nothing was made for it."""
    for turn in range(20):
        bulkhead.ok("kernel", "add", "mine", vmlinux)
        made = []
        creators = [threading.Thread(target=lambda: made.append(create(api, **{"org.bulkhead.kernel": "mine"}))) for _ in range(4)]
        for creator in creators:
            creator.start()
        time.sleep(turn / 500)
        removed = bulkhead("kernel", "rm", "mine").code == 0
        for creator in creators:
            creator.join()
        containers = [answer.json()["Id"] for answer in made if answer.status == 201]
        there = "mine" in kernels(bulkhead)
        for container in containers:
            bulkhead.ok("rm", container)
        if there:
            bulkhead.ok("kernel", "rm", "mine")
        assert len(made) == 4 and there != removed and (there or not containers), made


@pytest.fixture
def package(engine):
    """Debian's package of the stock kernel, as guest/fetch-stock-kernel.sh keeps it."""
    cache = pathlib.Path(os.environ.get("BULKHEAD_CACHE") or "/var/cache/bulkhead") / "stock-kernel"
    return max(cache.glob("parts-*/kernel.deb"), key=lambda path: path.stat().st_mtime)


def stock(docker, *words, **options):
    return docker.ok("run", "--rm", "--isolation=hyperv", "--annotation", "org.bulkhead.kernel=6.1", *words, **options)


def test_a_stock_kernel_is_booted(docker, bulkhead):
    assert stock(docker, IMAGE, "uname", "-r") == kernels(bulkhead)[STOCK]["Release"]


def test_a_label_of_the_image_chooses_it(docker, bulkhead):
    made = docker.ok("create", "--label", "org.bulkhead.kernel=>=6.1 <6.2", "--isolation=hyperv", IMAGE, "uname", "-r")
    assert docker.inspect(made)["HostConfig"]["Annotations"]["org.bulkhead.kernel"] == STOCK
    assert docker.ok("start", "-a", made) == kernels(bulkhead)[STOCK]["Release"]


def test_a_range_knows_the_version_that_debian_does_not_put_into_the_release(api, bulkhead):
    """The kernel that calls itself 6.1.0-N is another one of 6.1."""
    kernel = kernels(bulkhead)[STOCK]
    assert kernel["Release"].startswith("6.1.0-") and kernel["Version"].startswith("6.1.") and int(kernel["Version"].split(".")[2]) > 100
    container = create(api, **{"org.bulkhead.kernel": f">=6.1.100 <={kernel['Version']}"}).json()["Id"]
    assert api.get(f"/containers/{container}/json").json()["HostConfig"]["Annotations"]["org.bulkhead.kernel"] == STOCK
    bulkhead.ok("rm", container)
    answer = create(api, **{"org.bulkhead.kernel": "<6.1.100"})
    assert answer.status == 501, answer


def test_exec_and_network(docker):
    container = docker.ok("run", "-d", "--isolation=hyperv", "--annotation", "org.bulkhead.kernel=6.1", IMAGE, "sleep", "100")
    assert docker.ok("exec", container, "uname", "-r").startswith("6.1.0-")
    gateway = docker.inspect(container)["NetworkSettings"]["Gateway"]
    assert "1 packets received" in docker.ok("exec", container, "ping", "-c", "1", "-W", "5", gateway)


def test_folders_of_the_host(docker, tmp_path):
    (tmp_path / "there").write_text("hello")
    assert stock(docker, "-v", f"{tmp_path}:/x", IMAGE, "sh", "-c", "cat /x/there; echo back >/x/here") == "hello"
    assert (tmp_path / "here").read_text() == "back\n"


def test_memory_is_limited(docker):
    name = docker.ok("create", "--isolation=hyperv", "--annotation", "org.bulkhead.kernel=6.1", "--memory", "64m", IMAGE, "tail", "/dev/zero")
    assert docker("start", "-a", name).code == 137
    assert docker.inspect(name)["State"]["OOMKilled"]


def test_what_a_privileged_container_needs_is_loaded_when_it_needs_it(docker):
    """A bridge, a veth pair and a tap of the guest's kernel; its firewall, by the host's nft on a bind mount."""
    script = """
        modules() { grep -c -E '^(bridge|veth|tun|nf_tables|nft_masq) ' /proc/modules; }
        modules
        ip link add b0 type bridge && ip link add v0 type veth peer name v1 && ip link set v0 master b0 && : >/dev/net/tun || exit 1
        nft 'add table inet t; add chain inet t c { type nat hook postrouting priority 0; }; add rule inet t c masquerade' || exit 1
        nft list table inet t | grep -c masquerade
        modules"""
    programs = [f"-v={folder}:{place}:ro" for folder, place in (("/usr", "/usr"), ("/usr/lib", "/lib"), ("/usr/lib64", "/lib64"))]
    assert stock(docker, "--privileged", *programs, IMAGE, "sh", "-c", script).split() == ["0", "1", "5"]


def test_a_module_that_nobody_chose_is_not_there(docker):
    """SECURITY: what the guest's kernel can be made to load is what the catalogue packed: no sctp, which Debian has as a module."""
    out = docker("run", "--rm", "--privileged", "--isolation=hyperv", "--annotation", "org.bulkhead.kernel=6.1", IMAGE, "sh", "-c",
                 "/bin/busybox modprobe sctp; mkdir /m; mount -t btrfs /dev/vda /m; grep -E 'sctp|btrfs' /proc/modules")
    assert out.code == 1 and out.out == "", out


def test_a_package_is_added(bulkhead, docker, package, tmp_path):
    """Debian's package alone: without 9p, which is said, and containers with bind mounts don't get it."""
    answer = bulkhead("kernel", "add", "plain", package)
    assert answer.code == 0 and "no 9p" in answer.err, answer
    try:
        entry = kernels(bulkhead)["plain"]
        assert entry["ConfigChecked"] and entry["Modules"] and not entry["HostFolders"]
        run = ["run", "--rm", "--isolation=hyperv", "--annotation", "org.bulkhead.kernel=plain"]
        assert docker.ok(*run, IMAGE, "uname", "-r") == entry["Release"]
        docker.fails(*run, "-v", f"{tmp_path}:/x", IMAGE, "true", code=125, match="no 9p")
        bulkhead.fails("kernel", "add", "plain", package, code=1, match="already")
    finally:
        bulkhead.ok("kernel", "rm", "plain")


def test_modules_of_another_kernel(bulkhead, vmlinux, package, tmp_path):
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path], check=True)
    modules = next((tmp_path / "lib/modules").iterdir())
    bulkhead.fails("kernel", "add", "--modules", modules, "x", vmlinux, code=1, match="is for Linux 6.1.0-.*not for 6.12")
    config, image = next((tmp_path / "boot").glob("config-*")), next((tmp_path / "boot").glob("vmlinuz-*"))
    bulkhead.fails("kernel", "add", "--config", config, "x", image, code=1, match="CONFIG_VIRTIO_MMIO, CONFIG_VIRTIO_BLK.*CONFIG_EROFS_FS")
    bulkhead.fails("kernel", "add", "--modules", tmp_path / "none", "x", image, code=1, match="No such file")
    image.write_bytes(image.read_bytes()[:1 << 20])
    bulkhead.fails("kernel", "add", "x", image, code=1, match="cut off")
    assert "x" not in kernels(bulkhead)
