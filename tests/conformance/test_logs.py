"""docker logs, and the json-file log behind it."""
import datetime
import json
import pathlib
import re
import time

import pytest

from support.client import wait_until

IMAGE = "busybox:1"


@pytest.fixture
def spoken(docker):
    """An ended container that said a1..a5 on stdout and e1 on stderr."""
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "for i in 1 2 3 4 5; do echo a$i; done; sleep 0.1; echo e1 >&2")
    docker.ok("wait", name)
    return name


def test_both_streams(docker, spoken):
    result = docker("logs", spoken)
    assert (result.out.split(), result.err) == (["a1", "a2", "a3", "a4", "a5"], "e1\n")


@pytest.mark.parametrize("tail, lines", [("0", []), ("1", ["e1"]), ("2", ["a5", "e1"]), ("all", ["a1", "a2", "a3", "a4", "a5", "e1"]),
                                         ("100", ["a1", "a2", "a3", "a4", "a5", "e1"])])
def test_tail(docker, spoken, tail, lines):
    result = docker("logs", "--tail", tail, spoken)
    assert (result.out + result.err).split() == lines


def test_timestamps(docker, spoken):
    result = docker("logs", "--timestamps", spoken)
    for line in (result.out + result.err).splitlines():
        stamp, word = line.split()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", stamp) and word[0] in "ae"


def test_since_and_until(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "echo early; sleep 2.2; echo late")
    docker.ok("wait", name)
    stamps = [line.split()[0] for line in docker.ok("logs", "-t", name).splitlines()]
    between = (datetime.datetime.fromisoformat(stamps[0][:19]) + datetime.timedelta(seconds=1.2)).isoformat() + "Z"
    assert docker.ok("logs", "--since", between, name) == "late"
    assert docker.ok("logs", "--until", between, name) == "early"
    assert docker.ok("logs", "--since", "1h", name).split() == ["early", "late"]
    assert docker.ok("logs", "--since", str(int(time.time()) + 1000), name) == ""
    assert docker.ok("logs", "--since", "2999-01-01", name) == ""


def test_follow_until_the_end(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done")
    assert docker.ok("logs", "-f", name).split() == ["1", "2", "3"]


def test_follow_gives_lines_as_they_come(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "echo first; sleep 1000")
    follower = docker.start("logs", "-f", name)
    assert follower.stdout.readline() == "first\n"
    docker.ok("kill", name)
    assert follower.wait(10) == 0
    follower.communicate()


def test_follow_with_tail(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "echo 1; echo 2; sleep 0.5; echo 3")
    wait_until(lambda: docker.ok("logs", name).split()[:2] == ["1", "2"])
    assert docker.ok("logs", "-f", "--tail", "1", name).split() == ["2", "3"]


def test_terminal_logs_are_one_stream(docker):
    name = docker.ok("run", "-dt", IMAGE, "sh", "-c", "echo out; echo err >&2")
    docker.ok("wait", name)
    assert docker("logs", name).out == "out\r\nerr\r\n"


def test_log_of_a_removed_one(docker):
    docker.fails("logs", "nobody", code=1, match="No such container")


def test_log_of_one_never_started(docker):
    name = docker.ok("create", IMAGE, "true")
    assert docker.ok("logs", name) == ""


def test_last_line_without_newline(docker):
    name = docker.ok("run", "-d", IMAGE, "printf", "no newline")
    docker.ok("wait", name)
    assert docker("logs", name).out == "no newline"


def test_long_lines_come_back_whole(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo end")
    docker.ok("wait", name)
    assert docker("logs", name).out == "x" * 100000 + "\nend\n"


def test_bytes_that_are_not_text_do_not_break_the_log(docker):
    name = docker.ok("run", "-d", IMAGE, "sh", "-c", r"printf '\377\001a\n'; echo 'quote\" and \\ and é'")
    docker.ok("wait", name)
    lines = docker("logs", name).out.splitlines()
    assert lines[0].endswith("\x01a") and lines[1].endswith("and é")


def test_the_file_is_docker_json(docker, spoken):
    path = docker.format(spoken, "{{.LogPath}}")
    assert docker.format(spoken, "{{.HostConfig.LogConfig.Type}}") == "json-file"
    entries = [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
    assert [entry["log"] for entry in entries] == ["a1\n", "a2\n", "a3\n", "a4\n", "a5\n", "e1\n"]
    assert entries[0]["stream"] == "stdout" and entries[-1]["stream"] == "stderr" and entries[0]["time"].endswith("Z")


def test_rotation(docker):
    name = docker.ok("run", "-d", "--log-opt", "max-size=10k", "--log-opt", "max-file=3", IMAGE, "sh", "-c",
                     "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done")
    docker.ok("wait", name)
    path = pathlib.Path(docker.format(name, "{{.LogPath}}"))
    files = sorted(path.parent.glob(path.name + "*"))
    assert [file.name for file in files] == [path.name, path.name + ".1", path.name + ".2"]
    assert all(file.stat().st_size < 12_000 for file in files)
    lines = docker.ok("logs", name).splitlines()
    assert lines[-1] == "line 1999" and lines == [f"line {number}" for number in range(2000 - len(lines), 2000)] and len(lines) > 200


@pytest.mark.parametrize("option, message", [("max-size=x", "x"), ("max-file=0", "max-file cannot be less than 1"), ("nonsense=1", "nonsense")])
def test_bad_log_options(docker, option, message):
    docker.fails("run", "--rm", "--log-opt", option, IMAGE, "true", code=125, match=message)


def test_driver_none(docker):
    assert docker.ok("run", "--log-driver", "none", "--name", "silent", IMAGE, "echo", "x") == "x"
    docker.fails("logs", "silent", code=1, match="does not support reading")


def test_much_output_is_not_lost(docker):
    name = docker.ok("run", "-d", IMAGE, "seq", "1", "100000")
    docker.ok("wait", name)
    assert docker.ok("logs", name).split() == [str(number) for number in range(1, 100001)]
