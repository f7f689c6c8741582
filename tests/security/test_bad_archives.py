"""Archives that reach out of their folder, lie, or are no archives: for load, import and pull alike."""
import io
import json
import os
import tarfile

import pytest

from support import archives

BASE = archives.busybox_layer()


@pytest.fixture(autouse=True)
def no_half_image(docker):
    before = set(docker.ok("images", "-aq", "--no-trunc").split())
    yield
    docker("rmi", "-f", "evil:1")
    assert set(docker.ok("images", "-aq", "--no-trunc").split()) == before


@pytest.fixture
def outside(tmp_path):
    """A folder of the host that no archive may touch."""
    tmp_path.chmod(0o777)
    (tmp_path / "precious").write_text("untouched")
    yield tmp_path
    assert sorted(os.listdir(tmp_path)) == ["precious"] and (tmp_path / "precious").read_text() == "untouched"
    assert oct((tmp_path / "precious").stat().st_mode)[-3:] == "644"


def evil_layers(outside):
    up = "../" * 20
    target = str(outside)
    return {
        "dot-dot": [(f"{up}{target}/out", "x")],
        "dot-dot-inside": [("a", archives.folder()), (f"a/{up}{target}/out", "x")],
        "absolute": [(f"{target}/out", "x")],
        "through-symlink": [("link", archives.symlink(target)), ("link/out", "x")],
        "through-relative-symlink": [("link", archives.symlink(up + target)), ("link/out", "x")],
        "through-two-symlinks": [("a", archives.symlink("b")), ("b", archives.symlink(target)), ("a/out", "x")],
        "overwrite-through-symlink": [("precious", archives.symlink(f"{target}/precious")), ("precious", "changed")],
        "hardlink-to-host": [("hard", archives.hardlink(f"{target}/precious")), ("hard", "changed")],
        "hardlink-dot-dot": [("hard", archives.hardlink(f"{up}{target}/precious")), ("hard", "changed")],
        "hardlink-through-symlink": [("link", archives.symlink(target)), ("hard", archives.hardlink("link/precious")), ("hard", "changed")],
        "chmod-through-symlink": [("link", archives.symlink(f"{target}/precious")), ("link", {"type": tarfile.SYMTYPE, "linkname": f"{target}/precious", "mode": 0o777})],
        "folder-over-symlink": [("link", archives.symlink(target)), ("link", archives.folder(0o700)), ("link/out", "x")],
        "whiteout-dot-dot": [(f"{up}{target}/.wh.precious", "")],
        "whiteout-through-symlink": [("link", archives.symlink(target)), ("link/.wh.precious", "")],
        "opaque-through-symlink": [("link", archives.symlink(target)), ("link/.wh..wh..opq", "")],
        "whiteout-of-dot-dot": [(".wh...", ""), (".wh..", "")],
        "device-through-symlink": [("link", archives.symlink(target)), ("link/dev", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})],
    }


NAMES = sorted(evil_layers("/x"))


@pytest.mark.parametrize("name", NAMES)
def test_no_layer_reaches_the_host(docker, outside, name):
    """It is refused, or lands inside the image: both are fine, the host is what counts."""
    docker("load", input=archives.docker_archive("evil:1", [BASE, archives.tar(evil_layers(outside)[name])]))


@pytest.mark.parametrize("name", NAMES)
def test_no_layer_reaches_the_host_in_two_layers(docker, outside, name):
    """The link comes in one layer, what goes through it in the next."""
    entries = evil_layers(outside)[name]
    docker("load", input=archives.docker_archive("evil:1", [BASE, archives.tar(entries[:1]), archives.tar(entries[1:])]))
    docker("run", "--rm", "--network", "none", "evil:1", "true")


@pytest.mark.parametrize("name", NAMES)
def test_no_import_reaches_the_host(docker, outside, name):
    docker("import", "-", "evil:1", input=archives.tar(evil_layers(outside)[name]))


def garbage():
    right = archives.docker_archive("evil:1", [BASE])
    name = archives.digest(archives.config([BASE])).removeprefix("sha256:") + ".json"

    def with_manifest(manifest, *files):
        return archives.tar([("manifest.json", manifest if isinstance(manifest, (str, bytes)) else json.dumps(manifest)), *files])

    def entry(**changes):
        return [{"Config": name, "RepoTags": ["evil:1"], "Layers": ["0/layer.tar"], **changes}]

    config = (name, archives.config([BASE]))
    return {
        "text": b"this is no archive", "cut": right[:len(right) // 2], "cut-in-header": right[:700],
        "gzip-garbage": b"\x1f\x8b\x08\0" + b"x" * 1000, "no-manifest": archives.tar([("x", "y")]), "manifest-not-json": with_manifest("{"),
        "manifest-wrong-type": with_manifest({"a": 1}), "manifest-null": with_manifest("null"), "no-config": with_manifest(entry()),
        "no-layer": with_manifest(entry(), config), "config-outside": with_manifest(entry(Config="../../../../etc/passwd"), ("0/layer.tar", BASE)),
        "layer-outside": with_manifest(entry(Layers=["../../../../etc/passwd"]), config), "absolute-layer": with_manifest(entry(Layers=["/etc/passwd"]), config),
        "layer-is-symlink": with_manifest(entry(), config, ("0/layer.tar", archives.symlink("/etc/passwd"))),
        "wrong-layer": with_manifest(entry(), config, ("0/layer.tar", archives.tar([("other", "x")]))),
        "layer-count": with_manifest(entry(Layers=["0/layer.tar", "0/layer.tar"]), config, ("0/layer.tar", BASE)),
        "config-not-json": with_manifest(entry(Config="c.json"), ("c.json", "{"), ("0/layer.tar", BASE)),
        "bad-tag": with_manifest(entry(RepoTags=["UPPER CASE"]), config, ("0/layer.tar", BASE)),
    }


@pytest.mark.parametrize("name", sorted(garbage()))
def test_archives_that_are_none(docker, api, name):
    """An error at the client, never a crash or a half image."""
    result = docker("load", input=garbage()[name])
    if name not in ("bad-tag",):
        # The reference takes some of these for an empty archive and says nothing; an image must not come of it.
        assert result.code != 0 or "Loaded image" not in result.out, result


@pytest.mark.bulkhead_only
@pytest.mark.parametrize("name", sorted(garbage()))
def test_each_says_what_is_wrong(docker, name):
    result = docker("load", input=garbage()[name])
    assert result.code == 1 and len(result.err.strip()) > 10, result


@pytest.mark.parametrize("data", [b"", b"no tar", b"\x1f\x8b\x08\0nonsense", BASE[:5000]], ids=["empty", "text", "gzip", "cut"])
def test_imports_that_are_no_archives(docker, data):
    result = docker("import", "-", "evil:1", input=data)
    assert result.code != 0 or data == b"", result


def test_a_bomb_is_stopped_or_fits(docker, engine):
    """2 GB of zeros in 2 MB: it may be unpacked (sparse), but it must end."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        entry = tarfile.TarInfo("big")
        entry.size = 300 << 20
        archive.addfile(entry, io.BytesIO(b"\0" * entry.size))
    result = docker("load", input=archives.COMPRESSORS["gzip"](archives.docker_archive("evil:1", [layer.getvalue()])), timeout=120)
    assert result.code in (0, 1)


def test_a_million_entries_deep(docker):
    deep = archives.tar([("/".join(["d"] * 2000) + "/f", "x")])
    assert docker("load", input=archives.docker_archive("evil:1", [BASE, deep])).code in (0, 1)


def test_config_that_asks_for_much(docker):
    """The image's own config is hostile input too: user, working folder, environment, volumes, ports of the wrong kind."""
    for changes in ({"User": "../../etc"}, {"WorkingDir": "../../.."}, {"Env": ["=", "x", "PATH"]}, {"Cmd": "text"}, {"Entrypoint": [5]}, {"Volumes": {"../../x": {}}},
                    {"ExposedPorts": {"x/y": {}}}, {"StopSignal": "NOSUCH"}, {"Labels": {"a": 5}}):
        docker("load", input=archives.docker_archive("evil:1", [BASE], archives.config([BASE], config={"Cmd": ["sh"], **changes})))
        result = docker("run", "--rm", "--network", "none", "evil:1", "/bin/true", timeout=30)
        assert result.code in (0, 1, 125, 126, 127), (changes, result)
        docker("rmi", "-f", "evil:1")


@pytest.mark.bulkhead_only  # the reference opens the fifo and waits, for ever and for all
def test_passwd_of_the_image_is_hostile_too(docker):
    """Links out of the root, huge and binary files where users are looked up."""
    for etc in ([("etc", archives.symlink("/../../../../etc"))], [("etc/passwd", archives.symlink("/proc/self/environ"))],
                [("etc/passwd", b"\0" * 100_000)], [("etc/passwd", b"app:x:99999999999999:1:::\n")], [("etc/passwd", {"type": tarfile.FIFOTYPE})],
                [("etc/passwd", archives.folder())], [("etc/passwd", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5})]):
        docker("load", input=archives.docker_archive("evil:1", [BASE, archives.tar(etc)]))
        result = docker("run", "--rm", "--network", "none", "--user", "app", "evil:1", "/bin/true", timeout=30)
        assert result.code in (0, 125, 126), (etc, result)
        docker("rmi", "-f", "evil:1")
