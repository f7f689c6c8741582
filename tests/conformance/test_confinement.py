"""Capabilities, seccomp, no_new_privs, masked paths: the wall of process isolation, felt from inside."""
import json
import re

import pytest

IMAGE = "busybox:1"
# Docker's default set: CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE
DEFAULT = 0xA80425FB
CHOWN, NET_ADMIN, SYS_ADMIN = 1 << 0, 1 << 12, 1 << 21


def sh(docker, script, *options):
    return docker.ok("run", "--rm", *options, IMAGE, "sh", "-c", script)


def capabilities(docker, *options):
    out = sh(docker, "cat /proc/self/status", *options)
    return {name: int(value, 16) for name, value in re.findall(r"Cap(\w+):\s+([0-9a-f]+)", out)}


def host_bounding_set():
    with open("/proc/self/status", encoding="utf-8") as status:
        return int(re.search(r"CapBnd:\s+([0-9a-f]+)", status.read()).group(1), 16)


def test_default_set(docker):
    sets = capabilities(docker)
    assert sets["Prm"] == sets["Eff"] == sets["Bnd"] == DEFAULT and sets["Amb"] == 0


@pytest.mark.parametrize("options, expected", [
    (["--cap-drop", "CHOWN"], DEFAULT & ~CHOWN),
    (["--cap-drop", "cap_chown"], DEFAULT & ~CHOWN),
    (["--cap-add", "NET_ADMIN"], DEFAULT | NET_ADMIN),
    (["--cap-add", "CAP_NET_ADMIN"], DEFAULT | NET_ADMIN),
    (["--cap-drop", "ALL"], 0),
    (["--cap-drop", "ALL", "--cap-add", "CHOWN"], CHOWN),
])
def test_add_and_drop(docker, options, expected):
    assert capabilities(docker, *options)["Bnd"] == expected


@pytest.mark.one_mode("process", reason="the guest kernel has them all")
@pytest.mark.bulkhead_only  # runc refuses what the host's root does not have itself
def test_all_is_all_that_the_host_has(docker):
    assert capabilities(docker, "--cap-add", "ALL")["Bnd"] == host_bounding_set()


@pytest.mark.bulkhead_only
def test_privileged(docker, isolation):
    out = sh(docker, "grep -E '^(CapBnd|Seccomp):' /proc/self/status; test -e /dev/kmsg && echo devices; grep ' /sys ' /proc/mounts; echo >/proc/sys/kernel/hostname", "--privileged")
    everything = host_bounding_set() if isolation == "process" else (1 << 41) - 1
    assert f"{everything:016x}" in out and "Seccomp:\t0" in out and "sysfs /sys sysfs rw" in out and "devices" in out


def test_seccomp_is_on(docker):
    assert sh(docker, "grep ^Seccomp: /proc/self/status") == "Seccomp:\t2"
    assert sh(docker, "grep ^Seccomp: /proc/self/status", "--security-opt", "seccomp=unconfined") == "Seccomp:\t0"


@pytest.mark.parametrize("command", ["unshare -m true", "mount -t tmpfs none /tmp", "umount /proc", "chroot / mount -o remount,rw /sys",
                                     "ip link add dummy0 type dummy", "! date -s 2020-01-01 2>&1 | grep 'not permitted'", "reboot -f", "swapoff -a", "insmod /bin/busybox",
                                     "mknod /tmp/x b 8 0 && head -c 1 /tmp/x", "dmesg", "hostname other", "nsenter -t 1 -m true", "setarch none true",
                                     "sysctl -w kernel.hostname=x", "echo 1 >/proc/sys/kernel/sysrq", "echo b >/proc/sysrq-trigger",
                                     "echo 99999999 >$(ls /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max)", "mkdir /sys/fs/cgroup/memory/x", "pivot_root / /tmp", "losetup /dev/loop0 /bin/busybox"])
def test_forbidden(docker, command):
    assert docker("run", "--rm", IMAGE, "sh", "-c", command).code != 0


def test_unshare_of_a_user_namespace_is_forbidden(docker):
    assert docker("run", "--rm", "-u", "app", IMAGE, "unshare", "-U", "true").code != 0


def test_own_seccomp_profile(docker, tmp_path):
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    result = docker("run", "--rm", "--security-opt", f"seccomp={tmp_path}/profile.json", IMAGE, "mkdir", "/x")
    assert result.code == 1 and re.search("not supported|not permitted", result.err), result


def test_no_new_privileges(docker):
    assert sh(docker, "grep NoNewPrivs /proc/self/status", "--security-opt", "no-new-privileges").split()[1] == "1"
    assert sh(docker, "grep NoNewPrivs /proc/self/status", "--security-opt", "no-new-privileges:true").split()[1] == "1"
    assert sh(docker, "grep NoNewPrivs /proc/self/status").split()[1] == "0"


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/latency_stats"])
def test_masked_files_are_empty(docker, path):
    assert sh(docker, f"[ ! -e {path} ] || head -c 10 {path} | wc -c") in ("", "0")


@pytest.mark.parametrize("path", ["/proc/scsi", "/sys/firmware", "/proc/acpi"])
def test_masked_folders_are_empty(docker, path):
    assert sh(docker, f"[ ! -e {path} ] || ls {path}") == ""


@pytest.mark.parametrize("path", ["/proc/sys/kernel/core_pattern", "/proc/irq/default_smp_affinity", "/proc/sysrq-trigger", "/proc/bus/x", "/proc/fs/x"])
def test_read_only_paths(docker, path):
    result = docker("run", "--rm", IMAGE, "sh", "-c", f"echo x >{path}")
    assert result.code != 0


# add_key request_key keyctl bpf perf_event_open userfaultfd open_by_handle_at kexec_load init_module delete_module
# finit_module setns mount umount2 swapon reboot settimeofday clock_settime acct quotactl iopl ioperm lookup_dcookie
# kcmp move_pages unshare pivot_root move_mount fsopen open_tree io_uring_setup
REFUSED = [248, 249, 250, 321, 298, 323, 304, 246, 175, 176, 313, 308, 165, 166, 167, 169, 164, 227, 163, 179, 172, 173, 212, 312, 279,
           272, 155, 429, 430, 428]


def test_system_calls_that_are_not_for_containers(docker, probe):
    out = docker.ok("run", "--rm", "-v", f"{probe}:/probe:ro", IMAGE, "/probe", *REFUSED)
    answers = dict(map(int, line.split()) for line in out.splitlines())
    assert set(answers) == set(REFUSED)
    assert {number: error for number, error in answers.items() if error not in (1, 38)} == {}  # EPERM, ENOSYS


def test_a_32_bit_call_is_no_way_around(docker, probe):
    """int 0x80 with the 32-bit numbers of mount (21) and keyctl (288)."""
    out = docker.ok("run", "--rm", "-v", f"{probe}:/probe:ro", IMAGE, "/probe", "x21", "x288")
    assert {int(line.split()[1]) for line in out.splitlines()} <= {1, 38, 14, 9999}
