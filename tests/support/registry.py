"""A real docker-registry on loopback, serving a data folder."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time


def free_port(preferred=0) -> int:
    """`preferred` where nobody listens there, else a free port of the kernel's choice."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    raise OSError("no free port on loopback")


class Registry:
    """Runs from `with` to its end. `writable` allows pushes; the cached data folder is only read otherwise."""

    def __init__(self, data: pathlib.Path, writable=False, port=0):
        self.data = data
        self.port = free_port(port)
        self.address = f"127.0.0.1:{self.port}"
        self.writable = writable

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-registry-"))
        read_only = "false" if self.writable else "true"
        (self.folder / "config.yml").write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage:\n  filesystem: {{rootdirectory: {self.data}}}\n"
            f"  maintenance: {{uploadpurging: {{enabled: false}}, readonly: {{enabled: {read_only}}}}}\n"
            f"http: {{addr: '{self.address}', secret: tests}}\n")
        self.log = open(self.folder / "log", "w", encoding="utf-8")
        environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
        self.process = subprocess.Popen(["docker-registry", "serve", str(self.folder / "config.yml")], env=environment,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        self.wait_until_ready()
        return self

    def wait_until_ready(self):
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        text = (self.folder / "log").read_text()
        self.__exit__()
        raise RuntimeError(f"docker-registry did not start:\n{text}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
