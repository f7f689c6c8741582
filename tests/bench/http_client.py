"""The smallest HTTP client that measures: one kept connection over a unix socket, no parsing beyond what is needed."""
import json
import socket


class Connection:
    def __init__(self, path):
        self.path = str(path)
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(self.path)
        self.rest = b""

    def close(self):
        self.socket.close()

    def call(self, method, target, body=None):
        """(status, body). The answer must have a length or be chunked, or end with the connection."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self.socket.sendall(head.encode() + content)
        while b"\r\n\r\n" not in self.rest:
            self.receive()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        status = int(head[9:12])
        lower = head.lower()
        if status in (204, 304):
            answer = b""
        elif b"content-length:" in lower:
            length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
            while len(self.rest) < length:
                self.receive()
            answer, self.rest = self.rest[:length], self.rest[length:]
        elif b"chunked" in lower:
            answer = self.chunks()
        else:
            answer = self.until_close()
        if b"connection: close" in lower:
            self.close()
            self.open()
        return status, answer

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the engine closed the connection")
        self.rest += data

    def chunks(self):
        answer = b""
        while True:
            while b"\r\n" not in self.rest:
                self.receive()
            size, _, self.rest = self.rest.partition(b"\r\n")
            length = int(size.split(b";")[0], 16)
            while len(self.rest) < length + 2:
                self.receive()
            answer, self.rest = answer + self.rest[:length], self.rest[length + 2:]
            if length == 0:
                return answer

    def until_close(self):
        answer, self.rest = self.rest, b""
        while data := self.socket.recv(65536):
            answer += data
        self.open()
        return answer

    def json(self, method, target, body=None):
        status, answer = self.call(method, target, body)
        if status >= 400:
            raise RuntimeError(f"{method} {target}: {status} {answer[:500]!r}")
        return json.loads(answer) if answer else None
