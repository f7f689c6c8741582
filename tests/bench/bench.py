#!/usr/bin/python3
"""`./dev bench`: Bulkhead side by side with what is installed of dockerd, podman, crun and runc, in one run.

Machines drift, so the contestants take turns within each measurement (A B C A B C ...), and what counts are medians and ratios.
Prints a table and the targets, and writes build/bench.json.
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(pathlib.Path(__file__).parent)]
from contestants import Bare, Engine, Machines, Namespace, Podman  # noqa: E402
from support import images, leftovers  # noqa: E402
from support.engines import Bulkhead, Dockerd  # noqa: E402
from support.registry import Registry  # noqa: E402


class Board:
    """Results: {measurement: {contestant: {"median":, "p95":, "values": [...], "unit":}}}."""

    def __init__(self):
        self.rows = {}

    def add(self, row, name, values, unit="ms"):
        ordered = sorted(values)
        self.rows.setdefault(row, {})[name] = {"median": statistics.median(values), "p95": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
                                               "count": len(values), "unit": unit, "values": [round(value, 4) for value in values]}

    def median(self, row, name):
        return self.rows.get(row, {}).get(name, {}).get("median")

    def print(self, names):
        width = max(map(len, self.rows)) + 2
        print("\n" + " " * width + "".join(f"{name:>14}" for name in names))
        for row, cells in self.rows.items():
            texts = [f"{cells[name]['median']:.1f} {cells[name]['unit']}" if name in cells else "-" for name in names]
            print(f"{row:{width}}" + "".join(f"{text:>14}" for text in texts))


def note(text):
    print(text, file=sys.stderr, flush=True)


def turns(board, entries, rounds, warm=1):
    """`entries`: (row, contestant, method, arguments...). Each in turn, `rounds` times; the first `warm` rounds don't count."""
    able = [entry for entry in entries if hasattr(entry[1], entry[2])]
    values = {entry: [] for entry in able}
    for turn in range(rounds + warm):
        for entry in list(able):
            row, one, method, *arguments = entry
            try:
                seconds = getattr(one, method)(*arguments)
            except (RuntimeError, AssertionError, OSError) as error:
                note(f"{one.name} can't do '{row}': {str(error)[:300]}")
                able.remove(entry)
                continue
            if turn >= warm:
                values[entry].append(seconds * 1000)
    for (row, one, *_), times in values.items():
        if times:
            board.add(row, one.name, times)
            note(f"  {row}: {one.name} {statistics.median(times):.1f} ms")


def start_contestants(folder, namespace, options):
    """Everybody who is there; who is missing is said with the reason."""
    found, config = [], None
    makers = {
        "bulkhead": lambda: Engine("bulkhead", Bulkhead(folder / "bulkhead", preset=options.preset), folder / "client"),
        "dockerd": lambda: Engine("dockerd", Dockerd(folder / "dockerd"), folder / "client"),
        **{f"vm-{way}": lambda way=way: Machines(way, Bulkhead(folder / f"vm-{way}", preset=options.preset, arguments=["--vm-start", way, *QUIET[way]]), folder / "client")
           for way in ("pool", "clone", "cold")},
        "podman": lambda: Podman(folder, namespace),
        "crun": lambda: Bare("crun", folder / "bare", namespace, config),
        "runc": lambda: Bare("runc", folder / "bare", namespace, config),
    }
    daemon = ROOT / "build" / options.preset / "bin/bulkheadd"
    programs = {"bulkhead": daemon, "dockerd": "dockerd", "vm-pool": daemon, "vm-clone": daemon, "vm-cold": daemon}
    for name, make in makers.items():
        if name in options.without or not shutil.which(str(programs.get(name, name))):
            note(f"without {name}: {'as asked' if name in options.without else 'not installed'}")
            continue
        try:
            if name in ("crun", "runc") and config is None:
                config = found[0].config()
            found.append(make())
        except (RuntimeError, AssertionError, OSError, StopIteration, subprocess.CalledProcessError) as error:
            note(f"without {name}: {str(error)[:600]}")
    return found


def measure_many(board, contestants, count):
    """Start rate, and memory per container while they run. One after another: 200 of each at once would measure the crowd."""
    for one in contestants:
        if not hasattr(one, "start_many") or isinstance(one, Machines):
            continue
        idle = one.memory()
        seconds, names = one.start_many(count, "bridge")
        daemons, shims = one.memory()
        one.remove(names)
        board.add(f"start {count}, containers per second", one.name, [count / seconds], "/s")
        board.add(f"memory of the engine with {count}", one.name, [daemons / 1e6], "MB")
        board.add(f"memory per container of {count}", one.name, [(daemons + shims - sum(idle)) / count / 1e6], "MB")
        note(f"  {count} containers: {one.name} {count / seconds:.1f}/s, engine {daemons / 1e6:.1f} MB, {(daemons + shims - sum(idle)) / count / 1e6:.2f} MB each")


def targets(board):
    """(text, measured, limit, met) of each aim; where a peer is missing it can't be told."""
    def ratio(row, mine, other_row, other):
        top, bottom = board.median(row, mine), board.median(other_row, other)
        return top / bottom if top and bottom else None

    crun_row, run_row = "run true, bare bundle", "run true, bridge (API)"
    worst_engine = max((board.median(row, "bulkhead") for row in board.rows if row.startswith("memory of the engine") and board.median(row, "bulkhead")), default=None)
    worst_each = max((board.median(row, "bulkhead") for row in board.rows if row.startswith("memory per container") and board.median(row, "bulkhead")), default=None)
    aims = [
        ("run on the bridge / bare crun", ratio(run_row, "bulkhead", crun_row, "crun"), 2),
        ("run on the bridge / dockerd", ratio(run_row, "bulkhead", run_row, "dockerd"), 1 / 15),
        ("exec / dockerd", ratio("exec true (API)", "bulkhead", "exec true (API)", "dockerd"), 1 / 5),
        ("pull / dockerd", ratio("pull 200 MB", "bulkhead", "pull 200 MB", "dockerd"), 1 / 3),
        ("VM from the pool / dockerd's process", ratio(RESTED, "vm-pool", RESTED, "dockerd"), 1 / 4),
        ("VM cloned / dockerd's process", ratio(RESTED, "vm-clone", RESTED, "dockerd"), 1),
        ("VM booted cold / dockerd's process", ratio(RESTED, "vm-cold", RESTED, "dockerd"), 4),
        ("exec in a VM / dockerd's exec", ratio("exec true (API)", "vm-pool", "exec true (API)", "dockerd"), 1),
        ("memory per VM, MB", next((board.median(row, "vm-pool") for row in board.rows if row.startswith("memory per VM")), None), 64),
        ("memory of the engine, MB", worst_engine, 25),
        ("memory per container, MB", worst_each, 3),
    ]
    return [(text, value, limit, None if value is None else value <= limit) for text, value, limit in aims]


RESTED = "run true, bridge, with pauses (API)"
# Of these the pool alone has VMs that wait; cold has nobody who makes a template.
QUIET = {"pool": [], "clone": [], "cold": ["--vm-warm", "0"]}
WRITE = "dd if=/dev/zero of=/f bs=1M count=128 conv=fsync 2>/dev/null"
READ = WRITE + " && for i in 1 2 3; do cat /f >/dev/null; done"


def measure_machines(board, contestants, options):
    """Containers in VMs beside dockerd's containers, which are processes."""
    machines = [one for one in contestants if isinstance(one, Machines)]
    if not machines:
        return
    process = [one for one in contestants if one.name in ("bulkhead", "dockerd")]
    pool = machines[0]
    # In turns with the processes that they are compared with: each after a pause.
    turns(board, [(RESTED, one, "run_rested", "bridge") for one in [*process, *machines]], options.vm_rounds)
    turns(board, [("exec true (API)", pool, "exec_machine")], options.rounds)
    pool.remove([pool.target()])
    pool.running = None
    both = [pool, *(one for one in process if one.name == "bulkhead")]
    for row, script in (("write 128 MB and sync", WRITE), ("write 128 MB, read 3 times", READ)):
        turns(board, [(row, one, "shell", script) for one in both], 3)
    for one in both:
        gateway = one.connection.json("GET", "/v1.41/networks/bridge")["IPAM"]["Config"][0]["Gateway"]
        with served_file(gateway) as port:
            turns(board, [("fetch 200 MB over the bridge", one, "shell", f"wget -q -O /dev/null http://{gateway}:{port}/file")], 3)
    daemons, shims = pool.memory()
    pool.settle()
    seconds, names = pool.start_many(options.vms, "bridge")
    pool.settle()
    after = pool.memory()
    board.add(f"start {options.vms} VMs, containers per second", pool.name, [options.vms / seconds], "/s")
    board.add(f"memory per VM of {options.vms}", pool.name, [(sum(after) - daemons - shims) / options.vms / 1e6], "MB")
    alive = sum(1 for name in names if pool.connection.json("GET", f"/v1.41/containers/{name}/json")["State"]["Running"])
    board.add("VMs alive at once", pool.name, [alive], "")
    note(f"  {alive} VMs alive at once, {(sum(after) - daemons - shims) / options.vms / 1e6:.1f} MB each")
    pool.remove(names)


@contextlib.contextmanager
def served_file(address):
    """The port of a web server of this machine with a file of 200 MB, for one bridge."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/file", "wb") as file:
            file.truncate(200 << 20)
        server = subprocess.Popen([sys.executable, "-m", "http.server", "--bind", address, "--directory", folder, "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        try:
            yield int(server.stdout.readline().split(" port ")[1].split()[0])
        finally:
            server.kill()
            server.wait()


def measure(board, contestants, registry, options):
    engines = [one for one in contestants if isinstance(one, Engine) and not isinstance(one, Machines)]
    bare = [one for one in contestants if isinstance(one, Bare)]
    rounds, few = options.rounds, max(3, options.rounds // 2)
    plain = [one for one in contestants if not isinstance(one, Machines)]  # of those the API's rows tell
    # Together: the aims are ratios between these rows.
    turns(board, [(f"run true, {network} (API)", one, "run", network) for network in ("bridge", "none") for one in engines] +
          [("run true, bare bundle", one, "run", "none") for one in bare], rounds)
    for network in ("bridge", "none"):
        turns(board, [(f"run true, {network} (client)", one, "run_by_client", network) for one in plain], few)
    turns(board, [("the client's own floor (version)", one, "client_floor") for one in plain], few)
    turns(board, [("exec true (API)", one, "exec") for one in engines], rounds)
    turns(board, [("exec true (client)", one, "exec_by_client") for one in plain], few)
    turns(board, [("pull 200 MB", one, "pull", registry.address) for one in plain], options.pulls, warm=0)
    measure_machines(board, contestants, options)
    for one in engines:
        board.add("memory of the engine, idle", one.name, [one.memory()[0] / 1e6], "MB")
    for count in options.many:
        measure_many(board, contestants, count)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pulls", type=int, default=3)
    parser.add_argument("--many", type=int, nargs="*", default=[20, 200])
    parser.add_argument("--vms", type=int, default=50, help="how many VMs at once")
    parser.add_argument("--vm-rounds", type=int, default=8)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--preset", default="release")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench.json")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("./dev bench: must be root")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-bench-", dir="/tmp"))
    (folder / "client").mkdir()
    namespace, contestants, board = Namespace(), [], Board()
    tables = leftovers.firewall_tables()
    try:
        with Registry(images.image_folder() / "registry") as registry:
            contestants = start_contestants(folder, namespace, options)
            measure(board, contestants, registry, options)
    finally:
        for one in reversed(contestants):
            one.finish()
        namespace.close()
        leftovers.sweep(folder)
        for table in leftovers.firewall_tables() - tables:  # podman's empty chains
            subprocess.run(["nft", "delete", "table", *table.split()], stderr=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
    report(board, [one.name for one in contestants], options)


def report(board, names, options):
    print(f"\n{datetime.date.today()}, {platform.release()}, {os.cpu_count()} cores; medians of {options.rounds} rounds in turns")
    board.print(names)
    print("\naims:")
    results = targets(board)
    for text, value, limit, met in results:
        print(f"  {text:34} " + (f"{value:8.3f} (aim: at most {limit:.3f})  {'met' if met else 'NOT MET'}" if value is not None else "not measured"))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "kernel": platform.release(), "cores": os.cpu_count(),
        "results": board.rows, "aims": [{"aim": text, "measured": value, "limit": limit, "met": met} for text, value, limit, met in results]}, indent=1))
    print(f"\nwritten to {options.output}")


if __name__ == "__main__":
    main()
