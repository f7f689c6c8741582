"""version, info, ping, events, and how an API version is agreed on."""
import json
import threading
import time

import pytest

from support.client import wait_until

IMAGE = "busybox:1"


def test_version(each_docker):
    server = json.loads(each_docker.ok("version", "--format", "{{json .Server}}"))
    assert server["Os"] == "linux" and server["Arch"] == "amd64" and server["ApiVersion"] >= "1.41" and server["MinAPIVersion"]


def test_version_as_text(docker):
    out = docker.ok("version")
    assert "Server" in out and "API version" in out


def test_info(each_docker):
    info = json.loads(each_docker.ok("info", "--format", "{{json .}}"))
    assert info["NCPU"] >= 1 and info["MemTotal"] > 1 << 28 and info["OSType"] == "linux" and info["Driver"]
    assert info["Images"] >= 1 and not info.get("ServerErrors")


def test_info_as_text(docker, container):
    out = docker.ok("info")
    assert "Running: 1" in out and "Server Version" in out and "ERROR" not in out


def test_ping_headers(api):
    for method in ("GET", "HEAD"):
        answer = api.request(method, "/_ping")
        assert answer.status == 200 and answer.headers["Api-Version"] >= "1.41" and answer.headers["OSType"] == "linux"
    assert api.get("/_ping").body == b"OK"


@pytest.mark.parametrize("version, status", [("v1.24", 200), ("v1.41", 200), ("v99.0", 400), ("v1.1", 400)])
def test_api_versions(api, version, status):
    answer = api.get(f"/{version}/containers/json")
    assert answer.status == status
    if status == 400:
        assert b"version" in answer.body


def test_events(docker):
    watcher = docker.start("events", "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}", "--filter", "type=container")
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(iter(watcher.stdout.readline, "")))
    reader.start()
    wait_until(lambda: docker("run", "--rm", "--name", "first", IMAGE, "true").code == 0 and any("destroy first" in line for line in seen))
    docker.ok("run", "--rm", "--name", "watched", IMAGE, "true")
    wait_until(lambda: any("destroy watched" in line for line in seen))
    watcher.terminate()
    reader.join()
    watcher.communicate()
    actions = [line.split()[1] for line in seen if line.endswith(" watched\n")]
    steps = [actions.index(word) for word in ("create", "attach", "start", "die", "destroy")]
    assert steps == sorted(steps) and all(line.startswith("container ") for line in seen)


def test_events_of_the_past(docker):
    name = docker.ok("run", "-d", "--name", "past", IMAGE, "true")
    docker.ok("wait", name)
    out = docker.ok("events", "--since", "1m", "--until", str(int(time.time()) + 1), "--filter", "container=past", "--format", "{{.Action}}")
    assert {"create", "start", "die"} <= set(out.split())


def test_top_is_an_event(docker, container):
    docker.ok("top", container)
    out = docker.ok("events", "--since", "1m", "--until", str(int(time.time()) + 1), "--filter", f"container={container}", "--format", "{{.Action}}")
    assert "top" in out.split()


def test_networks_are_listed(docker):
    assert {"bridge", "host", "none"} <= set(docker.ok("network", "ls", "--format", "{{.Name}}").split())


def test_network_inspect(docker, container):
    network = json.loads(docker.ok("network", "inspect", "bridge"))[0]
    assert network["Driver"] == "bridge" and network["IPAM"]["Config"][0]["Subnet"]


def test_docker_and_bulkhead_see_the_same(engine, docker, make_client):
    own = make_client(engine, "bulkhead")
    own.ok("run", "-d", "--name", "seen", IMAGE, "sleep", "1000")
    assert docker.ok("ps", "--format", "{{.Names}}") == own.ok("ps", "--format", "{{.Names}}") == "seen"
    assert docker.ok("exec", "seen", "hostname") == own.ok("exec", "seen", "hostname")
    docker.ok("rm", "-f", "seen")
    assert own.ok("ps", "-aq") == ""
