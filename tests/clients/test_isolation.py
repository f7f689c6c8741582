"""--isolation: what Linux engines did not have so far."""
import pytest

IMAGE = "busybox:1"
pytestmark = pytest.mark.bulkhead_only


@pytest.mark.parametrize("value", ["default", "process", "Process", "PROCESS", "Default"])
def test_process_in_any_case(each_docker, value):
    assert each_docker.ok("run", "--rm", f"--isolation={value}", IMAGE, "echo", "in") == "in"


@pytest.mark.parametrize("options", [[], ["--isolation=default"], ["--isolation=process"], ["--isolation=PrOcEsS"]])
def test_inspect_shows_the_mode_in_force(docker, options):
    name = docker.ok("create", *options, IMAGE, "true")
    assert docker.format(name, "{{.HostConfig.Isolation}}") == "process"


@pytest.mark.parametrize("value", ["hyperv", "HyperV"])
def test_hyperv_is_not_there_yet(docker, api, value):
    docker.fails("run", "--rm", f"--isolation={value}", IMAGE, "true", code=125, match="hyperv.*not available yet")
    assert api.get("/containers/json?all=1").json() == []


@pytest.mark.parametrize("value", ["nonsense", "hyper-v", "process ", "vm"])
def test_anything_else_is_refused_and_the_three_are_listed(docker, api, value):
    answer = api.post("/containers/create", {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Isolation": value}})
    assert answer.status == 400
    assert all(word in answer.message for word in ("default", "process", "hyperv", value)), answer.message
    message = docker.fails("run", "--rm", f"--isolation={value}", IMAGE, "true", code=125)
    assert all(word in message for word in ("default", "process", "hyperv"))


def test_info_shows_the_isolation(docker):
    assert docker.ok("info", "--format", "{{.Isolation}}") in ("process", "default", "")
