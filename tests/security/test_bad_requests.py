"""The API as an attacker or a broken program uses it: each ends in a clear error, and the engine lives on."""
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.client import wait_until

IMAGE = "busybox:1"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def still_well(engine):
    """After each of these the same engine process answers."""
    pid = engine.process.pid
    yield
    assert engine.process.pid == pid and engine.api.get("/_ping", timeout=10).status == 200


def fault(answer, *statuses):
    """An error in Docker's form; returns its message."""
    assert answer.status in statuses, answer
    message = answer.json()["message"]
    assert message and "\n" not in message.strip()
    return message


@pytest.mark.parametrize("body", [b"", b"{", b"not json", b"[]", b"null", b"\xff\xfe", b'{"Image":', b'{"Image": "busybox:1"', b'"text"', b"{}{}"])
def test_bodies_that_are_not_json(api, body):
    assert api.post("/containers/create", body, headers=JSON).status in (400, 404, 500)
    assert api.get("/containers/json?all=1").json() == []


@pytest.mark.bulkhead_only
@pytest.mark.parametrize("body", [b"", b"{", b"not json", b"[]", b"null", b"\xff\xfe", b'{"Image": "busybox:1"', b'"text"', b"{}{}"])
def test_what_is_not_json_is_a_400_in_dockers_form(api, body):
    fault(api.post("/containers/create", body, headers=JSON), 400)


@pytest.mark.parametrize("config", [
    {"Image": 5}, {"Image": IMAGE, "Cmd": {"a": 1}}, {"Image": IMAGE, "Cmd": [1, 2]}, {"Image": IMAGE, "Env": "A=b"},
    {"Image": IMAGE, "HostConfig": []}, {"Image": IMAGE, "HostConfig": {"Memory": "much"}}, {"Image": IMAGE, "Labels": ["a"]},
    {"Image": IMAGE, "HostConfig": {"Memory": 1e300}}, {"Image": IMAGE, "HostConfig": {"Binds": "x"}}, {"Image": IMAGE, "Tty": "yes"},
    {"Image": IMAGE, "HostConfig": {"Ulimits": [5]}}, {"Image": IMAGE, "HostConfig": {"PidsLimit": []}},
    {"Image": IMAGE, "HostConfig": {"PortBindings": 3}}, {"Image": IMAGE, "NetworkingConfig": "x"},
])
def test_wrong_types(api, config, against):
    fault(api.post("/containers/create", config), *((400, 500) if against == "dockerd" else (400, 501)))  # 501: an option that isn't there
    assert api.get("/containers/json?all=1").json() == []


@pytest.mark.bulkhead_only
def test_deep_nesting(api):
    body = b'{"Image": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    fault(api.post("/containers/create", body, headers=JSON), 400)


@pytest.mark.parametrize("method, path", [("GET", "/"), ("GET", "/no/such"), ("POST", "/containers/x/nonsense"), ("GET", "/v1.41/no"), ("PUT", "/containers/create"), ("DELETE", "/_ping"), ("GET", "//"), ("GET", "/v1.41"), ("BREW", "/containers/json")])
def test_unknown_paths(api, method, path):
    answer = api.request(method, path)
    assert answer.status in (400, 404, 405, 301)
    assert answer.status == 301 or answer.json()["message"]


@pytest.mark.parametrize("number", ["..", "../../etc", "%2e%2e%2f%2e%2e%2fetc", "a%2fb", "%00", "a%0ab", "*", "a" * 5000, "%ff", "''--"])
@pytest.mark.parametrize("target", ["/containers/{}/json", "/containers/{}/logs?stdout=1", "/images/{}/json", "/exec/{}/json", "/networks/{}"])
def test_ids_that_are_not_ids(api, number, target):
    answer = api.get(target.format(number))
    assert answer.status in (301, 400, 404, 414, 431), answer
    assert b"root:" not in answer.body


@pytest.mark.parametrize("number", ["..", "../x", "%2e%2e%2fx", "*"])
def test_delete_with_ids_that_are_not_ids(api, container, number):
    assert api.delete(f"/containers/{number}?force=1").status in (301, 400, 404)
    assert api.inspect(container)["State"]["Running"]


@pytest.mark.bulkhead_only  # the reference reads on
def test_a_body_of_a_gigabyte_is_refused_early(api):
    begin = time.monotonic()
    answer = api.send_raw(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n" + b"{" * 65536)
    assert answer.split()[1] in (b"400", b"413"), answer[:200]
    assert b'"message"' in answer and time.monotonic() - begin < 5


@pytest.mark.bulkhead_only
def test_a_chunked_body_without_end_is_refused(api, engine):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(api.path)
        connection.sendall(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        sent = 0
        try:
            while sent < 300:
                connection.sendall(chunk)
                sent += 1
        except OSError:
            pass
    assert sent < 100, "a hundred megabytes of nothing were taken"


@pytest.mark.parametrize("head", [b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /_ping HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n",
                                  b"GET /_ping HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(100_000)) + b"\r\n",
                                  b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 100, b"GET\r\n\r\n", b"GET /_ping HTTP/9.9\r\n\r\n",
                                  b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                                  b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
                                  b"POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n"],
                         ids=["long-path", "long-header", "many-headers", "tls", "zeros", "no-path", "version", "negative-length", "two-lengths", "bad-chunk"])
def test_bytes_that_are_not_http(api, head):
    answer = api.send_raw(head)
    assert answer == b"" or answer.split()[1][:1] in b"45", answer[:200]


def test_slow_and_idle_clients_hold_nobody_up(api):
    idle = []
    for _ in range(200):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(api.path)
        connection.sendall(b"GET /_ping HT")
        idle.append(connection)
    begin = time.monotonic()
    assert api.get("/_ping").status == 200 and time.monotonic() - begin < 2
    for connection in idle:
        connection.close()


def test_clients_that_leave_in_the_middle(api, docker, container):
    for _ in range(30):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(api.path)
            connection.sendall(f"GET /containers/{container}/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(api.path)
            connection.sendall(f"POST /containers/{container}/wait HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    assert api.inspect(container)["State"]["Running"]


def test_descriptors_do_not_leak(api, engine, container):
    folder = f"/proc/{engine.process.pid}/fd"

    def busy():
        for _ in range(50):
            api.get("/containers/json?all=1")
            api.get(f"/containers/{container}/json")
            api.get("/containers/nobody/json")
            api.post("/containers/create", b"{", headers=JSON)

    busy()
    before = len(os.listdir(folder))
    busy()
    wait_until(lambda: len(os.listdir(folder)) <= before + 5, what="closed descriptors")


@pytest.mark.parametrize("query", ["filters=x", "filters={", "filters=[]", 'filters={"status":5}', 'filters={"label":{"a":7}}', "limit=x", "all=maybe"])
def test_bad_queries(api, query):
    answer = api.get("/containers/json?" + query.replace("{", "%7B").replace("}", "%7D").replace('"', "%22").replace("[", "%5B").replace("]", "%5D"))
    assert answer.status in (200, 400, 500) and (answer.status == 200 or answer.json()["message"])


@pytest.mark.parametrize("query", ["tail=-5", "since=nonsense", "stdout=0&stderr=0", ""])
def test_bad_log_queries(api, container, query):
    assert api.get(f"/containers/{container}/logs?{query}").status in (200, 400, 500)


def test_logs_without_a_stream(api, container):
    assert "you must choose at least one stream" in fault(api.get(f"/containers/{container}/logs"), 400).lower()


@pytest.mark.parametrize("name", ["../x", "a/../b", "a%00b", "%20", ".", "-"])
def test_bad_names(api, name):
    assert api.post(f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": ["true"]}).status in (400, 414, 431)


def test_a_message_quotes_no_control_characters(api):
    answer = api.get("/containers/%1b%5b31mred/json")
    assert answer.status in (400, 404) and b"\x1b" not in answer.body


@pytest.mark.parametrize("environment", [["NAME"], ["=x"], [""], ["A=b\nC=d"], ["A=" + "x" * 100_000]])
def test_odd_environments(api, docker, environment):
    answer = api.post("/containers/create", {"Image": IMAGE, "Cmd": ["true"], "Env": environment})
    assert answer.status in (201, 400)
    if answer.status == 201:
        assert api.post(f"/containers/{answer.json()['Id']}/start").status in (204, 400, 500)


def test_arguments_with_every_byte(api, docker):
    text = "".join(map(chr, range(1, 128))) + "é"
    number = api.create(Image=IMAGE, Cmd=["printf", "%s", text])
    assert api.post(f"/containers/{number}/start").status == 204
    api.post(f"/containers/{number}/wait")
    assert docker("logs", number).out == text


@pytest.mark.bulkhead_only
def test_a_nul_byte_in_an_argument_is_refused(api):
    fault(api.post("/containers/create", {"Image": IMAGE, "Cmd": ["echo", "a\0b"]}), 400)


def test_create_in_parallel_with_one_name(api, docker):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.post("/containers/create?name=one", {"Image": IMAGE, "Cmd": ["true"]}).status, range(16)))
    assert sorted(answers) == [201] + [409] * 15


def test_start_stop_remove_in_parallel(api, docker):
    number = api.create(Image=IMAGE, Cmd=["sleep", "1000"])
    calls = [lambda: api.post(f"/containers/{number}/start"), lambda: api.post(f"/containers/{number}/kill"),
             lambda: api.post(f"/containers/{number}/restart?t=0"), lambda: api.get(f"/containers/{number}/json")] * 6
    with ThreadPoolExecutor(12) as pool:
        for answer in pool.map(lambda call: call(), calls):
            assert answer.status in (200, 204, 304, 409), answer
    assert api.delete(f"/containers/{number}?force=1").status == 204
    assert json.loads(api.get("/containers/json?all=1").body) == []
