"""`bulkhead explain`: what is in force, measured; and that it notices where this is not what was asked for."""
import contextlib
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import threading
import xml.etree.ElementTree

import pytest

from support.client import wait_until

IMAGE = "busybox:1"
pytestmark = pytest.mark.bulkhead_only
both_modes = pytest.mark.parametrize("isolation", ["process", "hyperv"])
DEFAULT_CAPABILITIES = 14


@pytest.fixture
def bulkhead(engine, make_client):
    return make_client(engine, "bulkhead")


def explain(client, name):
    """The facts about one container."""
    containers = json.loads(client.ok("explain", "--json", name))["Containers"]
    assert len(containers) == 1 and containers[0]["Error"] == ""
    return containers[0]


def run(docker, *options, command=("sleep", "1000"), isolation="process"):
    return docker.ok("run", "-d", f"--isolation={isolation}", *options, IMAGE, *command)


def init_of(facts):
    return next(process for process in facts["Wall"]["Processes"] if process["Role"] == "init")


def calls(process):
    native = process["Seccomp"]["SystemCalls"][0]
    return native["Reachable"], native["Known"]


def weaker(facts):
    return [f"{each['What']}: {each['Asked']} / {each['InForce']}" for each in facts["Differences"] if each["Weaker"]]


def expect_weaker(facts, pattern):
    assert any(re.search(pattern, each) for each in weaker(facts)), weaker(facts)


def host_file(path):
    return pathlib.Path(path).read_text(encoding="utf-8").strip()


def cgroup_of(facts, file):
    return pathlib.Path(next(limit["File"] for limit in facts["Wall"]["Limits"] if limit["File"].endswith(file))).parent


def needs_v1(controller):
    if not os.path.isdir(f"/sys/fs/cgroup/{controller}"):
        pytest.skip(f"this host has no v1 hierarchy for {controller}")


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


# ---- what is not as it was asked for

@contextlib.contextmanager
def altered_record(engine, name, change):
    """What the engine believes that was asked for, changed behind its back."""
    container = engine.api.inspect(name)["Id"]
    engine.stop()
    with contextlib.closing(sqlite3.connect(engine.root / "state.db")) as database:
        [text] = database.execute("SELECT definition FROM containers WHERE id = ?", (container,)).fetchone()
        definition = json.loads(text)
        change(definition["host_config"])
        database.execute("UPDATE containers SET definition = ? WHERE id = ?", (json.dumps(definition), container))
        database.commit()
    engine.start()
    yield


@pytest.mark.parametrize("isolation", ["process", "hyperv"])
def test_more_than_the_record_says_is_marked(own_engine, own_docker, make_client, isolation):
    bulkhead = make_client(own_engine, "bulkhead")
    name = run(own_docker, "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", isolation=isolation)
    assert explain(bulkhead, name)["Differences"] == []
    with altered_record(own_engine, name, lambda config: config.update(CapAdd=None, SecurityOpt=["no-new-privileges"])):
        facts = explain(bulkhead, name)
        expect_weaker(facts, r"capabilities of process .* / also CAP_SYS_ADMIN")
        expect_weaker(facts, r"system calls of process .* \d+ of \d+ / no filter")
        expect_weaker(facts, r"no new privileges, process .* on / off")
        assert "CAP_SYS_ADMIN" in init_of(facts)["Capabilities"]["Effective"]
        text = bulkhead.ok("explain", name)
        assert "ASKED FOR / IN FORCE" in text and "! capabilities of process" in text
        assert "WEAKER THAN ASKED" in bulkhead.ok("explain", "--picture", name)


def start_on_host(command, **options):
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)


@contextlib.contextmanager
def intruder(cgroup, *enter):
    """A process of the host's in the cgroup (None: not), after it has entered what nsenter(1) is told to."""
    place = "" if cgroup is None else f"for f in {cgroup}; do echo $$ > $f/cgroup.procs; done;"
    process = start_on_host(["sh", "-c", f"{place} exec {' '.join(['nsenter', *enter, '--'] if enter else [])} sh -c 'echo; read x'"])
    process.stdout.readline()
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def test_a_process_of_the_host_in_the_containers_cgroup_is_marked(docker, bulkhead):
    needs_v1("pids")
    name = run(docker)
    with intruder(cgroup_of(explain(bulkhead, name), "pids.max")) as process:
        facts = explain(bulkhead, name)
        for kind in ("mount", "pid", "network", "uts", "ipc"):
            expect_weaker(facts, rf"{kind} namespace of process {process.pid} \(sh\): the container's own / .* outside")
        expect_weaker(facts, rf"capabilities of process {process.pid} .* / also .*CAP_SYS_ADMIN")
        expect_weaker(facts, rf"system calls of process {process.pid} .* / no filter")
    assert explain(bulkhead, name)["Differences"] == []


@pytest.mark.parametrize("kept, others", [("uts", "-m -p -n -i -C"), ("network", "-m -p -u -i -C"), ("ipc", "-m -p -u -n -C")])
def test_one_namespace_that_is_the_hosts_is_marked(docker, bulkhead, kept, others):
    needs_v1("pids")
    name = run(docker)
    facts = explain(bulkhead, name)
    with intruder(cgroup_of(facts, "pids.max"), "-t", str(init_of(facts)["Pid"]), *others.split()):
        # nsenter itself stays in the PID namespace that it came from: its child is meant.
        marked = [each for each in weaker(explain(bulkhead, name)) if re.search(r"namespace of process \d+ \(sh\)", each)]
        assert len(marked) == 1 and marked[0].startswith(f"{kept} namespace of process"), marked


def test_a_namespace_of_another_container_is_marked(docker, bulkhead):
    needs_v1("pids")
    docker.ok("run", "-d", "--name", "victim", IMAGE, "sleep", "1000")
    other = init_of(explain(bulkhead, "victim"))["Pid"]
    name = run(docker)
    facts = explain(bulkhead, name)
    with intruder(cgroup_of(facts, "pids.max"), f"--net=/proc/{other}/ns/net", "-t", str(init_of(facts)["Pid"]), "-m", "-p", "-u", "-i", "-C"):
        expect_weaker(explain(bulkhead, name), "network namespace of process .* / shared with container victim")


def test_a_stranger_in_the_namespaces_is_marked(docker, bulkhead):
    name = run(docker, "-m", "64m")
    with intruder(None, "-t", str(init_of(explain(bulkhead, name))["Pid"]), "-m", "-p"):
        expect_weaker(explain(bulkhead, name), "limits of process .* not in its cgroup")


def test_a_limit_that_was_lifted_is_marked(docker, bulkhead):
    needs_v1("memory")
    name = run(docker, "-m", "64m", "--memory-swap", "64m", "--pids-limit", "50")
    facts = explain(bulkhead, name)
    (cgroup_of(facts, "memory.memsw.limit_in_bytes") / "memory.memsw.limit_in_bytes").write_text("-1")
    (cgroup_of(facts, "memory.limit_in_bytes") / "memory.limit_in_bytes").write_text(str(128 << 20))
    (cgroup_of(facts, "pids.max") / "pids.max").write_text("max")
    facts = explain(bulkhead, name)
    expect_weaker(facts, rf"memory limit: {64 << 20} / {128 << 20} ")
    expect_weaker(facts, rf"memory\+swap limit: {64 << 20} / unlimited")
    expect_weaker(facts, "pids limit: 50 / unlimited")


def test_an_init_that_was_taken_out_of_its_cgroup_is_marked(docker, bulkhead):
    needs_v1("memory")
    name = run(docker, "-m", "64m")
    facts = explain(bulkhead, name)
    folder = cgroup_of(facts, "memory.limit_in_bytes")
    pid = str(init_of(facts)["Pid"])
    pathlib.Path("/sys/fs/cgroup/memory/cgroup.procs").write_text(pid)
    try:
        expect_weaker(explain(bulkhead, name), rf"memory limit: {64 << 20} / unlimited \(/sys/fs/cgroup/memory/memory.limit")
    finally:
        (folder / "cgroup.procs").write_text(pid)


def test_a_machine_that_was_taken_out_of_its_cgroup_is_marked(docker, bulkhead):
    needs_v1("memory")
    name = run(docker, isolation="hyperv")
    machine = explain(bulkhead, name)["Machine"]
    folder = pathlib.Path(next(limit["File"] for limit in machine["Limits"] if limit["Name"] == "memory")).parent
    pid = str(machine["Processes"][0]["Pid"])
    pathlib.Path("/sys/fs/cgroup/memory/cgroup.procs").write_text(pid)
    try:
        expect_weaker(explain(bulkhead, name), "QEMU's memory limit: .* / unlimited")
    finally:
        (folder / "cgroup.procs").write_text(pid)


def test_a_device_that_was_let_through_is_marked(docker, bulkhead):
    needs_v1("devices")
    name = run(docker)
    relative = cgroup_of(explain(bulkhead, name), "pids.max").relative_to("/sys/fs/cgroup/pids")
    (pathlib.Path("/sys/fs/cgroup/devices") / relative / "devices.allow").write_text("b 254:0 rwm")
    expect_weaker(explain(bulkhead, name), "devices: not b 254:0 rwm / b 254:0 rwm")


MOVE_A_MOUNT = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
tree = libc.syscall(428, -100, sys.argv[2].encode(), 1)  # open_tree(AT_FDCWD, source, OPEN_TREE_CLONE)
assert tree >= 0, os.strerror(ctypes.get_errno())
namespace = os.open(f"/proc/{sys.argv[1]}/ns/mnt", os.O_RDONLY)
assert libc.setns(namespace, 0x20000) == 0, os.strerror(ctypes.get_errno())
assert libc.syscall(429, tree, b"", -100, sys.argv[3].encode(), 4) == 0, os.strerror(ctypes.get_errno())  # MOVE_MOUNT_F_EMPTY_PATH
"""


def test_a_folder_of_the_host_that_was_mounted_inside_is_marked(docker, bulkhead):
    name = run(docker)
    facts = explain(bulkhead, name)
    subprocess.run([sys.executable, "-c", MOVE_A_MOUNT, str(init_of(facts)["Pid"]), "/etc", "/tmp"], check=True)
    expect_weaker(explain(bulkhead, name), "'/tmp': no file of the host / '/etc' of the host")


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
