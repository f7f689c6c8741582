#!/usr/bin/env python3
"""The cache of test images: made once per machine, by the recipe's content, outside the clone.

Each version is a folder <cache>/images/<recipe digest>/ with busybox.tar, debian.tar, big.tar (docker-archive) and
registry/ (the data folder of a docker-registry that holds all three: they are pushed once). Run as a program it fills the
cache and prints the folder.
"""
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import image_recipes
from support.registry import Registry

IMAGES = {"busybox:1": "busybox.tar", "debian:12": "debian.tar", "big:1": "big.tar"}


def cache_root() -> pathlib.Path:
    return pathlib.Path(os.environ.get("BULKHEAD_CACHE") or "/var/cache/bulkhead")


def image_folder() -> pathlib.Path:
    """The folder of the current recipe; builds it first where it is missing."""
    root = cache_root() / "images"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / image_recipes.recipe_digest()
    with open(root / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            build(root, folder)
    return folder


def build(root: pathlib.Path, folder: pathlib.Path):
    print("making the test images (once per machine) ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    for old in root.glob(".new-*"):  # of a build that was killed; the lock says that none is running
        shutil.rmtree(old, ignore_errors=True)
    fresh = pathlib.Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    try:
        image_recipes.make_all(fresh)
        push_all(fresh)
        (fresh / "complete").touch()
        fresh.chmod(0o755)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def push_all(folder: pathlib.Path):
    with Registry(folder / "registry", writable=True) as registry:
        for name, archive in IMAGES.items():
            subprocess.run(["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false",
                            f"docker-archive:{folder / archive}", f"docker://{registry.address}/{name}"], check=True)


if __name__ == "__main__":
    print(image_folder())
