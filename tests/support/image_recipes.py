"""The test images: what is in them and how they are made.

The cache of images (images.py) is keyed by the content of this file, so a change here builds them anew.
Each image is a docker-archive tar (what `docker save` writes), made without a container engine.
"""
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SUITE = "bookworm"
DEBIAN_PACKAGES = "iproute2,iputils-ping"
BIG_PACKAGES = "python3,perl"
BUSYBOX = "/bin/busybox"


def debian_sources():
    """The address of the archive that this machine's apt uses for the suite."""
    wanted = "$(ORIGIN)\t$(CODENAME)\t$(COMPONENT)\t$(REPO_URI)"
    lines = subprocess.run(["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    for line in lines:
        origin, codename, component, address = line.split("\t")
        if (origin, codename, component) == ("Debian", SUITE, "main"):
            return address
    raise SystemExit(f"apt has no Debian {SUITE} main source (or needs 'apt-get update'): can't make the test images")


def debootstrap(folder, packages):
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", SUITE, str(folder), debian_sources()]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")
    for waste in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(folder / waste, ignore_errors=True)
        (folder / waste).mkdir(parents=True)
    (folder / "var/lib/apt/lists/partial").mkdir()
    for name in ("etc/hostname", "etc/resolv.conf"):
        (folder / name).unlink(missing_ok=True)


def tar_folder(folder, destination, only=None, exclude=()):
    """A layer of a folder (or the parts `only` of it), with owners, times, xattrs, hard links and devices."""
    command = ["tar", "--create", "--file", str(destination), "--numeric-owner", "--xattrs", "--sort=name",
               "--directory", str(folder)]
    command += [f"--exclude=./{name}" for name in exclude]
    subprocess.run(command + ([f"./{name}" for name in only] if only else ["."]), check=True)


def busybox_layer(destination):
    """busybox and a link for each of its applets, with root, nobody and a user `app` (1000) who is also in group `extra`."""
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n"
                      "nobody:x:65534:65534:nobody:/:/bin/false\n",
        "etc/group": "root:x:0:\ntty:x:5:\napp:x:1000:\nextra:x:2000:app,nobody\nnogroup:x:65534:\n",
        "etc/not-executable": "#!/bin/sh\n",
    }
    with tarfile.open(destination, "w") as layer:
        for name, mode in (("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("home", 0o755), ("home/app", 0o755),
                           ("proc", 0o755), ("root", 0o700), ("sys", 0o755), ("tmp", 0o1777), ("var", 0o755)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            if name == "home/app":
                entry.uid = entry.gid = 1000
            layer.addfile(entry)
        layer.add(BUSYBOX, "bin/busybox", filter=own_by_root)
        for name in applets:
            if name != "busybox":
                entry = tarfile.TarInfo(f"bin/{name}")
                entry.type, entry.linkname, entry.mode = tarfile.LNKTYPE, "bin/busybox", 0o755
                layer.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o644, len(content)
            layer.addfile(entry, io.BytesIO(content.encode()))


def own_by_root(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def image_config(layers, command, labels=None, **more):
    """The image's config object; `layers` are tar files, uncompressed."""
    diff_ids = ["sha256:" + file_digest(layer) for layer in layers]
    return {
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Env": [PATH], "Cmd": command, "Labels": labels or {}, **more},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": "2024-01-02T03:04:05Z", "created_by": f"layer {number}"} for number, _ in enumerate(layers)],
    }


def file_digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_docker_archive(destination, tag, layers, config):
    """`docker save` format: manifest.json names the config and the layers."""
    content = json.dumps(config).encode()
    config_name = hashlib.sha256(content).hexdigest() + ".json"
    names = [f"{number}/layer.tar" for number, _ in enumerate(layers)]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": names}]).encode()
    with tarfile.open(destination, "w") as archive:
        for name, data in ((config_name, content), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, layer in zip(names, layers):
            archive.add(layer, name)


def make_all(folder: pathlib.Path):
    """Writes busybox.tar, debian.tar and big.tar into `folder`."""
    work = folder / "work"
    work.mkdir()
    busybox_layer(work / "busybox.layer")
    write_docker_archive(folder / "busybox.tar", "busybox:1", [work / "busybox.layer"],
                         image_config([work / "busybox.layer"], ["sh"], labels={"made.by": "bulkhead-tests"}))

    debootstrap(work / "debian", DEBIAN_PACKAGES)
    tar_folder(work / "debian", work / "debian.layer")
    write_docker_archive(folder / "debian.tar", "debian:12", [work / "debian.layer"],
                         image_config([work / "debian.layer"], ["bash"]))

    # Four layers of one system, so that downloading and unpacking can overlap.
    debootstrap(work / "big", BIG_PACKAGES)
    parts = {"lib": ["usr/lib"], "bin": ["usr/bin", "usr/sbin"], "share": ["usr/share"]}
    layers = []
    taken = [name for names in parts.values() for name in names]
    tar_folder(work / "big", work / "rest.layer", exclude=taken)
    layers.append(work / "rest.layer")
    for name, folders in parts.items():
        tar_folder(work / "big", work / f"{name}.layer", only=folders)
        layers.append(work / f"{name}.layer")
    write_docker_archive(folder / "big.tar", "big:1", layers, image_config(layers, ["bash"]))
    shutil.rmtree(work)


def recipe_digest():
    """What the cached images depend on: this file, and the busybox that goes into one."""
    digest = hashlib.sha256(pathlib.Path(__file__).read_bytes())
    digest.update(file_digest(BUSYBOX).encode() if os.path.exists(BUSYBOX) else b"")
    return digest.hexdigest()[:16]
