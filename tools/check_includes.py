#!/usr/bin/python3
"""Dependencies point one way: which folder of src/ may include which (docs/ARCHITECTURE.md shows the picture).

A header whose name ends in _test or a *_test.cc file may include what its folder may. Exit code 1 where an edge is not in the
table, a folder is not in it, a file of ours that is included does not exist, or the includes of folders form a circle.
"""
import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[1] / "src"

# folder: what it may include besides itself. The longest name that fits a file's folder counts.
ALLOWED = {
    "support": set(),
    "archive": {"support"},
    "compat": {"support"},
    "host": {"support"},
    "settings": {"support"},
    "kernels": {"compat", "oci", "support"},
    "doctor": {"host", "linux", "support"},
    "database": {"support"},
    "linux": {"support", "oci"},  # the runtime spec's types say what to do
    "oci": {"support"},
    "facts": {"linux", "oci", "support"},
    "policy": {"compat", "oci", "support"},  # the engine asks it, the command line checks files with it
    "ttrpc": {"support"},
    "tls": {"support"},
    "http": {"tls", "support"},
    "runner": {"linux", "oci", "support"},
    "sandbox": {"archive", "facts", "oci", "support"},
    "sandbox/process": {"sandbox", "archive", "facts", "runner", "linux", "oci", "support"},
    "sandbox/vm": {"sandbox", "agent/protocol", "archive", "facts", "ttrpc", "host", "kernels", "linux", "oci", "support"},
    "agent/protocol": {"ttrpc", "oci", "support"},
    "agent/guest": {"agent/protocol", "archive", "facts", "runner", "sandbox", "sandbox/process", "ttrpc", "linux", "oci", "support"},
    "task": {"archive", "facts", "ttrpc", "support"},
    "shim": {"archive", "facts", "sandbox", "task", "ttrpc", "linux", "oci", "support"},
    "storage": {"database", "linux", "oci", "support"},
    "image": {"archive", "compat", "storage", "oci", "database", "support"},
    "network": {"database", "linux", "support"},
    "engine": {"archive", "compat", "facts", "host", "kernels", "image", "storage", "network", "policy", "task", "oci", "database", "support"},
    "api": {"archive", "engine", "facts", "kernels", "http", "image", "network", "policy", "support"},
    # What it knows of the engine is HTTP; `policy check`, `policy test` and `kernel add --into` need no engine.
    "cli": {"compat", "doctor", "http", "kernels", "policy", "tls", "support"},
    "bin": None,  # anything: the only place that names concrete classes
}
# Single headers that may cross.
EXCEPTIONS = {("engine", "runner/default_seccomp.h"), ("engine", "linux/device_nodes.h"), ("engine", "linux/idmapped_mount.h")}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def folder_of(path: pathlib.PurePath):
    """The name in the table that a file below src/ counts to, or None."""
    parts = path.parent.parts
    for length in range(len(parts), 0, -1):
        if "/".join(parts[:length]) in ALLOWED:
            return "/".join(parts[:length])
    return None


def check(source=SOURCE):
    """A list of complaints."""
    found = []
    for file in sorted(source.rglob("*.h")) + sorted(source.rglob("*.cc")):
        relative = file.relative_to(source)
        mine = folder_of(relative)
        if mine is None:
            found.append(f"src/{relative}: its folder is not in the table of tools/check_includes.py")
            continue
        text = file.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            complaint = judge(source, relative, mine, match.group(1))
            if complaint:
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"src/{relative}:{line + 1}: {complaint}")
    return found


def judge(source, relative, mine, included):
    """Why a file of folder `mine` may not include this, or None."""
    theirs = folder_of(pathlib.PurePath(included))
    if theirs is None:
        # Made by the build (protobuf), or written relative to the file: both only of the own folder.
        return None if "/" not in included or not (source / included.split("/")[0]).exists() else f"includes {included}, a folder that is not in the table"
    if ".." in included:
        return f"includes {included}: write it from src/ on"
    allowed = ALLOWED[mine]
    if allowed is None or theirs == mine or theirs in allowed or (mine, included) in EXCEPTIONS:
        return None
    return f"{mine} may not include {theirs} ({included}); it may include: {', '.join(sorted(allowed)) or 'nothing of ours'}"


def circles():
    """The table itself must have no circle."""
    done, found = set(), []

    def visit(folder, path):
        if folder in path:
            found.append("the table has a circle: " + " -> ".join(path[path.index(folder):] + [folder]))
        elif folder not in done:
            for other in sorted(ALLOWED[folder] or ()):
                visit(other, path + [folder])
            done.add(folder)

    for folder in ALLOWED:
        visit(folder, [])
    return found


if __name__ == "__main__":
    complaints = circles() + check()
    print("\n".join(complaints) if complaints else "includes point one way")
    sys.exit(bool(complaints))
