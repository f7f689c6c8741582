"""What an engine may leave behind on the host: processes, mounts, cgroups, namespaces, interfaces, firewall tables, sockets.

An engine is known by the folder that its root, run root and socket lie in: every process of its containers has its root from
there, is in one of the instance's cgroups (a VM), or names the folder in its command line.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import time


def instance_of(root):
    """FNV-1a of the root's path, as engine/engine.cc names what it makes in the kernel."""
    value = 0xCBF29CE484222325
    for byte in os.path.realpath(root).encode():
        value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
    return f"{value & 0xFFFFFF:06x}"


def root_mounts(entry):
    """What the root of a process is mounted from; of one in our own mount namespace nothing, as we see all that is mounted."""
    if os.readlink(f"/proc/{entry}/ns/mnt") == os.readlink("/proc/self/ns/mnt"):
        return b""
    lines = pathlib.Path("/proc", entry, "mountinfo").read_bytes().splitlines()
    return b"\n".join(line for line in lines if line.split()[4] == b"/")


def processes_of(folder):
    """{pid: command line} of all processes that belong to an engine in `folder`, or in one of its folders."""
    mark = str(folder).encode()
    roots = [folder / "root", *pathlib.Path(folder).glob("*/root")]
    instances = [f"/bulkhead-{instance_of(root)}/".encode() for root in roots]
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            command = pathlib.Path("/proc", entry, "cmdline").read_bytes()
            state = pathlib.Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[0]
            mounts = root_mounts(entry)
            cgroup = pathlib.Path("/proc", entry, "cgroup").read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if state != "Z" and (mark in command or mark in mounts or any(each in cgroup for each in instances)) and not is_client(command):
            found[int(entry)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def is_client(command: bytes) -> bool:
    """pytest itself, and docker clients that were given a path below the folder."""
    words = command.split(b"\0")
    return b"pytest" in command or os.path.basename(words[0]) == b"docker"


def mounts_of(folder):
    mark = str(folder)
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return sorted(line.split()[4] for line in lines if mark in line)


def cgroups():
    """Every cgroup of every hierarchy."""
    found = set()
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        found.update(os.path.join(root, name) for name in folders)
    return found


def empty(cgroup):
    """No process in it or below: so it is not in use by somebody else."""
    try:
        return not any(pathlib.Path(root, "cgroup.procs").read_text().strip() for root, _, files in os.walk(cgroup)
                       if "cgroup.procs" in files)
    except OSError:
        return False


def interfaces():
    return set(os.listdir("/sys/class/net"))


def firewall_tables():
    done = subprocess.run(["nft", "--json", "list", "tables"], capture_output=True, text=True)
    if done.returncode:
        return set()
    return {f"{item['table']['family']} {item['table']['name']}" for item in json.loads(done.stdout)["nftables"] if "table" in item}


def abstract_sockets_of(folder):
    mark = str(folder)
    return {line.split()[-1] for line in pathlib.Path("/proc/net/unix").read_text().splitlines() if mark in line}


class Before:
    """The host as it was before an engine started; `leftovers` tells what is new since and not in use by others."""

    def __init__(self):
        self.cgroups, self.interfaces, self.tables = cgroups(), interfaces(), firewall_tables()

    def leftovers(self, folder, own_name=None):
        """A list of texts. `own_name`: what this engine's kernel objects are called (regular expression), so that other
        engines on the machine don't count; None counts everything new."""
        mine = (lambda name: re.search(own_name, name)) if own_name else (lambda name: True)
        found = [f"process {pid}: {command}" for pid, command in processes_of(folder).items()]
        found += [f"mount {mount}" for mount in mounts_of(folder)]
        found += [f"socket {name}" for name in abstract_sockets_of(folder)]
        found += [f"cgroup {name}" for name in sorted(cgroups() - self.cgroups) if empty(name) and mine(name)]
        found += [f"interface {name}" for name in sorted(interfaces() - self.interfaces) if mine(name)]
        found += [f"firewall table {name}" for name in sorted(firewall_tables() - self.tables) if mine(name)]
        return found

    def assert_nothing_left(self, folder, own_name=None, patience=5):
        end = time.monotonic() + patience
        while found := self.leftovers(folder, own_name):
            if time.monotonic() > end:
                raise AssertionError("left behind by the engine:\n  " + "\n  ".join(found))
            time.sleep(0.1)


def sweep(folder):
    """Ends the processes and undoes the mounts of an engine whose test run died; by force, this is not a test."""
    for _ in range(20):
        alive = processes_of(folder)
        if not alive:
            break
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.1)
    for mount in reversed(mounts_of(folder)):
        subprocess.run(["umount", "--lazy", mount], stderr=subprocess.DEVNULL)
