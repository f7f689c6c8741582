"""A registry on loopback that does what a test tells it: serves made-up images, hangs, breaks off, lies."""
import base64
import http.server
import json
import ssl
import threading
import time

from support import archives

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class BadRegistry:
    """`blobs` and `manifests` are what it has. Hooks: `on_request(handler)` may answer itself and return True."""

    def __init__(self, certificate=None):
        self.blobs, self.manifests, self.types = {}, {}, {}
        self.on_request = lambda handler: False
        self.requests = []
        self.released = threading.Event()  # set at the end, so that hanging handlers let go
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                registry.requests.append((self.command, self.path, dict(self.headers)))
                try:
                    registry.on_request(self) or registry.serve(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_HEAD = do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def add_image(self, name, layers, compression="gzip", config_bytes=None):
        """Serves an image at repository `name`, tag 1. Returns the manifest as a dict to change and `set_manifest`."""
        manifest, blobs = archives.oci_image(layers, compression, config_bytes)
        self.blobs.update(blobs)
        self.set_manifest(name, manifest)
        return json.loads(manifest)

    def set_manifest(self, name, manifest, media_type=MANIFEST, tag="1"):
        content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        for reference in (tag, archives.digest(content)):
            self.manifests[f"{name}/manifests/{reference}"] = content
            self.types[f"{name}/manifests/{reference}"] = media_type
        return archives.digest(content)

    def serve(self, handler):
        path = handler.path.removeprefix("/v2/").partition("?")[0]
        if path in ("", "/v2"):
            return self.answer(handler, 200, b"{}")
        if path in self.manifests:
            content = self.manifests[path]
            return self.answer(handler, 200, content, {"Content-Type": self.types[path], "Docker-Content-Digest": archives.digest(content)})
        blob = self.blobs.get(path.rpartition("/")[2]) if "/blobs/" in path else None
        if blob is None:
            return self.answer(handler, 404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        span = handler.headers.get("Range")
        if span:
            first = int(span.removeprefix("bytes=").partition("-")[0])
            if first >= len(blob):
                return self.answer(handler, 416, b"", {"Content-Range": f"bytes */{len(blob)}"})
            return self.answer(handler, 206, blob[first:], {"Content-Range": f"bytes {first}-{len(blob) - 1}/{len(blob)}"})
        return self.answer(handler, 200, blob, {"Accept-Ranges": "bytes"})

    @staticmethod
    def answer(handler, status, content, headers=None, length=None):
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": length or len(content), **(headers or {})}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)

    def hang(self, *_):
        """For hooks: says nothing until the registry ends."""
        self.released.wait(120)
        return True

    @staticmethod
    def close(handler):
        """For hooks: closes without an answer."""
        handler.close_connection = True
        return True

    def break_off_once(self, after):
        """For hooks: the first answer with a blob of more than `after` bytes is cut there, later ones are whole."""
        cut = []

        def hook(handler):
            blob = self.blobs.get(handler.path.rpartition("/")[2])
            if blob is None or len(blob) <= after or cut:
                return False
            cut.append(handler.path)
            self.answer(handler, 200, blob[:after], {"Accept-Ranges": "bytes"}, length=len(blob))
            handler.wfile.flush()
            handler.connection.shutdown(2)
            handler.close_connection = True
            return True

        return hook

    def drip(self, seconds):
        """For hooks: blobs come at a few bytes per second."""

        def hook(handler):
            blob = self.blobs.get(handler.path.rpartition("/")[2])
            if blob is None:
                return False
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(blob)))
            handler.end_headers()
            for byte in blob:
                if self.released.wait(seconds):
                    break
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
            return True

        return hook


def wants_basic(user, password, registry):
    """A hook that lets only this user in."""
    expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def hook(handler):
        if handler.headers.get("Authorization") == expected:
            return False
        registry.answer(handler, 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', {"WWW-Authenticate": 'Basic realm="test"'})
        return True

    return hook


def wants_bearer(registry, token="opensesame", login=None):
    """A hook of a registry with a token service of its own at /token; `login` is (user, password) where one must be named."""

    def hook(handler):
        if handler.path.startswith("/token"):
            expected = login and "Basic " + base64.b64encode(":".join(login).encode()).decode()
            if expected and handler.headers.get("Authorization") != expected:
                registry.answer(handler, 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}')
            else:
                registry.answer(handler, 200, json.dumps({"token": token, "expires_in": 60, "issued_at": time.strftime("%FT%TZ", time.gmtime())}).encode())
            return True
        if handler.headers.get("Authorization") == f"Bearer {token}":
            return False
        scheme = "https" if hasattr(registry.server.socket, "context") else "http"
        challenge = f'Bearer realm="{scheme}://{registry.address}/token",service="test",scope="repository:x:pull"'
        registry.answer(handler, 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', {"WWW-Authenticate": challenge})
        return True

    return hook
