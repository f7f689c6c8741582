#!/usr/bin/python3
"""clang-tidy over the translation units of one build, remembering what was clean.

A unit is read again only when its text, a header of ours that it includes, its compile command or .clang-tidy changed. The
memory is in ${BULKHEAD_CACHE}/tidy: one empty file for each clean unit, named by the hash of all that.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def compile_commands():
    for preset in ("release", "dev"):
        path = ROOT / "build" / preset / "compile_commands.json"
        if path.exists():
            entries = json.loads(path.read_text())
            return path.parent, {pathlib.Path(entry["file"]): entry["command"] for entry in entries}
    sys.exit("tidy: nothing is configured yet: run './dev build' first")


def our_headers(file, known):
    """Every header of ours that a file reaches."""
    if file in known:
        return known[file]
    known[file] = {file}
    for name in INCLUDE.findall(file.read_bytes()):
        for base in (ROOT / "src", ROOT / "tests", file.parent, ROOT):
            header = base / name.decode()
            if header.exists():
                known[file] |= our_headers(header.resolve(), known)
                break
    return known[file]


def key(file, command, known):
    # Wherever the clone lies: what was read in one is known in all.
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes() + command.replace(str(ROOT), "").encode())
    for part in sorted(our_headers(file, known)):
        digest.update(str(part.relative_to(ROOT)).encode() + part.read_bytes())
    return digest.hexdigest()


def changed_files():
    """What differs from the remote's main; where nothing does (main itself), what the last 20 commits touched."""
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.split()

    base = git("merge-base", "HEAD", "origin/main")
    if not base or base == git("rev-parse", "HEAD"):
        base = git("rev-list", "--max-count=20", "HEAD")[-1:]
    names = git("diff", "--name-only", *base) + git("ls-files", "--others", "--exclude-standard")
    return {ROOT / name for name in names}


def run(build, file):
    done = subprocess.run(["clang-tidy", "--quiet", "--extra-arg=-Wno-unknown-warning-option", "-p", str(build), str(file)], capture_output=True, text=True, cwd=ROOT)
    return file, done.returncode, done.stdout + (done.stderr if done.returncode else "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--changed", action="store_true")
    options = parser.parse_args()
    build, commands = compile_commands()
    memory = pathlib.Path(os.environ.get("BULKHEAD_CACHE") or "/var/cache/bulkhead") / "tidy"
    memory.mkdir(parents=True, exist_ok=True)
    units = [file for file in commands if ROOT in file.parents and "build" not in file.relative_to(ROOT).parts]
    known = {}
    if not options.all:
        changed = changed_files()
        units = [file for file in units if file in changed]
    keys = {file: key(file, commands[file], known) for file in units}
    todo = [file for file in units if not (memory / keys[file]).exists()]
    print(f"tidy: {len(units)} files, {len(todo)} to read")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, code, text in pool.map(lambda unit: run(build, unit), todo):
            if code == 0:
                (memory / keys[file]).touch()
            else:
                failed += 1
                print(f"{file.relative_to(ROOT)}:\n{text.strip()}", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
