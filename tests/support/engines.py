"""The engines that tests run against: Bulkhead, and Debian's dockerd as the reference. Both live in a folder of their own."""
import contextlib
import glob
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

from support.api import Api
from support.leftovers import instance_of

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Engine:
    """An engine process with its folder. `start` may be called again after `stop` or `kill`."""

    name = ""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.socket = folder / "e.sock"
        self.host = f"unix://{self.socket}"
        self.log = folder / "engine.log"
        self.process = None
        self.api = Api(self.socket)

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd="/")
        end = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(f"{self.name} did not start:\n{self.log_tail()}")
            time.sleep(0.01)

    def answers(self):
        try:
            return self.api.get("/_ping", timeout=5).status == 200
        except OSError:
            return False

    def stop(self, timeout=30):
        """SIGTERM, as an init system would. Returns the exit code."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {timeout} s of SIGTERM:\n{self.log_tail()}") from None
        finally:
            self.process = None

    def kill(self):
        """SIGKILL: what a crash looks like."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log_tail(self, since=0, lines=60):
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_bytes()[since:].decode(errors="replace").splitlines()[-lines:])

    def own_name(self):
        """A regular expression for this engine's interfaces, tables and cgroups."""
        return None

    def sanitizer_reports(self):
        return ""

    def clean_up(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def reports_of(binaries):
    """What sanitizers have written about these programs: files, each with its time, as a later process may have the same number."""
    return {(path, path.stat().st_mtime_ns) for path in (binaries.parent / "reports").glob("sanitizer.*")}


class Bulkhead(Engine):
    name = "bulkheadd"

    def __init__(self, folder, preset="release", arguments=()):
        super().__init__(folder)
        self.root, self.run_root = folder / "root", folder / "run"
        self.binaries = REPOSITORY / "build" / preset / "bin"
        self.reports_before = reports_of(self.binaries)
        self.arguments = list(arguments)
        if preset in ("asan-ubsan", "tsan"):  # a guest's only program is static: it has no sanitizers, its host has
            self.arguments += ["--vm-initramfs", str(REPOSITORY / "build/release/bin/bulkhead-initramfs.cpio")]

    def command(self):
        return [str(self.binaries / "bulkheadd"), "--root", str(self.root), "--run-root", str(self.run_root), "--host", self.host,
                *self.arguments]

    def sanitizer_reports(self):
        """Those of the engine, its shims and the keeper of VMs that were not told before (cmake/sanitizer_options.cc)."""
        new = reports_of(self.binaries) - self.reports_before
        self.reports_before |= new
        return "\n".join(path.read_text(errors="replace") for path, _ in sorted(new))

    def own_name(self):
        return instance_of(self.root)

    def clean_up(self):
        """Also what only a crash leaves: the bridge and the table of this instance."""
        for interface in os.listdir("/sys/class/net"):
            if interface.startswith("bh" + self.own_name()):
                subprocess.run(["ip", "link", "delete", interface], stderr=subprocess.DEVNULL)
        subprocess.run(["nft", "delete", "table", "ip", f"bulkhead_{self.own_name()}"], stderr=subprocess.DEVNULL)
        for cgroup in glob.glob(f"/sys/fs/cgroup/*/bulkhead-{self.own_name()}"):
            for path, _, _ in os.walk(cgroup, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
        super().clean_up()


class Dockerd(Engine):
    """The reference. Its bridge is its own and it leaves the host's firewall alone."""

    name = "dockerd"

    def __init__(self, folder, **_):
        super().__init__(folder)
        self.root = folder / "root"
        self.bridge = "bkref" + hashlib.sha256(str(folder).encode()).hexdigest()[:6]

        self.containerd = None

    def command(self):
        return ["/usr/sbin/dockerd", "--data-root", str(self.root), "--exec-root", str(self.folder / "x"), "--pidfile",
                str(self.folder / "pid"), "--containerd", str(self.folder / "containerd.sock"), "--host", self.host, "--bridge", self.bridge, "--iptables=false", "--ip6tables=false",
                "--ip-masq=false", "--userland-proxy=false", "--live-restore", "--exec-opt", "native.cgroupdriver=cgroupfs"]

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pid").unlink(missing_ok=True)  # dockerd refuses to start beside its own stale one
        if not os.path.exists(f"/sys/class/net/{self.bridge}"):
            subprocess.run(["ip", "link", "add", self.bridge, "type", "bridge"], check=True)
            subprocess.run(["ip", "address", "add", self.free_subnet(), "dev", self.bridge], check=True)
            subprocess.run(["ip", "link", "set", self.bridge, "up"], check=True)
        if self.containerd is None:
            self.start_containerd()
        super().start()

    def start_containerd(self):
        """Its own process, as systemd would run it: it outlives a kill of dockerd."""
        config = self.folder / "containerd.toml"
        config.write_text(f'version = 2\nroot = "{self.folder}/containerd"\nstate = "{self.folder}/c"\n'
                          f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.folder}/containerd.sock"\n')
        with open(self.folder / "containerd.log", "ab") as log:
            self.containerd = subprocess.Popen(["containerd", "--config", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 30
        while not (self.folder / "containerd.sock").exists():
            assert self.containerd.poll() is None and time.monotonic() < end, (self.folder / "containerd.log").read_text()
            time.sleep(0.02)

    @staticmethod
    def free_subnet():
        routes = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
        return next(f"10.213.{third}.1/24" for third in range(1, 255) if f"10.213.{third}." not in routes)

    def clean_up(self):
        if self.containerd is not None:
            self.containerd.terminate()
            self.containerd.wait()
        subprocess.run(["ip", "link", "delete", self.bridge], stderr=subprocess.DEVNULL)
        super().clean_up()


KINDS = {"bulkhead": Bulkhead, "dockerd": Dockerd}
