"""`bulkhead explain`: what is in force, measured."""
import json
import os
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree

import pytest

from support.client import wait_until
from support.explain import IMAGE, both_modes, calls, expect_weaker, explain, host_file, init_of, run

pytestmark = pytest.mark.bulkhead_only
DEFAULT_CAPABILITIES = 14


@pytest.fixture
def bulkhead(engine, make_client):
    return make_client(engine, "bulkhead")


# ---- what is measured

def test_a_process_container_shares_the_hosts_kernel(docker, bulkhead):
    facts = explain(bulkhead, run(docker, "-m", "64m", "--pids-limit", "50"))
    assert facts["ToldBy"] == "host" and facts["Machine"] is None
    assert facts["Kernel"]["IsHosts"] is True
    assert facts["Kernel"]["Release"] == os.uname().release
    assert facts["Kernel"]["BootId"] == host_file("/proc/sys/kernel/random/boot_id")
    init = init_of(facts)
    assert len(init["Capabilities"]["Bounding"]) == DEFAULT_CAPABILITIES and "CAP_SYS_ADMIN" not in init["Capabilities"]["Effective"]
    assert init["Seccomp"]["Mode"] == "filter" and init["Seccomp"]["Filters"] == 1
    assert 200 < calls(init)[0] < calls(init)[1]
    limits = {limit["Name"]: limit["Number"] for limit in facts["Wall"]["Limits"]}
    assert limits["memory"] == 64 << 20 and limits["pids"] == 50
    assert not any(init["Namespaces"][kind]["Outer"] for kind in ("mount", "pid", "network", "ipc", "uts", "cgroup"))
    assert {"/dev/null", "/dev/zero", "/dev/urandom"} <= {device["Path"] for device in facts["Wall"]["Devices"]}
    assert facts["Differences"] == [] and facts["Wall"]["NotMeasured"] == []
    assert [process["Name"] for process in facts["SystemProcesses"]] == ["shim"]


def test_a_hyperv_container_has_a_kernel_of_its_own(docker, bulkhead):
    name = run(docker, "-m", "64m", "--pids-limit", "50", isolation="hyperv")
    facts = explain(bulkhead, name)
    assert facts["ToldBy"] == "guest"
    assert facts["Kernel"]["IsHosts"] is False
    assert facts["Kernel"]["BootId"] == docker.ok("exec", name, "cat", "/proc/sys/kernel/random/boot_id")
    assert facts["Kernel"]["Release"] == docker.ok("exec", name, "uname", "-r")
    assert facts["OnSameKernel"] == []
    init = init_of(facts)
    assert len(init["Capabilities"]["Bounding"]) == DEFAULT_CAPABILITIES and init["Seccomp"]["Mode"] == "filter"
    limits = {limit["Name"]: limit["Number"] for limit in facts["Wall"]["Limits"]}
    assert limits["memory"] == 64 << 20 and limits["pids"] == 50
    assert facts["Differences"] == []


def test_qemus_jail_is_measured_from_outside(docker, bulkhead):
    facts = explain(bulkhead, run(docker, isolation="hyperv"))
    machine = facts["Machine"]
    assert machine["Accelerator"] in ("kvm", "tcg") and "QEMU" in machine["AcceleratorHow"]
    [qemu] = machine["Processes"]
    assert qemu["Role"] == "qemu" and "qemu" in os.readlink(f"/proc/{qemu['Pid']}/exe")
    assert qemu["User"] == os.stat(f"/proc/{qemu['Pid']}").st_uid != 0 or qemu["User"] >= 0x70000000
    assert qemu["Capabilities"]["Effective"] == [] and qemu["NoNewPrivileges"] is True
    assert calls(qemu)[0] < calls(qemu)[1] / 2  # a list of what is allowed
    assert all(abi["Reachable"] == 0 for abi in qemu["Seccomp"]["SystemCalls"][1:])
    assert not any(qemu["Namespaces"][kind]["Outer"] for kind in ("mount", "pid", "network", "ipc", "uts", "cgroup"))
    assert machine["OpenFiles"] and all(path["ReadOnly"] for path in machine["Paths"] if path["Kind"] == "host")
    assert {process["Name"]: process["Where"] for process in facts["SystemProcesses"]} == {"shim": "host", "qemu": "host", "agent": "guest"}
    assert all(process["Memory"] > 100_000 for process in facts["SystemProcesses"])


@both_modes
def test_the_filter_in_force_is_read_and_evaluated(docker, bulkhead, tmp_path, isolation):
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat", "acct"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]}]}
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    init = init_of(explain(bulkhead, run(docker, "--security-opt", f"seccomp={tmp_path}/profile.json", isolation=isolation)))
    native = init["Seccomp"]["SystemCalls"][0]
    assert native["Reachable"] == native["Known"] - 3 and native["WithSomeArguments"] == 1
    init = init_of(explain(bulkhead, run(docker, "--security-opt", "seccomp=unconfined", isolation=isolation)))
    assert init["Seccomp"]["Mode"] == "none" and calls(init)[0] == calls(init)[1] == native["Known"]


@both_modes
@pytest.mark.parametrize("options, sign", [
    (["--cap-add", "SYS_ADMIN"], lambda init: "CAP_SYS_ADMIN" in init["Capabilities"]["Effective"]),
    (["--privileged"], lambda init: len(init["Capabilities"]["Bounding"]) > 35 and init["Seccomp"]["Mode"] == "none"),
    (["--security-opt", "no-new-privileges"], lambda init: init["NoNewPrivileges"] is True),
    (["-u", "app"], lambda init: init["User"] == 1000 and init["Capabilities"]["Effective"] == []),
])
def test_a_wall_that_was_asked_to_be_so_is_no_difference(docker, bulkhead, isolation, options, sign):
    facts = explain(bulkhead, run(docker, *options, isolation=isolation))
    assert sign(init_of(facts)), init_of(facts)
    assert facts["Differences"] == []


def test_host_namespaces_and_host_paths_are_shown(docker, bulkhead, tmp_path):
    facts = explain(bulkhead, run(docker, "--network=host", "--pid=host", "-v", f"{tmp_path}:/data:ro"))
    outer = {kind for kind, found in init_of(facts)["Namespaces"].items() if found["Outer"]}
    assert {"network", "pid"} <= outer and "mount" not in outer
    path = next(path for path in facts["Wall"]["Paths"] if path["Inside"] == "/data")
    assert path["Kind"] == "host" and path["ReadOnly"] and os.path.samefile(path["Source"], tmp_path)
    assert facts["Differences"] == []


@both_modes
def test_an_exec_is_inside_the_same_wall(docker, bulkhead, isolation):
    name = run(docker, "-m", "64m", "--cap-drop", "CHOWN", isolation=isolation)
    docker.ok("exec", "-d", name, "sleep", "1001")
    processes = wait_until(lambda: (found := explain(bulkhead, name)["Wall"]["Processes"]) and len(found) == 2 and found)
    init, other = sorted(processes, key=lambda process: process["Role"] != "init")
    assert other["Role"] == "exec" and other["Command"] == "sleep 1001" and other["ExecId"]
    for fact in ("Capabilities", "Seccomp", "NoNewPrivileges", "Namespaces", "User", "Group"):
        assert other[fact] == init[fact], fact


@both_modes
def test_an_exec_that_is_not_shows(docker, bulkhead, isolation):
    name = run(docker, isolation=isolation)
    docker.ok("exec", "-d", "--privileged", name, "sleep", "1001")
    wait_until(lambda: len(explain(bulkhead, name)["Wall"]["Processes"]) == 2)
    expect_weaker(explain(bulkhead, name), r"capabilities of process \d+ \(sleep\): .*CAP_CHOWN.* / also .*CAP_SYS_ADMIN")


def test_who_else_is_on_the_kernel(docker, bulkhead):
    docker.ok("run", "-d", "--name", "one", IMAGE, "sleep", "1000")
    docker.ok("run", "-d", "--name", "two", IMAGE, "sleep", "1000")
    docker.ok("run", "-d", "--name", "three", "--isolation=hyperv", IMAGE, "sleep", "1000")
    assert [other["Name"] for other in explain(bulkhead, "one")["OnSameKernel"]] == ["/two"]
    host = json.loads(bulkhead.ok("explain", "--json"))
    assert {container["Name"]: container["Kernel"]["IsHosts"] for container in host["Containers"]} == {
        "/one": True, "/two": True, "/three": False}
    assert host["Host"]["Kernel"]["BootId"] == host_file("/proc/sys/kernel/random/boot_id")
    text = bulkhead.ok("explain")
    assert all(name in text for name in ("one (", "two (", "three (", "QEMU's jail", "guest's own words"))


def test_the_init_of_the_wall_is_a_system_process(docker, bulkhead):
    facts = explain(bulkhead, run(docker, "--init"))
    assert [(process["Name"], process["Where"]) for process in facts["SystemProcesses"]] == [("shim", "host"), ("init", "container")]


# ---- what explaining does to the container, and to whoever reads it

def test_the_container_is_let_go(docker, bulkhead):
    name = run(docker, command=("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /n; done"))
    pid = init_of(explain(bulkhead, name))["Pid"]
    counted = lambda: int(docker.ok("exec", name, "cat", "/n") or 0)
    for _ in range(10):
        explain(bulkhead, name)
        status = host_file(f"/proc/{pid}/status")
        assert "TracerPid:\t0" in status and not re.search(r"State:\t[Tt]", status)
    before = counted()
    wait_until(lambda: counted() > before, what="the container to go on")


def test_exit_codes_and_signals_get_through_meanwhile(docker, bulkhead):
    stop = threading.Event()

    def look():
        while not stop.is_set():
            bulkhead("explain", "--json")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for code in range(10, 20):
            assert docker("run", "--rm", IMAGE, "sh", "-c", f"exit {code}").code == code
        name = docker.ok("run", "-d", IMAGE, "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.01; done")
        docker.ok("stop", name)
        assert docker.ok("wait", name) == "7"
    finally:
        stop.set()
        thread.join()


SILENT_FUSE = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
places = ("/dev/served", "/proc")
channels = [os.open("/dev/fuse", os.O_RDWR) for _ in places]
namespace = os.open(f"/proc/{sys.argv[1]}/ns/mnt", os.O_RDONLY)
assert libc.setns(namespace, 0x20000) == 0, os.strerror(ctypes.get_errno())
os.makedirs("/dev/served", exist_ok=True)
for place, channel in zip(places, channels):
    options = f"fd={channel},rootmode=40000,user_id=0,group_id=0"
    assert libc.mount(b"fuse", place.encode(), b"fuse", 0, options.encode()) == 0, os.strerror(ctypes.get_errno())
print("mounted", flush=True)
time.sleep(1000)
"""


def test_a_file_system_of_the_containers_own_keeps_nobody_waiting(docker, bulkhead):
    """FUSE, served by a process that never answers."""
    name = run(docker, "--cap-add", "SYS_ADMIN", "--device", "/dev/fuse", "--security-opt", "seccomp=unconfined")
    pid = init_of(explain(bulkhead, name))["Pid"]
    server = subprocess.Popen([sys.executable, "-c", SILENT_FUSE, str(pid)], stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"mounted\n"
        facts = explain(bulkhead, name)  # the fixture's client has a time limit
        assert facts["Kernel"]["IsHosts"] is None
        assert "/dev/null" in {device["Path"] for device in facts["Wall"]["Devices"]}
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@both_modes
def test_a_paused_one_says_what_can_not_be_measured(docker, bulkhead, isolation):
    name = run(docker, isolation=isolation)
    docker.ok("pause", name)
    try:
        facts = explain(bulkhead, name)
        assert any("paused" in gap["Why"] for gap in facts["Wall"]["NotMeasured"]), facts["Wall"]["NotMeasured"]
        assert "not measured" in bulkhead.ok("explain", name)
    finally:
        docker.ok("unpause", name)
    assert explain(bulkhead, name)["Wall"]["NotMeasured"] == explain(bulkhead, run(docker, isolation=isolation))["Wall"]["NotMeasured"]


def test_a_stopped_one_has_no_wall(docker, bulkhead):
    name = docker.ok("create", IMAGE, "true")
    bulkhead.fails("explain", name, code=1, match="not running")
    bulkhead.fails("explain", "nobody", code=1, match="No such container")


@both_modes
def test_hostile_names_stay_text(docker, bulkhead, isolation):
    hostile = "</text><script>\x1b[2J\x07&\xc3"
    name = run(docker, command=("sh", "-c", "while :; do sleep 1; done", hostile), isolation=isolation)
    facts = explain(bulkhead, name)
    assert "</text>" in init_of(facts)["Command"]
    text = bulkhead.ok("explain", name)
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)
    picture = bulkhead.ok("explain", "--picture", name)
    assert "<script" not in picture
    xml.etree.ElementTree.fromstring(picture.encode())


def test_a_container_can_not_hide_behind_its_own_proc(docker, bulkhead):
    """What stands at the path of the boot id inside need not be the kernel's file."""
    name = docker.ok("run", "-d", "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", IMAGE, "sh", "-c",
                     "mkfifo /f; mount --bind /f /proc/sys/kernel/random/boot_id; echo ready; sleep 1000")
    wait_until(lambda: "ready" in docker.ok("logs", name))
    facts = explain(bulkhead, name)
    assert facts["Kernel"]["IsHosts"] is None
    assert any("not the kernel's file" in gap["Why"] for gap in facts["Wall"]["NotMeasured"])


def test_pictures_and_files(docker, bulkhead, tmp_path):
    docker.ok("run", "-d", "--name", "drawn", IMAGE, "sleep", "1000")
    docker.ok("run", "-d", "--name", "also", "--isolation=hyperv", IMAGE, "sleep", "1000")
    bulkhead.ok("explain", "--picture", "--output", tmp_path / "host.svg")
    root = xml.etree.ElementTree.parse(tmp_path / "host.svg").getroot()
    words = " ".join(root.itertext())
    assert all(word in words for word in ("drawn", "also", "host's kernel", "own kernel", "QEMU's jail", "hardware"))
    bulkhead.ok("explain", "--json", "--output", tmp_path / "facts.json")
    assert json.loads((tmp_path / "facts.json").read_text())["Host"]
    bulkhead.fails("explain", "--json", "--picture", code=1, match="can't both")
