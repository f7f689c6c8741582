"""What the container sees of the world around it, and what it shares where asked."""
import os
import subprocess

import pytest

IMAGE = "busybox:1"
KINDS = ["mnt", "pid", "net", "ipc", "uts"]


def sh(docker, script, *options):
    return docker.ok("run", "--rm", *options, IMAGE, "sh", "-c", script)


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_new(docker, kind):
    assert sh(docker, f"readlink /proc/self/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


def test_pid_1(docker):
    assert sh(docker, "echo $$; ls /proc | grep -c '^[0-9]'; true").split()[0] == "1"
    assert docker.ok("run", "--rm", IMAGE, "ps", "-o", "pid,args").split() == ["PID", "COMMAND", "1", "ps", "-o", "pid,args"]


@pytest.mark.one_mode("process", reason="the namespaces of another kernel cannot be shared")
def test_host_network(docker):
    assert sh(docker, "readlink /proc/self/ns/net", "--network", "host") == os.readlink("/proc/self/ns/net")


@pytest.mark.one_mode("process", reason="the namespaces of another kernel cannot be shared")
def test_host_network_has_the_hosts_name(docker):
    assert sh(docker, "hostname", "--network", "host") == os.uname().nodename


@pytest.mark.one_mode("process", reason="the namespaces of another kernel cannot be shared")
@pytest.mark.parametrize("option, kind", [("--pid", "pid"), ("--ipc", "ipc"), ("--uts", "uts")])
def test_host_namespaces(docker, option, kind):
    assert sh(docker, f"readlink /proc/self/ns/{kind}", option, "host") == os.readlink(f"/proc/self/ns/{kind}")


@pytest.mark.one_mode("process", reason="the namespaces of another kernel cannot be shared")
def test_host_names_and_a_name_of_its_own_exclude_each_other(docker):
    docker.fails("run", "--rm", "--uts", "host", "--hostname", "x", "busybox:1", "true", code=125, match="conflicting options: hostname and the UTS mode")


@pytest.mark.parametrize("option, kind", [("--pid", "pid"), ("--network", "net")])
def test_anothers_namespaces_are_joined_or_refused(docker, container, option, kind):
    theirs = docker.ok("exec", container, "readlink", f"/proc/self/ns/{kind}")
    result = docker("run", "--rm", option, f"container:{container}", IMAGE, "readlink", f"/proc/self/ns/{kind}")
    assert result.out.strip() == theirs or (result.code == 125 and "not supported" in result.err), result


def test_ends_with_pid_1(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "sleep 1003 & sleep 1003 & sleep 0.3; exit 0")
    docker.ok("wait", name)
    assert docker.format(name, "{{.State.Pid}}") == "0"
    assert subprocess.run(["pgrep", "-f", "^sleep 1003$"], stdout=subprocess.DEVNULL).returncode == 1


def test_loopback_is_up(docker):
    assert "LOOPBACK,UP" in sh(docker, "ip link show lo") and "bytes from" in sh(docker, "ping -c 1 127.0.0.1")


@pytest.mark.one_mode("process", reason="a kernel of its own")
def test_uname(docker):
    assert sh(docker, "uname -r") == os.uname().release


def test_hostname_change_stays_inside(docker):
    before = os.uname().nodename
    docker("run", "--rm", "--cap-add", "SYS_ADMIN", IMAGE, "hostname", "changed")
    assert os.uname().nodename == before
