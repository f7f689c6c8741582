"""Debian's busybox-static for another architecture: fetched once per machine, by an apt with folders of its own, so that the
machine's own apt stays as it is."""
import fcntl
import pathlib
import subprocess
import tempfile

from support import image_recipes, images

DEBIAN_NAMES = {"arm64": "arm64", "arm": "armhf", "386": "i386", "s390x": "s390x", "ppc64le": "ppc64el"}


def foreign_busybox(architecture: str) -> pathlib.Path:
    folder = images.cache_root() / "foreign" / architecture
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "busybox").exists():
            with tempfile.TemporaryDirectory(dir=folder) as work:
                fetch(pathlib.Path(work), DEBIAN_NAMES[architecture]).rename(folder / "busybox")
    return folder / "busybox"


def fetch(work: pathlib.Path, architecture: str) -> pathlib.Path:
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (work / "sources.list").write_text(
        f"deb [signed-by={keyring}] {image_recipes.debian_sources()} {image_recipes.SUITE} main\n", encoding="utf-8")
    options = {"APT::Architecture": architecture, "APT::Architectures": architecture, "APT::Sandbox::User": "root",
               "Dir::State::Lists": work / "lists", "Dir::Cache": work / "cache", "Dir::Etc::sourcelist": work / "sources.list",
               "Dir::Etc::sourceparts": "-"}
    apt = ["apt-get", "-qq"] + [f"-o{name}={value}" for name, value in options.items()]
    for command in ([*apt, "update"], [*apt, "download", "busybox-static"]):
        subprocess.run(command, cwd=work, check=True, capture_output=True)
    subprocess.run(["dpkg-deb", "--extract", *map(str, work.glob("*.deb")), "unpacked"], cwd=work, check=True)
    return next(path for path in (work / "unpacked").rglob("busybox") if path.is_file() and path.parent.name == "bin")
