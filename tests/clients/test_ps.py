"""docker ps: columns and filters."""
import json

import pytest

IMAGE = "busybox:1"


@pytest.fixture
def three(docker):
    """one: running, label role=a; two: exited 3, label role=b; three: created."""
    names = {
        "one": docker.ok("run", "-d", "--name", "one", "--label", "role=a", IMAGE, "sleep", "100"),
        "two": docker.ok("run", "-d", "--name", "two", "--label", "role=b", IMAGE, "sh", "-c", "exit 3"),
    }
    docker.ok("wait", "two")
    names["three"] = docker.ok("create", "--name", "three", IMAGE, "true")
    return names


def listed(docker, *arguments):
    return docker.ok("ps", "--format", "{{.Names}}", *arguments).split()


def test_only_running_by_default(docker, three):
    assert listed(docker) == ["one"]


def test_all_newest_first(docker, three):
    assert listed(docker, "-a") == ["three", "two", "one"]


def test_quiet_and_no_trunc(docker, three):
    assert docker.ok("ps", "-q") == three["one"][:12]
    assert docker.ok("ps", "-q", "--no-trunc") == three["one"]


def test_last(docker, three):
    assert listed(docker, "-l") == ["three"]
    assert listed(docker, "-n", "2") == ["three", "two"]


@pytest.mark.parametrize("filters, expected", [
    (["name=on"], {"one"}),
    (["name=^/t"], {"two", "three"}),
    (["label=role"], {"one", "two"}),
    (["label=role=b"], {"two"}),
    (["label=role", "label=role=a"], {"one"}),
    (["status=exited"], {"two"}),
    (["status=created"], {"three"}),
    (["status=running", "status=created"], {"one", "three"}),
    (["exited=3"], {"two"}),
    (["exited=0"], set()),
    (["ancestor=busybox:1"], {"one", "two", "three"}),
    (["ancestor=nothing"], set()),
    (["before=two"], {"one"}),
    (["since=one"], {"two", "three"}),
    (["network=bridge"], {"one", "two", "three"}),
    (["network=none"], set()),
    (["name=o", "status=exited"], {"two"}),
])
def test_filters(docker, three, filters, expected):
    arguments = [word for item in filters for word in ("--filter", item)]
    assert set(listed(docker, "-a", *arguments)) == expected


def test_filter_by_id(docker, three):
    assert listed(docker, "-a", "--filter", f"id={three['two'][:10]}") == ["two"]


@pytest.mark.parametrize("wrong", ["nonsense=1", "status=nonsense", "publish=abc", "expose=1-2-3"])
def test_bad_filters(docker, wrong):
    docker.fails("ps", "--filter", wrong, code=1, match="[Ii]nvalid|Unrecogni[sz]ed filter")


def test_row(docker, three):
    row = json.loads(docker.ok("ps", "-a", "--no-trunc", "--filter", "name=two", "--format", "{{json .}}"))
    assert row["Image"] == IMAGE and row["Command"] == "\"sh -c 'exit 3'\"" and row["ID"] == three["two"]
    assert row["Status"].startswith("Exited (3) ") and row["State"] == "exited" and row["Networks"] == "bridge"
    assert "role=b" in row["Labels"].split(",")


def test_status_words(docker, three):
    assert docker.ok("ps", "-a", "--filter", "name=three", "--format", "{{.Status}}") == "Created"
    assert docker.ok("ps", "--format", "{{.Status}}").startswith("Up ")


def test_size(docker):
    docker.ok("run", "--name", "big", IMAGE, "dd", "if=/dev/zero", "of=/file", "bs=1M", "count=3")
    assert docker.ok("ps", "-a", "-s", "--filter", "name=big", "--format", "{{.Size}}").startswith("3.15MB (virtual ")
