"""bulkhead doctor: says what isolation needs and whether it is here, without an engine, and leaves nothing behind."""
import json
import os
import subprocess
import time

import pytest

from support.engines import REPOSITORY

pytestmark = pytest.mark.bulkhead_only


@pytest.fixture
def doctor(request):
    binary = REPOSITORY / "build" / request.config.getoption("--preset") / "bin/bulkhead"

    def run(*arguments, before=()):
        command = [*before, str(binary), "--host", "unix:///nonexistent/engine.sock", "doctor", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


def found(doctor, subject, **options):
    checks = json.loads(doctor("--json", **options).stdout)["Checks"]
    return next(check for check in checks if check["Subject"] == subject)


def test_process_isolation_works_where_these_tests_run(doctor):
    done = doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "process isolation works on this host" in done.stdout


def test_json(doctor):
    done = doctor("--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["Process"]["Works"]
    assert {"kernel", "namespaces", "overlayfs", "cgroups", "nftables", "QEMU", "mkfs.erofs", "KVM"} <= {check["Subject"] for check in answer["Checks"]}
    for check in answer["Checks"]:
        assert check["Found"] and (check["Remedy"] == "" or check["Health"] != "ok"), check


def test_the_kvm_probe_ends(doctor):
    """A device that is there, and useless, makes it neither hang nor believe."""
    begin = time.monotonic()
    kvm = found(doctor, "KVM")
    assert time.monotonic() - begin < 30  # against hanging: the probe itself gives up after a second
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        flags = next(line for line in cpuinfo if line.startswith("flags")).split()
    if not {"vmx", "svm"} & set(flags):
        assert kvm["Health"] == "weak" and found(doctor, "CPU virtualization")["Health"] == "weak", kvm


def test_what_is_missing_is_named_with_its_remedy(doctor):
    """No nft(8), hidden by a mount in this command's own namespace."""
    hide = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "for f in /usr/sbin/nft /sbin/nft /usr/bin/nft; do [ -e $f ] && mount --bind /dev/null $f; done; exec \"$@\"", "sh"]
    done = doctor("--json", before=hide)
    check = next(check for check in json.loads(done.stdout)["Checks"] if check["Subject"] == "nftables")
    assert done.returncode == 1 and check["Health"] == "missing" and "apt install nftables" in check["Remedy"]


TRIED = {"namespaces", "overlayfs", "bridge", "veth", "nftables", "tap", "packet redirect"}


def test_an_unprivileged_user_is_told_so(doctor):
    """And nothing else: no module and no other kernel gives a user root's rights."""
    done = doctor("--json", before=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    missing = {check["Subject"]: check for check in json.loads(done.stdout)["Checks"] if check["Health"] == "missing"}
    assert done.returncode == 1 and {"root"} | TRIED <= set(missing)
    for subject in {"root"} | TRIED:
        assert missing[subject]["Remedy"] == "sudo bulkhead doctor", missing[subject]


@pytest.mark.parametrize("capability, subjects", [("sys_admin", TRIED), ("net_admin", {"bridge", "veth", "nftables", "tap", "packet redirect"})])
def test_root_without_a_capability_is_told_so(doctor, capability, subjects):
    done = doctor("--json", before=["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"])
    missing = {check["Subject"]: check for check in json.loads(done.stdout)["Checks"] if check["Health"] == "missing"}
    assert done.returncode == 1 and set(missing) == subjects
    for check in missing.values():
        assert "CAP_SYS_ADMIN and CAP_NET_ADMIN" in check["Remedy"], check


@pytest.mark.skipif(not os.path.ismount("/sys/fs/cgroup/pids"), reason="this host has no version 1 controllers, mounted one by one")
def test_unmounted_controllers_are_mounted_by_the_remedy(doctor):
    """In a mount namespace of this test's own."""
    def controllers(repair):
        script = 'umount /sys/fs/cgroup/pids /sys/fs/cgroup/devices && eval "$0" && exec "$@"'
        return found(doctor, "cgroup controllers", before=["unshare", "--mount", "--propagation", "private", "sh", "-c", script, repair])

    missing = controllers(":")
    assert missing["Health"] == "missing" and missing["Found"] == "not there: pids, devices", missing
    assert controllers(missing["Remedy"])["Health"] == "ok", missing


def test_nothing_is_left(doctor, tmp_path):
    """In namespaces of this test's own, where nobody else makes links and mounts meanwhile. A mount may go: the kernel undoes the
    copies of others' mounts here as their folders are removed."""
    count = "{ ip -o link; cat /proc/self/mountinfo; nft list tables; ls /tmp/bulkhead-doctor* 2>&1; } | sed 's/ .*//' | sort"
    script = f'{count} >"$0/before"; "$@" >/dev/null; {count} >"$0/after"; comm -13 "$0/before" "$0/after" >&2; test -z "$(comm -13 "$0/before" "$0/after")"'
    done = doctor(before=["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script, str(tmp_path)])
    assert done.returncode == 0, done.stderr
