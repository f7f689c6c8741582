"""pull, images, tag, rmi, history, inspect of images: against a real registry."""
import json
import re
import subprocess

import pytest

IMAGE = "busybox:1"


@pytest.fixture
def remote(docker, registry):
    """The address of busybox:1 in the registry; not here before the test, nor after."""
    name = f"{registry.address}/busybox:1"
    docker("rmi", "-f", name)
    yield name
    docker("rmi", "-f", name)


def references(docker, *arguments):
    return docker.ok("images", "--format", "{{.Repository}}:{{.Tag}}", *arguments).split()


def test_pull_by_tag_and_run(each_docker, remote):
    out = each_docker.ok("pull", remote)
    assert "Status: Downloaded newer image for " + remote in out and re.search("Digest: sha256:[0-9a-f]{64}", out)
    assert each_docker.ok("run", "--rm", remote, "echo", "pulled") == "pulled"


def test_pull_again_is_up_to_date(docker, remote):
    docker.ok("pull", remote)
    assert "Status: Image is up to date for " + remote in docker.ok("pull", remote)


def test_pull_by_digest(docker, remote):
    digest = re.search("Digest: (sha256:[0-9a-f]{64})", docker.ok("pull", remote)).group(1)
    docker.ok("rmi", remote)
    name = f"{remote.rpartition(':')[0]}@{digest}"
    docker.ok("pull", name)
    assert docker.ok("run", "--rm", name, "echo", "by digest") == "by digest"
    assert name in docker.inspect(name, "image")["RepoDigests"]
    docker.ok("rmi", name)


def test_run_pulls_what_is_missing(docker, remote):
    result = docker("run", "--rm", remote, "echo", "fetched")
    assert result.code == 0 and result.out == "fetched\n" and f"Unable to find image '{remote}' locally" in result.err


def test_quiet_pull(docker, remote):
    assert docker.ok("pull", "-q", remote) == remote


def test_progress_is_drawn(own_docker, registry):
    """In an engine of its own: layers that are there already are not drawn."""
    docker, name = own_docker, f"{registry.address}/debian:12"
    with docker.terminal("pull", name, timeout=120) as it:
        it.expect("Downloading|Extracting|Pull complete")
        it.expect("Pull complete")
        it.expect("Status: Downloaded newer image")
    assert "VERSION_ID=\"12\"" in docker.ok("run", "--rm", name, "cat", "/etc/os-release")
    docker.ok("rmi", name)


def test_progress_messages(docker, api, registry):
    name = f"{registry.address}/big"
    answer = api.post(f"/images/create?fromImage={name}&tag=1", timeout=120)
    assert answer.status == 200
    messages = [json.loads(line) for line in answer.body.splitlines()]
    words = [message["status"] for message in messages]
    assert words[0] == "Pulling from big" and messages[0]["id"] == "1"
    assert {"Pulling fs layer", "Downloading", "Pull complete"} <= set(words)
    done = [message["id"] for message in messages if message["status"] == "Pull complete"]
    assert len(done) == 4 and all(re.fullmatch("[0-9a-f]{12}", layer) for layer in done)
    details = [message["progressDetail"] for message in messages if message["status"] == "Downloading"]
    assert all(0 <= detail["current"] <= detail["total"] for detail in details)
    assert words[-2].startswith("Digest: sha256:") and words[-1] == f"Status: Downloaded newer image for {name}:1"
    docker.ok("rmi", name + ":1")


@pytest.mark.parametrize("reference, message", [("busybox:no-such-tag", "not found|manifest unknown"), ("no-such-repository:1", "not found|manifest unknown|does not exist"),
                                                (f"busybox@sha256:{'0' * 64}", "not found|manifest unknown")])
def test_pull_of_what_is_not_there(docker, registry, reference, message):
    docker.fails("pull", f"{registry.address}/{reference}", code=1, match=message)


def test_pull_where_nobody_listens(docker):
    docker.fails("pull", "127.0.0.1:1/busybox:1", code=1, match="connection refused|connect")


def test_pull_of_another_platform(docker, registry):
    result = docker("pull", "--platform", "linux/arm64", f"{registry.address}/busybox:1")
    assert result.code in (0, 1)
    docker("rmi", "-f", f"{registry.address}/busybox:1")


def test_several_layers_at_once(docker, registry):
    name = f"{registry.address}/big:1"
    docker.ok("pull", name, timeout=120)
    assert docker.ok("run", "--rm", name, "python3", "-c", "print(6*7)") == "42"
    assert len(docker.inspect(name, "image")["RootFS"]["Layers"]) == 4
    docker.ok("rmi", name)


def test_two_pulls_of_one_image_at_once(docker, registry):
    name = f"{registry.address}/debian:12"
    docker("rmi", "-f", name)
    clients = [docker.start("pull", "-q", name) for _ in range(3)]
    for client in clients:
        out, err = client.communicate(timeout=120)
        assert client.returncode == 0 and out.strip() == name, err
    assert docker.ok("run", "--rm", name, "echo", "whole") == "whole"
    docker.ok("rmi", name)


def test_a_pull_whose_client_goes_away_leaves_no_half_image(docker, registry):
    name = f"{registry.address}/big:1"
    docker("rmi", "-f", name)
    client = docker.start("pull", name)
    client.stdout.readline()
    client.kill()
    client.communicate()
    docker.ok("pull", name, timeout=120)
    assert docker.ok("run", "--rm", name, "python3", "-c", "print(6*7)") == "42"
    docker.ok("rmi", name)


def test_images(docker):
    row = json.loads(docker.ok("images", "--format", "{{json .}}", IMAGE))
    assert (row["Repository"], row["Tag"]) == ("busybox", "1") and re.fullmatch("[0-9a-f]{12}", row["ID"]) and row["Size"] == "1.98MB"


def test_images_by_name_and_filter(docker):
    docker.ok("tag", IMAGE, "other/name:x")
    assert references(docker, "other/name") == ["other/name:x"]
    assert references(docker, "--filter", "reference=other/*") == ["other/name:x"]
    assert IMAGE in references(docker, "--filter", "label=made.by") and references(docker, "--filter", "label=none") == []
    assert docker.ok("images", "-q", "--no-trunc", IMAGE).startswith("sha256:")
    docker.ok("rmi", "other/name:x")


@pytest.mark.parametrize("pattern", ["[", "busy[bo", "x\\"])
def test_a_filter_that_is_no_pattern(docker, pattern):
    docker.fails("images", "--filter", f"reference={pattern}", code=1, match="syntax error in pattern")


def test_tag_and_untag(docker):
    docker.ok("tag", IMAGE, "copy")
    assert docker.format("copy:latest", "{{.Id}}") == docker.format(IMAGE, "{{.Id}}")
    assert docker.ok("rmi", "copy") == "Untagged: copy:latest"
    docker.fails("inspect", "copy", code=1)
    docker.ok("run", "--rm", IMAGE, "true")


@pytest.mark.parametrize("target", ["UPPER", "a:b:c", "a b", "-x", "a@sha256:12"])
def test_bad_tags(docker, target):
    docker.fails("tag", "--", IMAGE, target, code=1)


def test_a_tag_that_looks_like_an_id(docker):
    docker.fails("tag", IMAGE, "sha256:abc", code=1, match="refusing to create an ambiguous tag using digest algorithm as name")


def test_tag_of_unknown(docker):
    docker.fails("tag", "no-such:1", "x", code=1, match="No such image: no-such:1")


def test_rmi_of_unknown(docker):
    docker.fails("rmi", "no-such:1", code=1, match="No such image: no-such:1")


def test_rmi_of_an_image_in_use(docker):
    docker.ok("tag", IMAGE, "used:1")
    docker.ok("run", "-d", "--name", "user", IMAGE, "sleep", "100")
    docker.ok("rmi", "used:1")  # only a name goes
    number = docker.format(IMAGE, "{{.Id}}")
    docker.fails("rmi", number, code=1, match="conflict.*(unable to delete|must be forced)")


def test_rmi_deletes_layers(docker):
    docker.ok("import", "-", "short-lived:1", input=subprocess.run(["tar", "-c", "-C", "/etc", "hostname"], capture_output=True, check=True).stdout)
    number = docker.format("short-lived:1", "{{.Id}}")
    out = docker.ok("rmi", "short-lived:1").splitlines()
    assert out[0] == "Untagged: short-lived:1" and f"Deleted: {number}" in out


def test_history(docker):
    rows = [json.loads(line) for line in docker.ok("history", "--no-trunc", "--format", "{{json .}}", IMAGE).splitlines()]
    assert [row["CreatedBy"] for row in rows] == ["layer 0"] and rows[0]["Size"] == "1.98MB"


def test_history_of_unknown(docker):
    docker.fails("history", "no-such:1", code=1, match="No such image")


def test_containers_of_a_tag_that_moved(docker):
    """A container keeps its image when the tag is taken away."""
    docker.ok("tag", IMAGE, "moving:1")
    name = docker.ok("run", "-d", "moving:1", "sleep", "100")
    docker.ok("rmi", "moving:1")
    docker.ok("restart", "-t", "0", name)
    assert docker.format(name, "{{.State.Running}}") == "true"
