"""Who is measured: engines through their API and client, podman through its command line, crun and runc bare.

Each has a subset of the same methods; a bench that somebody lacks is a gap in the table.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from http_client import Connection
from support import images, leftovers

IMAGE = "busybox:1"


class Engine:
    """An engine that speaks Docker's API."""

    def __init__(self, name, engine, client_config):
        self.name, self.engine = name, engine
        self.client = shutil.which("docker")
        self.environment = {**os.environ, "DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(client_config)}
        engine.start()
        with open(images.image_folder() / images.IMAGES[IMAGE], "rb") as archive:
            answer = engine.api.post("/images/load", archive, headers={"Content-Type": "application/x-tar"}, timeout=300)
        assert answer.status == 200 and b'"error"' not in answer.body, answer
        self.connection = Connection(engine.socket)
        self.running = None

    def body(self, network, *command):
        return {"Image": IMAGE, "Cmd": command, "HostConfig": {"NetworkMode": network}}

    def run(self, network):
        """Create, start, wait, delete: seconds."""
        call = self.connection.json
        begin = time.perf_counter()
        number = call("POST", "/v1.41/containers/create", self.body(network, "true"))["Id"]
        call("POST", f"/v1.41/containers/{number}/start")
        status = call("POST", f"/v1.41/containers/{number}/wait")
        call("DELETE", f"/v1.41/containers/{number}")
        seconds = time.perf_counter() - begin
        assert status["StatusCode"] == 0, status
        return seconds

    def settle(self):
        """What is still done in the background is not for the next one to pay."""
        time.sleep(1)

    def run_rested(self, network):
        """As run, with a pause after it."""
        seconds = self.run(network)
        self.settle()
        return seconds

    def spawn(self, *command):
        begin = time.perf_counter()
        done = subprocess.run([self.client, *command], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        seconds = time.perf_counter() - begin
        assert done.returncode == 0, done.stderr
        return seconds

    def run_by_client(self, network):
        return self.spawn("run", "--rm", "--network", network, IMAGE, "true")

    def client_floor(self):
        return self.spawn("version")

    def target(self):
        """A container to exec into, made once."""
        if self.running is None:
            self.running = self.start_one("none")
        return self.running

    def start_one(self, network):
        number = self.connection.json("POST", "/v1.41/containers/create", self.body(network, "sleep", "100000"))["Id"]
        self.connection.json("POST", f"/v1.41/containers/{number}/start")
        return number

    def shell(self, script):
        """Seconds of a script in a new container."""
        call = self.connection.json
        number = call("POST", "/v1.41/containers/create", self.body("bridge", "sh", "-c", script))["Id"]
        begin = time.perf_counter()
        call("POST", f"/v1.41/containers/{number}/start")
        status = call("POST", f"/v1.41/containers/{number}/wait")
        seconds = time.perf_counter() - begin
        call("DELETE", f"/v1.41/containers/{number}")
        assert status["StatusCode"] == 0, status
        return seconds

    def exec(self):
        """Create, start attached, read to the end, ask for the exit code: seconds."""
        container = self.target()
        call = self.connection.json
        begin = time.perf_counter()
        number = call("POST", f"/v1.41/containers/{container}/exec", {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True})["Id"]
        self.connection.call("POST", f"/v1.41/exec/{number}/start", {"Detach": False})
        record = call("GET", f"/v1.41/exec/{number}/json")
        seconds = time.perf_counter() - begin
        assert record["ExitCode"] == 0 or record["Running"], record
        return seconds

    def exec_by_client(self):
        return self.spawn("exec", self.target(), "true")

    def pull(self, address):
        name = f"{address}/big:1"
        subprocess.run([self.client, "rmi", "-f", name], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.sync()
        return self.spawn("pull", "-q", name)

    def start_many(self, count, network):
        """(seconds, containers)."""
        begin = time.perf_counter()
        numbers = [self.start_one(network) for _ in range(count)]
        return time.perf_counter() - begin, numbers

    def remove(self, numbers):
        for number in numbers:
            self.connection.json("DELETE", f"/v1.41/containers/{number}?force=1")

    def memory(self):
        """PSS in bytes of (the daemons, the shims): not of what runs in the containers."""
        daemons = shims = 0
        for pid, command in leftovers.processes_of(self.engine.folder).items():
            size = pss(pid)
            program = os.path.basename(command.split()[0])
            if "vm-keeper" in command.split():
                daemons += size
            elif "shim" in program or "qemu" in program:
                shims += size
            elif program in ("bulkheadd", "dockerd", "containerd"):
                daemons += size
        return daemons, shims

    def config(self):
        """The OCI configuration of a running container of this engine, for the bare runtimes."""
        number = self.target()
        for found in pathlib.Path(self.engine.folder).rglob("config.json"):
            if number.startswith(found.parent.name) and "ociVersion" in (text := found.read_text()):
                return json.loads(text)
        raise RuntimeError(f"{self.name} keeps no config.json of {number}")

    def finish(self):
        self.connection.close()
        try:
            self.engine.api.remove_all_containers()
            self.engine.stop()
        finally:
            self.engine.kill()
            leftovers.sweep(self.engine.folder)
            self.engine.clean_up()


class Machines(Engine):
    """Bulkhead with every container in a VM, begun in one of the three ways."""

    def __init__(self, way, engine, client_config):
        super().__init__(f"vm-{way}", engine, client_config)
        self.way = way

    def body(self, network, *command):
        body = super().body(network, *command)
        body["HostConfig"]["Isolation"] = "hyperv"
        return body

    def settle(self):
        """The keeper prepares the next ones."""
        time.sleep(1 if self.way == "cold" else 4)

    def exec_machine(self):
        return self.exec()


def pss(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


class Namespace:
    """A helper process in a mount namespace that crun and podman accept (bare.py)."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", sys.executable, str(pathlib.Path(__file__).with_name("bare.py"))],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, *command, cwd=None):
        self.process.stdin.write(json.dumps({"argv": [str(word) for word in command], "cwd": cwd and str(cwd)}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if answer["code"]:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit {answer['code']}: {answer['error']}")
        return answer["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Bare:
    """crun or runc with one bundle: no engine, no network, no log."""

    def __init__(self, name, folder, namespace, config):
        self.name, self.folder, self.namespace = name, folder / name, namespace
        (self.folder / "rootfs").mkdir(parents=True)
        layer = subprocess.run(["tar", "--extract", "--to-stdout", "--file", images.image_folder() / images.IMAGES[IMAGE], "0/layer.tar"], check=True, capture_output=True)
        subprocess.run(["tar", "--extract", "--directory", self.folder / "rootfs"], input=layer.stdout, check=True)
        (self.folder / "config.json").write_text(json.dumps(self.adapt(config)))
        self.count = 0
        self.run("none")

    def adapt(self, config):
        """The engine's own configuration, made to stand alone: its seccomp filter, capabilities, mounts and limits stay."""
        config = json.loads(json.dumps(config))
        config["process"].update(args=["true"], terminal=False)
        config["process"].pop("apparmorProfile", None)
        config["root"] = {"path": "rootfs", "readonly": False}
        config.pop("hooks", None)
        config["mounts"] = [mount for mount in config["mounts"] if mount.get("type") != "bind" or "bind" not in str(mount.get("options"))]
        for namespace in config["linux"]["namespaces"]:
            namespace.pop("path", None)
        config["linux"]["cgroupsPath"] = f"/bulkhead-bench/{self.name}"
        return config

    def run(self, _network):
        self.count += 1
        return self.namespace.run(shutil.which(self.name), "--root", self.folder / "state", "run", f"bench{os.getpid()}-{self.count}", cwd=self.folder)

    def finish(self):
        pass


class Podman:
    """podman with a store of its own; only its command line is measured."""

    name = "podman"

    def __init__(self, folder, namespace):
        self.folder, self.namespace = folder, namespace
        self.base = [shutil.which("podman"), "--root", folder / "podman", "--runroot", folder / "podman-run", "--cgroup-manager=cgroupfs", "--events-backend=file",
                     "--storage-driver=overlay", "--network-config-dir", folder / "podman-net"]
        # podman asks for more open files and processes than root may have where CAP_SYS_RESOURCE is missing.
        self.limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
        self.running = None
        self.podman("load", "-q", "-i", images.image_folder() / images.IMAGES[IMAGE])
        self.run_by_client("none")

    def podman(self, *command):
        return self.namespace.run(*self.base, *command)

    def run_by_client(self, network):
        return self.podman("run", "--rm", *self.limits, "--network", network, IMAGE, "true")

    def client_floor(self):
        return self.podman("version")

    def exec_by_client(self):
        if self.running is None:
            self.running = "target"
            self.podman("run", "-d", *self.limits, "--name", self.running, "--network", "none", IMAGE, "sleep", "100000")
        return self.podman("exec", self.running, "true")

    def pull(self, address):
        name = f"{address}/big:1"
        try:
            self.podman("rmi", "-f", name)
        except RuntimeError:
            pass
        os.sync()
        return self.podman("pull", "-q", "--tls-verify=false", name)

    def start_many(self, count, network):
        begin = time.perf_counter()
        names = [f"many{number}" for number in range(count)]
        for name in names:
            self.podman("run", "-d", *self.limits, "--name", name, "--network", network, IMAGE, "sleep", "100000")
        return time.perf_counter() - begin, names

    def remove(self, names):
        self.podman("rm", "-f", "-t", "0", *names)

    def memory(self):
        found = leftovers.processes_of(self.folder / "podman")
        return 0, sum(pss(pid) for pid, command in found.items() if os.path.basename(command.split()[0]) == "conmon")

    def finish(self):
        try:
            self.podman("rm", "-f", "-a", "-t", "0")
        except RuntimeError:
            pass
