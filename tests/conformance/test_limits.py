"""Limits, as the container and its cgroup feel them."""
import os
import re

import pytest

IMAGE = "busybox:1"


def inside(docker, *options, script):
    return docker.ok("run", "--rm", *options, IMAGE, "sh", "-c", script)


def cgroup(v1, v2):
    """A shell command that reads one setting of the container's own cgroup, whichever version the host has."""
    return f"cat /sys/fs/cgroup/{v1} 2>/dev/null || cat /sys/fs/cgroup/{v2}"


def test_memory(docker):
    assert inside(docker, "--memory", "64m", script=cgroup("memory/memory.limit_in_bytes", "memory.max")) == str(64 << 20)


def test_memory_and_swap(docker):
    out = inside(docker, "--memory", "64m", "--memory-swap", "96m",
                 script="cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.swap.max 2>/dev/null || echo none")
    assert out in (str(96 << 20), str(32 << 20), "none")  # v1 counts both, v2 the swap alone; a kernel without swap has neither


def test_the_oom_killer_works_within_the_container(docker):
    result = docker("run", "--name", "hungry", "--memory", "24m", "--memory-swap", "24m", IMAGE, "sh", "-c",
                    "x=$(head -c 60000000 /dev/zero | tr '\\0' a); echo $?")
    assert result.code == 137, result
    assert docker.format("hungry", "{{.State.OOMKilled}}") == "true"


def test_tmpfs_counts_as_memory(docker):
    result = docker("run", "--rm", "--memory", "24m", "--memory-swap", "24m", "--tmpfs", "/t", IMAGE, "dd", "if=/dev/zero", "of=/t/f", "bs=1M", "count=60")
    assert result.code != 0


def test_memory_reservation(docker):
    assert inside(docker, "--memory-reservation", "32m", script=cgroup("memory/memory.soft_limit_in_bytes", "memory.low")) == str(32 << 20)


def test_cpus(docker):
    out = inside(docker, "--cpus", "0.5", script="cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null || cat /sys/fs/cgroup/cpu.max")
    assert out.split() == ["50000", "100000"]


def test_cpu_quota_and_period(docker):
    out = inside(docker, "--cpu-quota", "20000", "--cpu-period", "50000", script="cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null || cat /sys/fs/cgroup/cpu.max")
    assert out.split() == ["20000", "50000"]


def test_cpu_shares(docker):
    out = inside(docker, "--cpu-shares", "512", script=cgroup("cpu/cpu.shares", "cpu.weight"))
    assert out in ("512", "20")


def test_cpus_are_really_limited(docker):
    out = inside(docker, "--cpus", "0.2", script="t() { cut -d' ' -f1 /proc/uptime; }; a=$(t); i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done; "
                 "cat /sys/fs/cgroup/cpu/cpu.stat 2>/dev/null || cat /sys/fs/cgroup/cpu.stat")
    assert int(re.search(r"nr_throttled (\d+)", out).group(1)) > 0


def test_cpuset(docker):
    assert inside(docker, "--cpuset-cpus", "0", script="grep Cpus_allowed_list /proc/self/status").split() == ["Cpus_allowed_list:", "0"]


def test_pids_limit(docker):
    assert inside(docker, "--pids-limit", "20", script=cgroup("pids/pids.max", "pids.max")) == "20"
    result = docker("run", "--rm", "--pids-limit", "10", IMAGE, "sh", "-c", "for i in $(seq 1 30); do sleep 1 & done; wait")
    assert "can't fork" in result.err or "Resource temporarily unavailable" in result.err


def test_without_limits_there_are_none(docker):
    assert int(inside(docker, script=cgroup("memory/memory.limit_in_bytes", "memory.max")).replace("max", str(1 << 62))) > 1 << 40


@pytest.mark.parametrize("option, letter, soft, hard", [("nofile=100:200", "n", "100", "200"), ("nproc=500", "u", "500", "500"),
                                                        ("core=0", "c", "0", "0"), ("stack=4194304:8388608", "s", "4096", "8192")])
def test_ulimits(docker, option, letter, soft, hard):
    assert inside(docker, "--ulimit", option, script=f"ulimit -S{letter}; ulimit -H{letter}").split() == [soft, hard]


def test_ulimits_hold_in_exec(docker):
    name = docker.ok("run", "-d", "--ulimit", "nofile=123:123", IMAGE, "sleep", "100")
    assert docker.ok("exec", name, "sh", "-c", "ulimit -n") == "123"


def test_shm_size(docker):
    assert inside(docker, script="df -k /dev/shm | tail -1 | awk '{print $2}'") == "65536"
    assert inside(docker, "--shm-size", "8m", script="df -k /dev/shm | tail -1 | awk '{print $2}'") == "8192"


def test_oom_score_adj(docker):
    assert inside(docker, "--oom-score-adj", "500", script="cat /proc/self/oom_score_adj") == "500"


def test_sysctl(docker):
    assert inside(docker, "--sysctl", "net.ipv4.ip_default_ttl=77", script="cat /proc/sys/net/ipv4/ip_default_ttl") == "77"


@pytest.mark.one_mode("process", reason="the limit is that of a cgroup in the guest")
def test_the_host_sees_the_same_cgroup(docker):
    name = docker.ok("run", "-d", "--memory", "64m", IMAGE, "sleep", "100")
    pid = docker.format(name, "{{.State.Pid}}")
    lines = open(f"/proc/{pid}/cgroup", encoding="utf-8").read().splitlines()
    paths = {line.split(":")[1]: line.split(":")[2] for line in lines}
    path = paths.get("memory", paths.get(""))
    assert name in path
    for candidate in (f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes", f"/sys/fs/cgroup{path}/memory.max"):
        if os.path.exists(candidate):
            assert open(candidate, encoding="utf-8").read().strip() == str(64 << 20)
            break
    else:
        raise AssertionError(f"no memory cgroup at {path}")


@pytest.mark.one_mode("process", reason="cgroup v2, which guests have, has no such setting")
def test_no_oom_killer_and_no_limit_is_warned_of(docker, api):
    answer = api.post("/containers/create", {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"OomKillDisable": True}})
    assert answer.status == 201 and "OOM killer is disabled" in answer.json()["Warnings"][0]
