"""docker load, import, save: archives of both formats, and every odd thing that a layer can hold."""
import io
import subprocess
import tarfile

import pytest

from support import archives

BASE = archives.busybox_layer()


@pytest.fixture
def load(docker):
    """Loads an archive given as bytes; what it made is removed at the end."""
    loaded = []

    def run(data, tag=None):
        out = docker.ok("load", input=data)
        if tag:
            loaded.append(tag)
            assert f"Loaded image: {tag}" in out
        return out

    yield run
    for tag in loaded:
        docker("rmi", "-f", tag)


def sh(docker, image, script):
    return docker.ok("run", "--rm", "--network", "none", image, "sh", "-c", script)


def test_docker_archive(docker, load):
    load(archives.docker_archive("loaded:1", [BASE, archives.tar([("hello", "there\n")])]), "loaded:1")
    assert sh(docker, "loaded:1", "cat /hello") == "there"


@pytest.mark.bulkhead_only  # dockerd 20.10 reads only its own format
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_oci_layout(docker, load, compression):
    load(archives.oci_layout("layout:1", [BASE, archives.tar([("hello", "there\n")])], compression), "layout:1")
    assert sh(docker, "layout:1", "cat /hello") == "there"


def test_compressed_archive(docker, load):
    load(archives.COMPRESSORS["gzip"](archives.docker_archive("packed:1", [BASE])), "packed:1")
    assert sh(docker, "packed:1", "echo runs") == "runs"


def test_twice_is_the_same_image(docker, load):
    data = archives.docker_archive("twice:1", [BASE])
    load(data, "twice:1")
    first = docker.format("twice:1", "{{.Id}}")
    load(data, "twice:1")
    assert docker.format("twice:1", "{{.Id}}") == first


def test_without_a_tag(docker, load):
    content = archives.config([BASE], author="nobody")
    out = load(archives.docker_archive(None, [BASE], content))
    number = archives.digest(content)
    assert f"Loaded image ID: {number}" in out
    assert docker.ok("rmi", number)


def test_load_by_file(docker, tmp_path):
    (tmp_path / "a.tar").write_bytes(archives.docker_archive("file:1", [BASE]))
    assert "Loaded image: file:1" in docker.ok("load", "-i", tmp_path / "a.tar")
    docker.ok("rmi", "file:1")


def layered(docker, load, *layers):
    """An image of the base and these layers (lists of entries)."""
    load(archives.docker_archive("odd:1", [BASE, *map(archives.tar, layers)]), "odd:1")
    return "odd:1"


def test_whiteout_of_a_file(docker, load):
    image = layered(docker, load, [("d", archives.folder()), ("d/gone", "x"), ("d/stays", "y")], [("d/.wh.gone", "")])
    assert sh(docker, image, "ls -A /d") == "stays"


def test_whiteout_of_a_folder_and_new_content(docker, load):
    image = layered(docker, load, [("d", archives.folder()), ("d/old", "x")], [(".wh.d", "")], [("d", archives.folder()), ("d/new", "z")])
    assert sh(docker, image, "ls -A /d") == "new"


def test_opaque_folder(docker, load):
    image = layered(docker, load, [("d", archives.folder()), ("d/old", "x"), ("d/sub", archives.folder()), ("d/sub/f", "")],
                    [("d", archives.folder()), ("d/.wh..wh..opq", ""), ("d/new", "y")])
    assert set(sh(docker, image, "find /d").split()) == {"/d", "/d/new"}


def test_opaque_marker_after_the_new_files(docker, load):
    image = layered(docker, load, [("d", archives.folder()), ("d/old", "x")], [("d", archives.folder()), ("d/new", "y"), ("d/.wh..wh..opq", "")])
    assert sh(docker, image, "ls -A /d") == "new"


def test_file_becomes_folder_and_back(docker, load):
    image = layered(docker, load, [("a", "file"), ("b", archives.folder()), ("b/x", "")], [("a", archives.folder()), ("a/y", ""), ("b", "file")])
    assert sh(docker, image, "ls /a; cat /b") == "y\nfile"


def test_hard_links(docker, load):
    image = layered(docker, load, [("one", "same"), ("two", archives.hardlink("one")), ("three", archives.hardlink("two"))])
    assert sh(docker, image, "cat /one /two /three; stat -c %h /two") == "samesamesame3"


def test_hard_link_to_a_file_of_a_lower_layer(docker, load):
    image = layered(docker, load, [("one", "same")], [("one", "same"), ("two", archives.hardlink("one"))])
    assert sh(docker, image, "cat /two") == "same"


def test_symlinks_and_modes(docker, load):
    image = layered(docker, load, [("abs", archives.symlink("/bin/busybox")), ("dangling", archives.symlink("/no/where")),
                                   ("suid", {"mode": 0o4755, "content": b"x"}), ("sticky", archives.folder(0o1777)), ("none", {"mode": 0, "content": b""})])
    assert sh(docker, image, "readlink /abs; readlink /dangling; stat -c %a /suid /sticky /none").split() == ["/bin/busybox", "/no/where", "4755", "1777", "0"]


def test_owners_and_times(docker, load):
    image = layered(docker, load, [("f", {"uid": 1234, "gid": 70000, "mtime": 1000000000, "content": b"x"}), ("d", {**archives.folder(), "mtime": 1000000001}), ("d/x", "")])
    assert sh(docker, image, "stat -c '%u %g %Y' /f; stat -c %Y /d").split() == ["1234", "70000", "1000000000", "1000000001"]


def test_xattrs(docker, load):
    # security.capability (cap_net_raw=ep, version 2), and a user attribute
    capability = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00".decode("latin-1")
    image = layered(docker, load, [("bin/capable", {"mode": 0o755, "content": open("/bin/busybox", "rb").read(), "pax_headers": {
        "SCHILY.xattr.security.capability": capability}}), ("bin/grep", archives.symlink("capable"))])
    out = docker.ok("run", "--rm", "--network", "none", "--user", "1000", image, "/bin/grep", "CapEff", "/proc/self/status")
    assert out.split()[1] == "0000000000002000"


def test_device_nodes_and_fifos(docker, load):
    image = layered(docker, load, [("zero", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5, "mode": 0o666}), ("pipe", {"type": tarfile.FIFOTYPE, "mode": 0o600})])
    assert sh(docker, image, "stat -c '%F %t %T' /zero; stat -c %F /pipe").splitlines() == ["character special file 1 5", "fifo"]


def test_long_names(docker, load):
    deep = "/".join(["long" * 20] * 8)
    image = layered(docker, load, [(deep + "/" + "n" * 250, "found\n"), ("link", archives.symlink("t" * 300))])
    assert sh(docker, image, f"cat /{deep}/{'n' * 250}; readlink /link | wc -c").split() == ["found", "301"]


def test_names_that_are_not_utf8(docker, load):
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        entry = tarfile.TarInfo("caf\xe9")
        entry.size, entry.mode = 3, 0o644
        archive.addfile(entry, io.BytesIO(b"ok\n"))
    load(archives.docker_archive("odd:1", [BASE, layer.getvalue()]), "odd:1")
    assert sh(docker, "odd:1", "cat /caf*; ls -d /caf* | od -An -tx1").split()[:1] == ["ok"]


def test_names_in_utf8(docker, load):
    assert sh(docker, layered(docker, load, [("ünï/日本", "ok")]), "cat /ünï/日本") == "ok"


def test_a_folder_that_nobody_wrote_down_is_made(docker, load):
    assert sh(docker, layered(docker, load, [("not/written/down", "ok")]), "cat /not/written/down; stat -c %a /not") == "ok755"


def test_large_and_sparse_file(docker, load):
    image = layered(docker, load, [("big", b"\0" * (30 << 20) + b"end")])
    assert sh(docker, image, "wc -c </big") == str((30 << 20) + 3)


@pytest.mark.bulkhead_only  # "unhandled tar header type 83" there
def test_gnu_sparse_file(docker, load, tmp_path):
    with open(tmp_path / "hole", "wb") as file:
        file.seek(50 << 20)
        file.write(b"end")
    data = subprocess.run(["tar", "--sparse", "-C", tmp_path, "-c", "hole"], capture_output=True, check=True).stdout
    assert len(data) < 1 << 20
    load(archives.docker_archive("odd:1", [BASE, data]), "odd:1")
    assert sh(docker, "odd:1", "wc -c </hole") == str((50 << 20) + 3)


@pytest.mark.bulkhead_only  # "duplicates of file paths not supported" there
def test_the_same_entry_twice_the_last_wins(docker, load):
    assert sh(docker, layered(docker, load, [("f", "first"), ("f", "second")]), "cat /f") == "second"


def test_layers_are_shared(docker, load):
    load(archives.docker_archive("share:1", [BASE, archives.tar([("a", "1")])]), "share:1")
    load(archives.docker_archive("share:2", [BASE, archives.tar([("a", "2")])]), "share:2")
    one, two = (docker.inspect(name, "image")["RootFS"]["Layers"] for name in ("share:1", "share:2"))
    assert one[0] == two[0] and one[1] != two[1]
    docker.ok("rmi", "share:1")
    assert sh(docker, "share:2", "cat /a") == "2"


def test_import(docker, tmp_path):
    (tmp_path / "root.tar").write_bytes(BASE)
    number = docker.ok("import", "--change", "CMD [\"sh\"]", "--change", "ENV A=b", "--message", "made by hand", tmp_path / "root.tar", "imported:1")
    assert number.startswith("sha256:")
    assert sh(docker, "imported:1", "echo $A") == "b"
    assert docker.inspect("imported:1", "image")["Config"]["Cmd"] == ["sh"]
    docker.ok("rmi", "imported:1")


def test_import_from_stdin(docker):
    docker.ok("import", "-", "piped:1", input=BASE)
    assert docker.ok("run", "--rm", "piped:1", "/bin/echo", "runs") == "runs"
    docker.ok("rmi", "piped:1")
