#!/usr/bin/python3
"""`./dev demo`: a real Debian image in a real registry, pulled and run with --isolation=process and with --isolation=hyperv; nothing is left afterwards."""
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from support import images  # noqa: E402
from support.engines import Bulkhead  # noqa: E402
from support.leftovers import Before, sweep  # noqa: E402
from support.registry import Registry  # noqa: E402

INSIDE = "cat /etc/os-release; uname -r; id; ip addr"
KERNEL = "echo kernel $(uname -r), boot $(cat /proc/sys/kernel/random/boot_id)"


def say(text):
    print(f"\n\033[1m$ {text}\033[0m", flush=True)


class Client:
    """The docker client where one is installed, else our own: the verbs are the same."""

    def __init__(self, engine, folder):
        self.name = "docker" if shutil.which("docker") else "bulkhead"
        self.program = shutil.which("docker") or str(engine.binaries / "bulkhead")
        self.environment = {**{name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")},
                            "DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(folder)}

    def run(self, *arguments, show=True):
        if show:
            say(shlex.join([self.name, *arguments]))
        subprocess.run([self.program, *arguments], env=self.environment, check=True)

    def run_on_terminal(self, *arguments):
        """-it needs a terminal: ours, or one that script(1) makes."""
        say(shlex.join([self.name, *arguments]))
        if sys.stdin.isatty() and sys.stdout.isatty():
            subprocess.run([self.program, *arguments], env=self.environment, check=True)
        else:
            command = shlex.join([self.program, *arguments])
            subprocess.run(["script", "--quiet", "--return", "--command", command, "/dev/null"], env=self.environment, check=True,
                           stdin=subprocess.DEVNULL)


def show(engine, registry, folder):
    image = f"{registry.address}/debian:12"
    client = Client(engine, folder)
    client.run("pull", image)
    client.run_on_terminal("run", "--name", "demo", "-it", "--isolation=process", image, "bash", "-c", INSIDE)
    client.run_on_terminal("run", "--name", "demo-vm", "-it", "--isolation=hyperv", image, "bash", "-c", INSIDE)
    client.run("ps", "--all")
    for mode, name in (("process", "demo-process"), ("hyperv", "demo-hyperv")):
        client.run("run", "--name", name, f"--isolation={mode}", image, "bash", "-c", KERNEL)
    if client.name == "docker":
        client.run("inspect", "--format", "{{.Name}}: isolation {{.HostConfig.Isolation}}, exit code {{.State.ExitCode}}", "demo", "demo-vm")
    client.run("rm", "demo", "demo-vm", "demo-process", "demo-hyperv")


def main():
    if os.geteuid() != 0:
        sys.exit("./dev demo: must be root: containers are made of namespaces, mounts and cgroups")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-demo-"))
    before = Before()
    engine = Bulkhead(folder)
    try:
        with Registry(images.image_folder() / "registry", port=5000) as registry:
            begin = time.monotonic()
            engine.start()
            print(f"bulkheadd answers on {engine.host} after {time.monotonic() - begin:.2f} s; registry on {registry.address}")
            show(engine, registry, folder)
            engine.stop()
        before.assert_nothing_left(folder, engine.own_name())
        print("\nnothing is left: no process, mount, cgroup, interface or firewall table")
    except (AssertionError, subprocess.CalledProcessError, OSError) as error:
        print(f"demo failed: {error}\n{engine.log_tail()}", file=sys.stderr)
        return 1
    finally:
        engine.kill()
        sweep(folder)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
