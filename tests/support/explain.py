"""What `bulkhead explain` says about one container."""
import json
import os
import pathlib
import re

import pytest

IMAGE = "busybox:1"
both_modes = pytest.mark.parametrize("isolation", ["process", "hyperv"])


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
