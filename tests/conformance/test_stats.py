"""docker stats."""
import json
import re
import socket

from support.client import wait_until

IMAGE = "busybox:1"
MEGABYTE = 1 << 20


def sample(api, container, query="stream=0&one-shot=1"):
    answer = api.get(f"/v1.41/containers/{container}/stats?{query}")
    assert answer.status == 200, answer
    return answer.json()


def test_the_table(docker):
    name = docker.ok("run", "-d", "--name", "counted", "--memory", "100m", "--pids-limit", "50", IMAGE, "sleep", "100")
    line = docker.ok("stats", "--no-stream", "--format", "{{.Name}}|{{.ID}}|{{.CPUPerc}}|{{.MemUsage}}|{{.MemPerc}}|{{.NetIO}}|{{.PIDs}}", "counted")
    shown, number, cpu, memory, share, net, pids = line.split("|")
    assert shown == "counted" and name.startswith(number) and pids == "1"
    assert re.fullmatch(r"\d+\.\d\d%", cpu) and re.fullmatch(r"[\d.]+[KM]i?B / 100MiB", memory) and 0 <= float(share[:-1]) < 50
    assert re.fullmatch(r"[\d.]+k?M?B / [\d.]+k?M?B", net)


def test_memory_grows_with_what_is_taken(docker, api):
    name = docker.ok("run", "-d", "--memory", "200m", "--tmpfs", "/t", IMAGE, "sleep", "100")
    before = sample(api, name)
    docker.ok("exec", name, "sh", "-c", "dd if=/dev/zero of=/t/f bs=1M count=40 2>/dev/null")
    after = sample(api, name)
    assert before["memory_stats"]["limit"] == after["memory_stats"]["limit"] == 200 * MEGABYTE
    assert after["memory_stats"]["usage"] - before["memory_stats"]["usage"] >= 38 * MEGABYTE
    assert after["memory_stats"]["usage"] < 200 * MEGABYTE and "inactive_file" in after["memory_stats"]["stats"]


def test_no_limit_is_the_memory_there_is(docker, api, container):
    limit = sample(api, container)["memory_stats"]["limit"]
    total = int(docker.ok("exec", container, "sh", "-c", "awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024
    assert abs(limit - total) < 2 * MEGABYTE


def test_processes_are_counted(docker, api, container):
    assert sample(api, container)["pids_stats"]["current"] == 1
    docker.ok("exec", "-d", container, "sh", "-c", "sleep 100 & sleep 100")
    wait_until(lambda: sample(api, container)["pids_stats"]["current"] >= 3)


def test_processor_time_grows(docker, api, container):
    before = sample(api, container)
    docker.ok("exec", container, "sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
    after = sample(api, container)
    used = after["cpu_stats"]["cpu_usage"]["total_usage"] - before["cpu_stats"]["cpu_usage"]["total_usage"]
    passed = after["cpu_stats"]["system_cpu_usage"] - before["cpu_stats"]["system_cpu_usage"]
    assert used > 1_000_000 and passed > 0 and after["cpu_stats"]["online_cpus"] >= 1


def test_a_busy_container_shows_a_rate(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "while :; do :; done")
    assert float(docker.ok("stats", "--no-stream", "--format", "{{.CPUPerc}}", name)[:-1]) > 5


def test_two_samples_or_one(api, docker, container):
    rated = sample(api, container, "stream=0")
    assert rated["precpu_stats"]["system_cpu_usage"] > 0 and rated["preread"] < rated["read"]
    assert rated["precpu_stats"]["cpu_usage"]["total_usage"] <= rated["cpu_stats"]["cpu_usage"]["total_usage"]
    assert sample(api, container)["precpu_stats"]["cpu_usage"]["total_usage"] == 0


def test_the_network_by_direction(docker, api):
    """What the container sends is tx, in a VM too, whose tap sees it the other way round."""
    name = docker.ok("run", "-d", IMAGE, "sleep", "100")
    gateway = docker.ok("inspect", "-f", "{{.NetworkSettings.Gateway}}", name)
    before = sample(api, name)["networks"]["eth0"]
    with socket.create_server((gateway, 0)) as server:
        sending = docker.start("exec", name, "sh", "-c", f"head -c 500000 /dev/zero | nc {gateway} {server.getsockname()[1]}")
        connection, _ = server.accept()
        with connection:
            while connection.recv(65536):
                pass
        sending.communicate(timeout=30)
    after = sample(api, name)["networks"]["eth0"]
    sent, received = after["tx_bytes"] - before["tx_bytes"], after["rx_bytes"] - before["rx_bytes"]
    assert sent > 500_000 and 0 < received < 250_000
    assert after["tx_packets"] > before["tx_packets"] and after["rx_packets"] > before["rx_packets"]


def test_no_network(docker, api):
    name = docker.ok("run", "-d", "--network", "none", IMAGE, "sleep", "100")
    assert not sample(api, name).get("networks")


def test_a_stopped_container(docker, api):
    name = docker.ok("create", "--name", "still", IMAGE, "true")
    for query in ("stream=0", "stream=0&one-shot=1"):
        seen = sample(api, name, query)
        assert seen["id"] == name and seen["name"] == "/still" and seen["read"].startswith("0001-01-01")
        assert seen["cpu_stats"]["cpu_usage"]["total_usage"] == 0 and not seen["memory_stats"].get("usage")
    assert "still" in docker.ok("stats", "--no-stream", "still")


def test_a_stream(docker, container):
    watching = docker.start("stats", "--format", "{{json .}}", container)
    seen = []
    while len(seen) < 3:
        line = watching.stdout.readline()
        assert line
        if shown := re.search(r"\{.*\}", line):
            found = json.loads(shown[0])
            seen += [found] if found["PIDs"] == "1" else []
    watching.kill()
    watching.communicate()
    assert seen[-1]["Container"] == container


def test_a_stream_ends_with_the_container(docker, api, engine):
    name = docker.ok("run", "-d", IMAGE, "sleep", "100")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(engine.socket))
        connection.sendall(f"GET /v1.41/containers/{name}/stats HTTP/1.0\r\n\r\n".encode())
        seen = b""
        while b"memory_stats" not in seen:
            seen += connection.recv(65536)
        docker.ok("rm", "-f", name)
        while part := connection.recv(65536):
            seen += part
    assert api.get(f"/containers/{name}/stats?stream=0").status == 404


def test_errors(api, docker, container):
    answer = api.get("/containers/nobody/stats?stream=0")
    assert answer.status == 404 and "No such container: nobody" in answer.message
    docker.fails("stats", "--no-stream", "nobody", code=1, match="No such container")
    assert api.get(f"/v1.41/containers/{container}/stats?stream=1&one-shot=1").status == 400


def test_a_paused_container(docker, api, container):
    docker.ok("pause", container)
    seen = sample(api, container)
    docker.ok("unpause", container)
    assert seen["pids_stats"]["current"] == 1 and seen["memory_stats"]["usage"] > 0
