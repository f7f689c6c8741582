"""The Engine API over a unix socket, as bytes and as JSON: for what the docker client can't say."""
import http.client
import json
import socket


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        """The error text of a failed call: every error must be {"message": ...}."""
        return self.json()["message"]

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Api:
    def __init__(self, path, timeout=60):
        self.path, self.timeout = str(path), timeout

    def request(self, method, target, body=None, headers=None, timeout=None) -> Response:
        """`body`: an object to send as JSON, bytes, an open file, or an iterable of bytes (sent in chunks)."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = UnixConnection(self.path, timeout or self.timeout)
        try:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, target, **options):
        return self.request("GET", target, **options)

    def post(self, target, body=None, **options):
        return self.request("POST", target, body, **options)

    def delete(self, target, **options):
        return self.request("DELETE", target, **options)

    def create(self, name=None, **config):
        """Creates a container; returns its id."""
        answer = self.post("/v1.41/containers/create" + (f"?name={name}" if name else ""), config)
        assert answer.status == 201, answer
        return answer.json()["Id"]

    def inspect(self, container):
        answer = self.get(f"/containers/{container}/json")
        assert answer.status == 200, answer
        return answer.json()

    def remove_all_containers(self):
        answer = self.get("/containers/json?all=1")
        assert answer.status == 200, answer
        for container in answer.json():
            gone = self.delete(f"/containers/{container['Id']}?force=1&v=1")
            assert gone.status in (204, 404, 409), gone

    def send_raw(self, data: bytes, timeout=10) -> bytes:
        """Bytes as they are; returns what comes back until the engine closes or falls silent for a while."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(self.path)
            try:
                connection.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused early; the answer may be there all the same
            answer = b""
            connection.settimeout(2)
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
            except (TimeoutError, ConnectionResetError):
                pass
            return answer
