"""Runs in a mount namespace of its own, without the cgroup v2 tree that stands beside v1 ones on a hybrid host: crun refuses a
host whose v2 tree has any controller ("cgroups in hybrid mode not supported, drop all controllers from cgroupv2"). Reads JSON lines {"argv": [...], "cwd": ...}, runs each, answers {"code": n, "seconds": s}."""
import json
import os
import subprocess
import sys
import time


def leave_hybrid_tree():
    tree = "/sys/fs/cgroup/unified"
    if os.path.ismount(tree):
        subprocess.run(["umount", tree], check=False)


def main():
    leave_hybrid_tree()
    for line in sys.stdin:
        order = json.loads(line)
        begin = time.perf_counter()
        done = subprocess.run(order["argv"], cwd=order.get("cwd"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        seconds = time.perf_counter() - begin
        print(json.dumps({"code": done.returncode, "seconds": seconds, "error": done.stderr.decode(errors="replace")[-500:]}), flush=True)


if __name__ == "__main__":
    main()
