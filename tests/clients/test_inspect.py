"""docker inspect and what docker create keeps."""
import json
import re

import pytest

IMAGE = "busybox:1"


@pytest.fixture
def record(docker):
    return docker.inspect(docker.ok("run", "-d", "--name", "whole", "-e", "A=b", "-w", "/tmp", "-u", "app", "--memory", "64m", "--cpus", "0.5",
                                    "--pids-limit", "20", "-v", "/etc/hostname:/h:ro", "--cap-drop", "CHOWN", "--hostname", "h", IMAGE,
                                    "sleep", "1000"))


def test_identity(record):
    assert re.fullmatch("[0-9a-f]{64}", record["Id"]) and record["Name"] == "/whole"
    assert (record["Path"], record["Args"]) == ("sleep", ["1000"])
    assert record["Image"].startswith("sha256:") and record["Config"]["Image"] == IMAGE
    assert re.match(r"\d{4}-\d\d-\d\dT", record["Created"]) and record["Platform"] == "linux"


def test_state(record):
    state = record["State"]
    assert state["Status"] == "running" and state["Running"] and state["Pid"] > 0 and state["FinishedAt"].startswith("0001-01-01")


def test_config(record):
    config = record["Config"]
    assert config["Cmd"] == ["sleep", "1000"] and "A=b" in config["Env"] and config["WorkingDir"] == "/tmp"
    assert (config["User"], config["Hostname"], config["Tty"], config["OpenStdin"]) == ("app", "h", False, False)


def test_host_config(record):
    host = record["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 20)
    assert [name.removeprefix("CAP_") for name in host["CapDrop"]] == ["CHOWN"]
    assert host["Binds"] == ["/etc/hostname:/h:ro"] and host["NetworkMode"] in ("default", "bridge")


def test_protected_paths(docker, record):
    host = record["HostConfig"]
    assert "/proc/kcore" in host["MaskedPaths"] and "/proc/sys" in host["ReadonlyPaths"]
    open_ = docker.inspect(docker.ok("create", "--privileged", IMAGE, "true"))["HostConfig"]
    assert not open_["MaskedPaths"] and not open_["ReadonlyPaths"]


def test_mounts(record):
    [mount] = record["Mounts"]
    assert (mount["Type"], mount["Source"], mount["Destination"], mount["RW"]) == ("bind", "/etc/hostname", "/h", False)


def test_network_settings(record):
    bridge = record["NetworkSettings"]["Networks"]["bridge"]
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", bridge["IPAddress"]) and bridge["Gateway"] and bridge["IPPrefixLen"] >= 8
    assert re.fullmatch("(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", bridge["MacAddress"])


def test_format(docker, record):
    assert docker.format("whole", "{{.Name}} {{.Config.User}}") == "/whole app"


def test_several_and_unknown(docker, record):
    result = docker("inspect", "whole", "nobody")
    assert result.code == 1 and '"/whole"' in result.out and "No such object: nobody" in result.err


def test_image(docker):
    image = docker.inspect(IMAGE, "image")
    assert image["RepoTags"] == [IMAGE] and image["Architecture"] == "amd64" and image["Os"] == "linux"
    assert image["Config"]["Cmd"] == ["sh"] and image["Config"]["Labels"] == {"made.by": "bulkhead-tests"}
    assert len(image["RootFS"]["Layers"]) == 1 and image["Size"] > 1_000_000
    assert image["Created"].startswith("2024-01-02T03:04:05")


def test_by_type(docker, record):
    docker.fails("inspect", "--type", "container", IMAGE, code=1, match="No such container")
    docker.fails("inspect", "--type", "image", "whole", code=1, match="No such image")


def test_size_of_inspect(docker):
    docker.ok("run", "--name", "sized", IMAGE, "dd", "if=/dev/zero", "of=/f", "bs=1000", "count=7")
    record = json.loads(docker.ok("inspect", "--size", "sized"))[0]
    assert record["SizeRw"] == 7000 and record["SizeRootFs"] > 1_000_000


@pytest.mark.bulkhead_only  # Docker runs it
def test_an_images_healthcheck_is_told_to_be_left_out(docker, tmp_path):
    (tmp_path / "empty.tar").write_bytes(bytes(10240))
    docker.ok("import", "--change", "HEALTHCHECK CMD true", "--change", "CMD true", tmp_path / "empty.tar", "checked:1")
    try:
        told = docker("create", "checked:1")
        assert told.code == 0 and "HEALTHCHECK is not run" in told.err
        quiet = docker("create", "--no-healthcheck", "checked:1")
        assert quiet.code == 0 and quiet.err == ""
        assert docker.inspect(quiet.out.strip())["Config"]["Healthcheck"]["Test"] == ["NONE"]
        docker.fails("create", "--health-interval", "5s", "checked:1", code=1, match="Healthcheck")
        docker.ok("rm", "-f", told.out.strip(), quiet.out.strip())
    finally:
        docker.ok("rmi", "-f", "checked:1")
