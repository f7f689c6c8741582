"""The default bridge, and the networks none and host."""
import ipaddress
import json
import os
import re
import socket
import subprocess

import pytest

from support.client import wait_until

IMAGE = "busybox:1"
ADDRESS = "{{.NetworkSettings.Networks.bridge.IPAddress}}"


def sh(docker, script, *options):
    return docker.ok("run", "--rm", *options, IMAGE, "sh", "-c", script)


def test_interface_inside(docker):
    out = sh(docker, "ip -o -4 address show eth0; ip route")
    address = re.search(r"inet (\S+) ", out).group(1)
    network = ipaddress.ip_interface(address).network
    gateway = re.search(r"default via (\S+) dev eth0", out).group(1)
    assert ipaddress.ip_address(gateway) in network and network.is_private


def test_inspect_agrees_with_the_inside(docker, container):
    out = docker.ok("exec", container, "sh", "-c", "ip -o -4 address show eth0; cat /sys/class/net/eth0/address")
    bridge = docker.inspect(container)["NetworkSettings"]["Networks"]["bridge"]
    assert f"{bridge['IPAddress']}/{bridge['IPPrefixLen']}" in out and bridge["MacAddress"] in out


def test_hosts_file_has_the_own_address(docker, container):
    assert f"{docker.format(container, ADDRESS)}\t{container[:12]}" in docker.ok("exec", container, "cat", "/etc/hosts")


def test_ping_between_containers(docker, container):
    assert "1 packets received" in sh(docker, f"ping -c 1 -W 2 {docker.format(container, ADDRESS)}")


def test_tcp_between_containers(docker):
    server = docker.ok("run", "-d", IMAGE, "sh", "-c", "while :; do echo hello | nc -l -p 8000; done")
    address = docker.format(server, ADDRESS)
    wait_until(lambda: docker("run", "--rm", IMAGE, "sh", "-c", f"nc -w 2 {address} 8000 </dev/null").out == "hello\n")


def test_the_gateway_answers(docker):
    assert "1 packets received" in sh(docker, "ping -c 1 -W 2 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')")


def test_the_host_reaches_the_container(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "while :; do echo hello | nc -l -p 8000; done")

    def read():
        try:
            with socket.create_connection((docker.format(name, ADDRESS), 8000), timeout=2) as connection:
                return connection.recv(100)
        except ConnectionRefusedError:
            return b""

    wait_until(lambda: read() == b"hello\n")


def test_addresses_differ_and_are_used_again(docker):
    names = [docker.ok("run", "-d", IMAGE, "sleep", "100") for _ in range(4)]
    addresses = {docker.format(name, ADDRESS) for name in names}
    assert len(addresses) == 4
    docker.ok("rm", "-f", *names)
    fresh = {docker.format(docker.ok("run", "-d", IMAGE, "sleep", "100"), ADDRESS) for _ in range(4)}
    assert len(fresh) == 4


def test_an_address_is_given_back_at_stop(docker, container):
    assert docker.format(container, ADDRESS)
    docker.ok("kill", container)
    docker.ok("wait", container)
    wait_until(lambda: docker.format(container, ADDRESS) == "")
    docker.ok("start", container)
    assert docker.format(container, ADDRESS)


def test_more_containers_in_a_row_than_a_small_subnet_has_addresses(docker, api):
    """Addresses leak slowly: 40 runs and none is kept."""
    before = len(api.get("/networks/bridge").json()["Containers"])
    for _ in range(40):
        number = api.create(Image=IMAGE, Cmd=["true"])
        assert api.post(f"/containers/{number}/start").status == 204
        api.post(f"/containers/{number}/wait")
        assert api.delete(f"/containers/{number}?force=1").status == 204
    assert len(api.get("/networks/bridge").json()["Containers"]) == before


def test_none_has_only_loopback(docker):
    assert sh(docker, "ls /sys/class/net", "--network", "none") == "lo"
    assert sh(docker, "ip route", "--network", "none") == ""


@pytest.mark.one_mode("process", reason="the network of another kernel cannot be shared")
def test_host(docker):
    assert set(sh(docker, "ls /sys/class/net", "--network", "host").split()) >= {"lo"}
    assert sh(docker, "readlink /proc/self/ns/net", "--network", "host") == os.readlink("/proc/self/ns/net")


def test_inspect_of_none_and_host(docker, isolation):
    for mode in ("none", "host") if isolation == "process" else ("none",):
        record = docker.inspect(docker.ok("run", "-d", "--network", mode, IMAGE, "sleep", "100"))
        assert list(record["NetworkSettings"]["Networks"]) == [mode] and record["HostConfig"]["NetworkMode"] == mode


def test_resolv_conf(docker):
    """The host's name servers, less those on loopback, which the container could not reach."""
    with open("/etc/resolv.conf", encoding="utf-8") as file:
        hosts = re.findall(r"^nameserver (\S+)", file.read(), re.MULTILINE)
    usable = [server for server in hosts if not ipaddress.ip_address(server.split("%")[0]).is_loopback]
    inside = re.findall(r"^nameserver (\S+)", sh(docker, "cat /etc/resolv.conf"), re.MULTILINE)
    if usable:
        assert set(usable) <= set(inside)
    else:
        assert not any(ipaddress.ip_address(server).is_loopback for server in inside)


def test_network_inspect_lists_the_containers(docker, container):
    network = json.loads(docker.ok("network", "inspect", "bridge"))[0]
    assert container in network["Containers"]


@pytest.fixture
def outside():
    """A host beyond this one: a namespace joined by a veth, 198.51.100.2 (TEST-NET-2), that only knows our own address there."""
    name = f"bkout{os.getpid()}"
    commands = [f"ip netns add {name}", f"ip link add {name[:10]}a type veth peer name eth0 netns {name}",
                f"ip address add 198.51.100.1/24 dev {name[:10]}a", f"ip link set {name[:10]}a up",
                f"ip -n {name} address add 198.51.100.2/24 dev eth0", f"ip -n {name} link set eth0 up"]
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name])
        subprocess.run(["ip", "link", "delete", f"{name[:10]}a"], stderr=subprocess.DEVNULL)


ECHO_ADDRESS = ("import socket\n"
                "server = socket.create_server(('', 8000))\n"
                "print('ready', flush=True)\n"
                "connection, peer = server.accept()\n"
                "connection.sendall(peer[0].encode())\n")


@pytest.mark.bulkhead_only  # the reference runs without a firewall of its own here
def test_masquerading(docker, outside):
    """The other host sees our address, not the container's, and has no route to the container's."""
    server = subprocess.Popen(["ip", "netns", "exec", outside, "/usr/bin/python3", "-c", ECHO_ADDRESS], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "ready\n"
        assert "1 packets received" in sh(docker, "ping -c 1 -W 3 198.51.100.2")
        assert sh(docker, "nc -w 3 198.51.100.2 8000 </dev/null") == "198.51.100.1"
    finally:
        server.kill()
        server.communicate()


def test_no_masquerading_between_containers(docker):
    server = docker.ok("run", "-di", IMAGE, "nc", "-l", "-p", "8000")
    client = docker.ok("run", "-d", IMAGE, "sh", "-c", f"sleep 0.5; sleep 100 | nc {docker.format(server, ADDRESS)} 8000")
    peer = docker.format(client, ADDRESS)
    wait_until(lambda: re.search(rf":8000\s+(?:::ffff:)?{re.escape(peer)}:\d+\s+ESTABLISHED", docker.ok("exec", server, "netstat", "-tn")))
