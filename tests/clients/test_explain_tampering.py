"""`bulkhead explain` notices where what is in force is not what was asked for; and only there."""
import contextlib
import json
import os
import pathlib
import re
import sqlite3
import stat
import subprocess
import sys

import pytest

from support.client import wait_until
from support.explain import IMAGE, both_modes, cgroup_of, expect_weaker, explain, init_of, needs_v1, run, weaker

pytestmark = pytest.mark.bulkhead_only


@pytest.fixture
def bulkhead(engine, make_client):
    return make_client(engine, "bulkhead")


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


@both_modes
def test_every_limit_that_was_raised_is_marked(docker, bulkhead, isolation):
    needs_v1("cpu")
    name = run(docker, "--cpu-shares", "512", "--cpuset-cpus", "0", "-m", "512m", isolation=isolation)
    facts = explain(bulkhead, name)
    assert facts["Differences"] == []
    outer = facts["Machine"] or facts["Wall"]
    files = {limit["Name"]: pathlib.Path(limit["File"]) for limit in outer["Limits"]}
    files["cpu-shares"].write_text("2048")
    (files["cpus"].parent / "cpuset.cpus").write_text("0-1")
    if (files["memory"].parent / "memory.memsw.limit_in_bytes").exists():
        (files["memory"].parent / "memory.memsw.limit_in_bytes").write_text("-1")
    files["memory"].write_text(str(8 << 30))
    facts = explain(bulkhead, name)
    expect_weaker(facts, "cpu-shares limit: 512 / 2048")
    expect_weaker(facts, "processors: 0 / 0-1")
    expect_weaker(facts, rf"memory limit: \d+ / {8 << 30}")


def test_a_resource_limit_that_is_higher_is_marked(own_engine, own_docker, make_client):
    bulkhead = make_client(own_engine, "bulkhead")
    name = run(own_docker, "--ulimit", "nofile=100:300")
    assert explain(bulkhead, name)["Differences"] == []
    with altered_record(own_engine, name, lambda config: config.update(Ulimits=[{"Name": "nofile", "Soft": 100, "Hard": 200}])):
        expect_weaker(explain(bulkhead, name), r"RLIMIT_NOFILE of process \d+ \(sleep\): 200 / 300")


def test_devices_that_were_let_through_to_a_machine_are_marked(docker, bulkhead):
    needs_v1("devices")
    name = run(docker, isolation="hyperv")
    facts = explain(bulkhead, name)
    assert facts["Differences"] == [] and all(rule.startswith("c 10:232 ") for rule in facts["Machine"]["DeviceRules"])
    relative = next(pathlib.Path(limit["File"]) for limit in facts["Machine"]["Limits"] if limit["Name"] == "pids").parent.relative_to("/sys/fs/cgroup/pids")
    (pathlib.Path("/sys/fs/cgroup/devices") / relative / "devices.allow").write_text("a")
    expect_weaker(explain(bulkhead, name), r"QEMU's devices: not a \*:\* rwm / a \*:\* rwm")


def test_a_device_that_was_let_through_is_marked(docker, bulkhead):
    needs_v1("devices")
    name = run(docker)
    relative = cgroup_of(explain(bulkhead, name), "pids.max").relative_to("/sys/fs/cgroup/pids")
    (pathlib.Path("/sys/fs/cgroup/devices") / relative / "devices.allow").write_text("b 254:0 rwm")
    expect_weaker(explain(bulkhead, name), "devices: not b 254:0 rwm / b 254:0 rwm")


def test_a_device_node_that_was_made_is_marked(docker, bulkhead):
    name = run(docker)
    os.mknod(f"/proc/{init_of(explain(bulkhead, name))['Pid']}/root/dev/evil", stat.S_IFBLK | 0o600, os.makedev(254, 0))
    expect_weaker(explain(bulkhead, name), "'/dev/evil': no such device / b 254:0, closed by the cgroup")


def test_all_that_devices_list_lets_through_is_told(docker, bulkhead):
    needs_v1("devices")
    name = run(docker, "--device-cgroup-rule", "b *:* rwm")
    assert re.search(r"device rules .*\bb \*:\* rwm", bulkhead.ok("explain", name))
    assert explain(bulkhead, name)["Differences"] == []


@both_modes
def test_the_dead_are_no_strangers(docker, bulkhead, isolation):
    """A child that its parent doesn't wait for."""
    name = run(docker, command=("sh", "-c", "sleep 0.1 & exec sleep 1000"), isolation=isolation)
    wait_until(lambda: "Z" in docker.ok("exec", name, "sh", "-c", "grep -h State /proc/[0-9]*/status"))
    facts = explain(bulkhead, name)
    assert facts["Differences"] == [] and len(facts["Wall"]["Processes"]) == 1


# ---- mounts

MOVE_A_MOUNT = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
tree = libc.syscall(428, -100, sys.argv[2].encode(), 1)  # open_tree(AT_FDCWD, source, OPEN_TREE_CLONE)
assert tree >= 0, os.strerror(ctypes.get_errno())
namespace = os.open(f"/proc/{sys.argv[1]}/ns/mnt", os.O_RDONLY)
assert libc.setns(namespace, 0x20000) == 0, os.strerror(ctypes.get_errno())
assert libc.syscall(429, tree, b"", -100, sys.argv[3].encode(), 4) == 0, os.strerror(ctypes.get_errno())  # MOVE_MOUNT_F_EMPTY_PATH
"""


def move_a_mount(pid, source, inside):
    """A folder of the host, mounted where a process sees it."""
    subprocess.run([sys.executable, "-c", MOVE_A_MOUNT, str(pid), source, inside], check=True)


CHANGE_MOUNTS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pid, change, place = sys.argv[1:]
namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
assert libc.setns(namespace, 0x20000) == 0, os.strerror(ctypes.get_errno())
MNT_DETACH, MS_REMOUNT, MS_BIND = 2, 32, 4096
result = {"umount": lambda: libc.umount2(place.encode(), MNT_DETACH),
          "writable": lambda: libc.mount(None, place.encode(), None, MS_REMOUNT | MS_BIND, None),
          "proc": lambda: libc.mount(b"proc", place.encode(), b"proc", 0, None)}[change]()
assert result == 0, os.strerror(ctypes.get_errno())
"""


def change_mounts(pid, change, place):
    """In the mount namespace of a process: "umount", "writable", "proc"."""
    subprocess.run([sys.executable, "-c", CHANGE_MOUNTS, str(pid), change, place], check=True)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv" / "file").write_text("x")
    return tmp_path / "srv"


def test_a_folder_of_the_host_that_was_mounted_inside_is_marked(docker, bulkhead):
    name = run(docker)
    facts = explain(bulkhead, name)
    move_a_mount(init_of(facts)["Pid"], "/etc", "/tmp")
    expect_weaker(explain(bulkhead, name), "'/tmp': no file of the host / '/etc' of the host")


@pytest.mark.parametrize("inside", ["/m", "/etc/hosts", "/sys/firmware"])
def test_a_folder_of_the_host_over_what_was_asked_for_is_marked(docker, bulkhead, server, inside):
    name = run(docker, "-v", f"{server}:/m:ro")
    facts = explain(bulkhead, name)
    assert facts["Differences"] == []
    move_a_mount(init_of(facts)["Pid"], "/etc/passwd" if inside == "/etc/hosts" else "/etc", inside)
    expect_weaker(explain(bulkhead, name), f"'{inside}': no file of the host / '/etc.*' of the host, writable")


def test_a_folder_of_the_host_in_place_of_the_one_that_was_asked_for_is_marked(docker, bulkhead, server):
    name = run(docker, "-v", f"{server}:/m:ro")
    pid = init_of(explain(bulkhead, name))["Pid"]
    change_mounts(pid, "umount", "/m")
    move_a_mount(pid, "/etc", "/m")
    expect_weaker(explain(bulkhead, name), "'/m': no file of the host / '/etc' of the host")


def test_a_folder_of_the_host_over_a_share_of_a_machine_is_marked(docker, bulkhead, server):
    name = run(docker, "-v", f"{server}:/m", isolation="hyperv")
    facts = explain(bulkhead, name)
    assert facts["Differences"] == []
    move_a_mount(facts["Machine"]["Processes"][0]["Pid"], "/etc", "/shares/0")
    expect_weaker(explain(bulkhead, name), "QEMU's jail: '/shares/0': nothing but what it was given / '/etc' of the host")


@pytest.mark.parametrize("inside", ["/m", "/proc/sys", "/sys", "/sys/fs/cgroup/devices", "/"])
def test_a_mount_that_was_made_writable_is_marked(docker, bulkhead, server, inside):
    if inside == "/sys/fs/cgroup/devices":
        needs_v1("devices")
    name = run(docker, "-v", f"{server}:/m:ro", "--read-only")
    facts = explain(bulkhead, name)
    assert facts["Differences"] == []
    change_mounts(init_of(facts)["Pid"], "writable", inside)
    expect_weaker(explain(bulkhead, name), rf"({re.escape(repr(inside))}|the root file system): read-only / writable")


@pytest.mark.parametrize("inside, lost", [("/proc/timer_list", "hidden / shown"), ("/proc/keys", "hidden / shown"),
                                          ("/sys/firmware", "hidden / shown"), ("/proc/sys", "read-only / writable")])
def test_a_mask_that_was_taken_away_is_marked(docker, bulkhead, inside, lost):
    if not os.path.exists(inside):
        pytest.skip(f"this kernel has no {inside}")
    name = run(docker)
    change_mounts(init_of(explain(bulkhead, name))["Pid"], "umount", inside)
    assert weaker(explain(bulkhead, name)) == [f"'{inside}': {lost}"]


def test_another_proc_over_the_masks_is_marked(docker, bulkhead):
    name = run(docker)
    change_mounts(init_of(explain(bulkhead, name))["Pid"], "proc", "/proc")
    facts = explain(bulkhead, name)
    expect_weaker(facts, "'/proc': nothing of the kernel's / another proc, writable")
    expect_weaker(facts, "'/proc/keys': hidden / shown")


def test_what_became_of_a_source_is_no_difference(docker, bulkhead, tmp_path):
    for folder in ("renamed", "removed", "replaced", "target"):
        (tmp_path / folder).mkdir()
    for file in ("file", "written", "gone"):
        (tmp_path / file).write_text("x")
    (tmp_path / "link").symlink_to("target")
    names = ("renamed", "removed", "replaced", "link", "file", "written", "gone")
    name = run(docker, *(word for each in names for word in ("-v", f"{tmp_path}/{each}:/m/{each}:ro")), "-v", f"{tmp_path}/target:/var/run/t")
    assert explain(bulkhead, name)["Differences"] == []
    (tmp_path / "renamed").rename(tmp_path / "else")
    (tmp_path / "removed").rmdir()
    (tmp_path / "replaced").rename(tmp_path / "old")
    (tmp_path / "replaced").mkdir()
    (tmp_path / "new").write_text("y")
    (tmp_path / "new").rename(tmp_path / "written")
    (tmp_path / "gone").unlink()
    facts = explain(bulkhead, name)
    assert facts["Differences"] == []
    assert {path["Standing"] for path in facts["Wall"]["Paths"]} == {"given"}


def test_what_is_mounted_on_the_host_later_may_come_in(docker, bulkhead, tmp_path):
    """Where it was asked for: rslave."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True)
    try:
        subprocess.run(["mount", "--make-shared", tmp_path], check=True)
        (tmp_path / "below").mkdir()
        name = run(docker, "-v", f"{tmp_path}:/m:rslave")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "below"], check=True)
        facts = explain(bulkhead, name)
        assert "/m/below" in {path["Inside"] for path in facts["Wall"]["Paths"]}
        assert facts["Differences"] == []
        docker.ok("rm", "-f", name)
    finally:
        subprocess.run(["umount", "-R", tmp_path], check=True)


@both_modes
@pytest.mark.parametrize("options", [["--privileged"], ["--read-only", "--tmpfs", "/t"], ["--tmpfs", "/t:ro"], ["-t"], ["--init"],
                                     ["--cap-add", "ALL", "-m", "64m", "--cpus", "0.5"]])
def test_no_kind_of_container_differs_by_itself(docker, bulkhead, isolation, options):
    assert explain(bulkhead, run(docker, *options, isolation=isolation))["Differences"] == []


@pytest.mark.parametrize("options", [["-v", "/:/host"], ["-v", "/dev:/dev"], ["--device", "/dev/loop-control"], ["--pid=host", "--ipc=host"],
                                     ["--security-opt", "systempaths=unconfined"], ["--cgroupns=host"]])
def test_no_kind_of_process_container_differs_by_itself(docker, bulkhead, options):
    assert explain(bulkhead, run(docker, *options))["Differences"] == []
