"""docker cp: files into and out of containers, running or not."""
import base64
import contextlib
import io
import json
import os
import socket
import tarfile
import time
import urllib.parse

import pytest

from support.api import UnixConnection
from support.client import wait_until

IMAGE = "busybox:1"


def sh(docker, container, script):
    return docker.ok("exec", container, "sh", "-c", script)


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("from the host\n")
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/a").write_text("a\n")
    (tmp_path / "tree/b").write_text("b\n")
    (tmp_path / "tree/link").symlink_to("deep/a")
    return tmp_path


@pytest.fixture
def stopped(docker):
    return docker.ok("create", IMAGE, "sleep", "100")


def archive_of(*members):
    """(name, content or None for a folder, attributes) as the bytes of a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, attributes in members:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            entry.mode = 0o755 if content is None else 0o644
            entry.size = len(content or b"")
            for key, value in attributes.items():
                setattr(entry, key, value)
            tar.addfile(entry, io.BytesIO(content or b""))
    return out.getvalue()


def put(api, container, path, archive, **query):
    target = f"/v1.41/containers/{container}/archive?" + urllib.parse.urlencode({"path": path, **query})
    return api.request("PUT", target, archive, headers={"Content-Type": "application/x-tar"})


def get(api, container, path, method="GET"):
    return api.request(method, f"/v1.41/containers/{container}/archive?" + urllib.parse.urlencode({"path": path}))


def names_in(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name for member in tar}


def test_a_file_in_and_out(docker, container, folder):
    docker.ok("cp", folder / "file", f"{container}:/tmp/new")
    assert sh(docker, container, "cat /tmp/new; stat -c %a /tmp/new") == "from the host\n644"
    docker.ok("cp", f"{container}:/tmp/new", folder / "back")
    assert (folder / "back").read_text() == "from the host\n"


def test_a_file_into_a_folder(docker, container, folder):
    docker.ok("cp", folder / "file", f"{container}:/tmp")
    docker.ok("cp", folder / "file", f"{container}:/tmp/")
    assert sh(docker, container, "cat /tmp/file") == "from the host"


def test_a_large_file_both_ways(docker, container, folder):
    data = os.urandom(8_000_001)
    (folder / "large").write_bytes(data)
    docker.ok("cp", folder / "large", f"{container}:/tmp/large")
    docker.ok("cp", f"{container}:/tmp/large", folder / "back")
    assert (folder / "back").read_bytes() == data


def test_a_folder_in_and_out(docker, container, folder):
    docker.ok("cp", folder / "tree", f"{container}:/tmp")
    assert sh(docker, container, "cd /tmp/tree; cat deep/a b link; readlink link").split() == ["a", "b", "a", "deep/a"]
    docker.ok("cp", folder / "tree", f"{container}:/tmp/renamed")
    assert sh(docker, container, "ls /tmp/renamed").split() == ["b", "deep", "link"]
    docker.ok("cp", f"{container}:/tmp/tree", folder / "out")
    assert (folder / "out/deep/a").read_text() == "a\n" and os.readlink(folder / "out/link") == "deep/a"


def test_the_content_of_a_folder(docker, container, folder):
    sh(docker, container, "mkdir /tmp/to")
    docker.ok("cp", f"{folder}/tree/.", f"{container}:/tmp/to")
    assert sh(docker, container, "ls /tmp/to").split() == ["b", "deep", "link"]
    (folder / "out").mkdir()
    docker.ok("cp", f"{container}:/tmp/to/.", folder / "out")
    assert sorted(os.listdir(folder / "out")) == ["b", "deep", "link"]


def test_a_stopped_container(docker, stopped, folder):
    docker.ok("cp", folder / "tree", f"{stopped}:/tmp/tree")
    docker.ok("cp", f"{stopped}:/etc/passwd", folder / "passwd")
    assert "root:" in (folder / "passwd").read_text()
    docker.ok("start", stopped)
    assert sh(docker, stopped, "cat /tmp/tree/deep/a; touch /tmp/left") == "a"
    docker.ok("kill", stopped)
    docker.ok("wait", stopped)
    docker.ok("cp", f"{stopped}:/tmp/left", folder / "left")
    assert (folder / "left").read_bytes() == b"" and docker.ok("inspect", "-f", "{{.State.Status}}", stopped) == "exited"


def test_a_stopped_container_of_another_user_and_folder(docker, folder):
    name = docker.ok("create", "-u", "nobody-knows", "-w", "/no/such", "--tmpfs", "/t", "--read-only", "--network", "none", IMAGE, "no-such-command")
    docker.ok("cp", f"{name}:/etc/passwd", folder / "passwd")
    assert "root:" in (folder / "passwd").read_text()


def test_standard_output_and_input(docker, container, folder):
    out = docker.start("cp", f"{container}:/etc/passwd", "-", text=False)
    archive, _ = out.communicate(timeout=60)
    assert out.returncode == 0 and names_in(archive) == {"passwd"}
    it = docker.start("cp", "-", f"{container}:/tmp", text=False)
    it.communicate(archive_of(("x", None, {}), ("x/y", b"piped", {})), timeout=60)
    assert it.returncode == 0 and sh(docker, container, "cat /tmp/x/y") == "piped"


def test_owner_mode_and_time(docker, api, container):
    archive = archive_of(("f", b"x", {"uid": 1234, "gid": 77, "mode": 0o4751, "mtime": 1_500_000_000}), ("d", None, {"uid": 5, "mode": 0o1777}))
    assert put(api, container, "/tmp", archive).status == 200
    assert sh(docker, container, "stat -c '%u:%g %a %Y' /tmp/f; stat -c '%u %a' /tmp/d").splitlines() == ["1234:77 4751 1500000000", "5 1777"]
    answer = get(api, container, "/tmp/f")
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        seen = tar.getmember("f")
        assert (seen.uid, seen.gid, seen.mode & 0o7777, seen.mtime) == (1234, 77, 0o4751, 1_500_000_000)


def test_ownership_by_the_client(docker, container, folder):
    os.chown(folder / "file", 4321, 4322)
    docker.ok("cp", folder / "file", f"{container}:/tmp/plain")
    docker.ok("cp", "-a", folder / "file", f"{container}:/tmp/archived")
    assert sh(docker, container, "stat -c %u:%g /tmp/plain /tmp/archived").split() == ["4321:4322", "4321:4322"]


def test_hard_links_stay_links(docker, api, container):
    sh(docker, container, "mkdir /tmp/h; echo x >/tmp/h/a; ln /tmp/h/a /tmp/h/b")
    archive = get(api, container, "/tmp/h").body
    sh(docker, container, "mkdir /tmp/again")
    assert put(api, container, "/tmp/again", archive).status == 200
    assert sh(docker, container, "stat -c %h /tmp/again/h/a /tmp/again/h/b").split() == ["2", "2"]


def test_links_are_followed_where_asked(docker, container, folder):
    sh(docker, container, "echo real >/tmp/real; ln -s real /tmp/link; ln -s /tmp /way")
    docker.ok("cp", f"{container}:/tmp/link", folder / "link")
    assert os.readlink(folder / "link") == "real"
    docker.ok("cp", "-L", f"{container}:/tmp/link", folder / "followed")
    assert (folder / "followed").read_text() == "real\n"
    docker.ok("cp", folder / "file", f"{container}:/way/through")
    docker.ok("cp", folder / "file", f"{container}:/way")
    assert sh(docker, container, "cat /tmp/through; cat /tmp/file").splitlines() == ["from the host"] * 2


def test_links_lead_out_of_no_container(docker, api, container, folder):
    """CVE-2018-15664 and its kin, with links that stand still; archive/file_work_test.cc swaps them meanwhile."""
    secret = folder / "secret"
    secret.write_text("of the host")
    secret.chmod(0o644)
    up = "../" * 20
    sh(docker, container, f"ln -s {folder} /absolute; ln -s {up}{folder} /up; ln -s {secret} /tmp/s; ln -s /proc/1/root /root1; ln -s /proc/self/cwd /cwd")
    for path in ("/absolute/secret", "/up/secret", "/tmp/s/.", f"/root1{secret}", f"/cwd{secret}", f"/../../..{secret}", f"/root1/{up}{secret}"):
        assert get(api, container, path).status in (400, 404, 500), path
        assert get(api, container, path, "HEAD").status in (400, 404, 500), path
    for path in ("/absolute", "/up", "/root1", "/cwd"):
        put(api, container, path, archive_of(("evil", b"x", {})))
    put(api, container, "/", archive_of(("absolute/evil", b"x", {})))
    put(api, container, "/tmp", archive_of(("../../../../../../../../" + str(folder)[1:] + "/evil", b"x", {})))
    assert not (folder / "evil").exists() and secret.read_text() == "of the host"
    assert put(api, container, "/tmp", archive_of(("s", b"mine", {}))).status == 200
    assert secret.read_text() == "of the host" and sh(docker, container, "cat /tmp/s") == "mine"


def test_a_folder_that_is_swapped_for_a_link_meanwhile(docker, api, folder):
    """CVE-2018-15664: a process of the container turns a folder into a link to the host's while it is copied through."""
    host = folder / "of-the-host"
    host.mkdir(mode=0o700)
    (host / "secret").write_text("of the host")
    name = docker.ok("run", "-d", IMAGE, "sh", "-c",
                     f"mkdir -p {folder}; while :; do mkdir -p /x/d; echo inside >/x/d/secret; rm -rf /x/d; ln -s {host} /x/d; rm -f /x/d; done 2>/dev/null")
    archive = archive_of(("d", None, {"mode": 0o777, "uid": 7}), *((f"d/{number}", b"evil", {}) for number in range(20)))
    for _ in range(40):
        put(api, name, "/x", archive)
        put(api, name, "/x/d", archive)
        for path in ("/x/d/secret", "/x", "/x/d/."):
            answer = get(api, name, path)
            assert b"of the host" not in answer.body
    assert os.listdir(host) == ["secret"] and (host.stat().st_mode & 0o777, host.stat().st_uid) == (0o700, 0)


def test_what_is_missing(docker, container, folder):
    docker.fails("cp", f"{container}:/no/such", folder / "x", code=1, match="(?i)could not find the file /no/such in container|No such container:path")
    docker.fails("cp", folder / "file", f"{container}:/no/such/place", code=1, match="(?i)could not find the file /no/such|No such container:path")
    docker.fails("cp", "nobody:/etc/passwd", folder / "x", code=1, match="No such container")
    docker.fails("cp", folder / "file", "nobody:/tmp", code=1, match="No such container")
    docker.fails("cp", folder / "file", f"{container}:/etc/passwd/x", code=1)


def test_errors_of_the_api(api, docker, container):
    assert get(api, container, "").status == 400
    answer = get(api, container, "/no/such")
    assert answer.status == 404 and answer.message.lower() == f"could not find the file /no/such in container {container}"
    assert get(api, "nobody", "/").status == 404 and "No such container: nobody" in get(api, "nobody", "/").message
    assert get(api, container, "/no/such", "HEAD").status == 404
    answer = put(api, container, "/no/such", archive_of(("x", b"x", {})))
    assert answer.status == 404 and "/no/such" in answer.message
    answer = put(api, container, "/etc/passwd", archive_of(("x", b"x", {})))
    assert answer.status in (400, 500) and "extraction point is not a directory" in answer.message


def test_stat_header(api, docker, container):
    sh(docker, container, "mkdir -m 1777 /tmp/d; echo 12345 >/tmp/f; chmod 640 /tmp/f; ln -s ../tmp/f /tmp/l")

    def seen(path):
        answer = get(api, container, path, "HEAD")
        assert answer.status == 200
        return json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))

    assert {key: seen("/tmp/f")[key] for key in ("name", "size", "mode", "linkTarget")} == {"name": "f", "size": 6, "mode": 0o640, "linkTarget": ""}
    assert seen("/tmp/d")["mode"] == 0o777 | 1 << 31 | 1 << 20
    assert seen("/tmp/l")["mode"] & 1 << 27 and seen("/tmp/l")["linkTarget"] == "/tmp/f"
    assert seen("/")["name"] == "/"
    assert json.loads(base64.b64decode(get(api, container, "/tmp/f").headers["X-Docker-Container-Path-Stat"]))["name"] == "f"


def test_names_in_the_archive(api, docker, container):
    sh(docker, container, "mkdir -p /tmp/d/e; touch /tmp/d/f")
    assert names_in(get(api, container, "/tmp/d").body) == {"d", "d/e", "d/f"}
    assert names_in(get(api, container, "/tmp/d/").body) == {"d", "d/e", "d/f"}
    assert names_in(get(api, container, "/tmp/d/.").body) == {".", "./e", "./f"}
    sh(docker, container, "ln -s d /tmp/l")
    assert names_in(get(api, container, "/tmp/l/").body) == {"l", "l/e", "l/f"}


def test_no_folder_by_a_file_nor_the_reverse(api, docker, container, folder):
    sh(docker, container, "mkdir /tmp/d; touch /tmp/d/inside /tmp/f")
    answer = put(api, container, "/tmp", archive_of(("d", b"x", {})), noOverwriteDirNonDir=1)
    assert answer.status in (400, 500) and "cannot overwrite directory" in answer.message
    answer = put(api, container, "/tmp", archive_of(("f", None, {})), noOverwriteDirNonDir="true")
    assert answer.status in (400, 500) and "cannot overwrite non-directory" in answer.message
    assert sh(docker, container, "ls /tmp/d") == "inside"
    assert put(api, container, "/tmp", archive_of(("d", b"x", {}))).status == 200
    assert sh(docker, container, "cat /tmp/d") == "x"
    docker.fails("cp", folder / "tree", f"{container}:/tmp/f", code=1, match="cannot")


def test_a_read_only_root(docker, folder):
    name = docker.ok("run", "-d", "--read-only", "-v", f"{folder}:/m", "-v", f"{folder}/tree:/ro:ro", IMAGE, "sleep", "100")
    docker.fails("cp", folder / "file", f"{name}:/tmp/x", code=1, match="container rootfs is marked read-only")
    docker.fails("cp", folder / "file", f"{name}:/ro/x", code=1, match="mounted volume is marked read-only")
    docker.ok("cp", folder / "file", f"{name}:/m/through")
    assert (folder / "through").read_text() == "from the host\n" and not (folder / "tree/x").exists()
    docker.ok("cp", f"{name}:/ro/b", folder / "b")
    docker.ok("kill", name)
    docker.ok("wait", name)
    docker.fails("cp", folder / "file", f"{name}:/tmp/x", code=1, match="container rootfs is marked read-only")
    docker.ok("cp", folder / "file", f"{name}:/m/later")
    assert (folder / "later").read_text() == "from the host\n"


@pytest.mark.bulkhead_only  # dockerd looks beneath them
def test_a_tmpfs_of_a_running_container(docker, folder):
    name = docker.ok("run", "-d", "--tmpfs", "/t", IMAGE, "sleep", "100")
    docker.ok("cp", folder / "file", f"{name}:/t/x")
    assert sh(docker, name, "cat /t/x; echo back >/t/y") == "from the host"
    docker.ok("cp", f"{name}:/t/y", folder / "y")
    assert (folder / "y").read_text() == "back\n"


def test_the_whole_root(api, docker, container):
    """The kernel's own file systems are empty folders in it."""
    names = names_in(get(api, container, "/").body)
    assert any(name.strip("/") == "etc/passwd" for name in names) and any(name.strip("/") == "proc" for name in names)
    assert not [name for name in names if name.strip("/").startswith(("proc/", "sys/"))]


@pytest.mark.bulkhead_only  # dockerd looks at the root without them
def test_nothing_of_proc_and_sys(api, docker, container):
    for path in ("/proc/1/environ", "/proc", "/sys/kernel"):
        answer = get(api, container, path)
        assert answer.status == 501 and "use exec" in answer.message, answer
    assert put(api, container, "/proc/1", archive_of(("x", b"x", {}))).status == 501
    assert put(api, container, "/", archive_of(("proc/x", b"x", {}))).status == 501
    assert put(api, container, "/", archive_of(("proc", None, {"mode": 0o700, "uid": 7}))).status == 200
    assert sh(docker, container, "stat -c %u:%a /proc") == "0:555"


def test_special_files(api, docker, container):
    """No FIFO is waited for, no device is read."""
    sh(docker, container, "mkdir /tmp/s; mkfifo /tmp/s/fifo; mknod /tmp/s/zero c 1 5; echo x >/tmp/s/x")
    with tarfile.open(fileobj=io.BytesIO(get(api, container, "/tmp/s").body)) as tar:
        kinds = {member.name: member.type for member in tar}
    assert kinds == {"s": tarfile.DIRTYPE, "s/fifo": tarfile.FIFOTYPE, "s/zero": tarfile.CHRTYPE, "s/x": tarfile.REGTYPE}


def test_a_broken_archive(api, docker, container):
    archive = archive_of(("a", b"x" * 3000, {}), ("b", b"x", {}))
    answer = put(api, container, "/tmp", archive[:2000])
    assert answer.status >= 400 and answer.message
    assert put(api, container, "/tmp", b"no archive at all" * 100).status >= 400
    assert sh(docker, container, "echo lives") == "lives"


def test_a_compressed_archive(api, docker, container):
    import gzip
    assert put(api, container, "/tmp", gzip.compress(archive_of(("z", b"small", {})))).status == 200
    assert sh(docker, container, "cat /tmp/z") == "small"


def test_a_client_that_leaves(docker, container, folder):
    """Neither a reader nor a writer that goes away holds anything up."""
    sh(docker, container, "dd if=/dev/zero of=/tmp/large bs=1M count=64 2>/dev/null")
    reader = docker.start("cp", f"{container}:/tmp/large", "-", text=False)
    assert reader.stdout.read(1000)
    reader.kill()
    reader.communicate()
    writer = docker.start("cp", "-", f"{container}:/tmp", text=False)
    writer.stdin.write(archive_of(("half", b"x" * 100_000, {}))[:50_000])
    writer.stdin.flush()
    writer.kill()
    writer.communicate()
    docker.ok("cp", folder / "file", f"{container}:/tmp/after")
    assert sh(docker, container, "cat /tmp/after") == "from the host"


@pytest.mark.one_mode("process", reason="the VM of a paused container stands still")
def test_a_paused_container(docker, container, folder):
    docker.ok("pause", container)
    docker.ok("cp", f"{container}:/etc/passwd", folder / "passwd")
    docker.ok("unpause", container)
    assert "root:" in (folder / "passwd").read_text()


@pytest.mark.one_mode("hyperv", reason="process isolation can copy")
def test_a_paused_vm_says_why_not(docker, container, folder):
    docker.ok("pause", container)
    docker.fails("cp", f"{container}:/etc/passwd", folder / "passwd", code=1, match="unpause it first")
    docker.ok("unpause", container)


@pytest.mark.bulkhead_only
def test_the_user_of_the_container_where_asked(api, docker):
    name = docker.ok("run", "-d", "-u", "app", IMAGE, "sleep", "100")
    assert put(api, name, "/tmp", archive_of(("f", b"x", {"uid": 5}), ("d", None, {})), copyUIDGID=1).status == 200
    assert sh(docker, name, "stat -c %u:%g /tmp/f /tmp/d").split() == ["1000:1000"] * 2


def begin_reading(api, container, path):
    """A client that asks for an archive, takes its first bytes, and then no more until it is told to."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(60)
    client.connect(api.path)
    client.sendall(f"GET /v1.41/containers/{container}/archive?path={path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert b" 200 " in client.recv(100)
    return client


@pytest.fixture
def with_a_large_file(api, stopped):
    """A container that doesn't run, with /tmp/large of 8 MB."""
    assert put(api, stopped, "/tmp", archive_of(("large", b"x" * 8_000_000, {}))).status == 200
    return stopped


@pytest.mark.bulkhead_only  # dockerd's copies hold up its removal
def test_a_forced_removal_breaks_a_copy_off(docker, api, with_a_large_file):
    with contextlib.closing(begin_reading(api, with_a_large_file, "/tmp/large")):
        docker.ok("rm", "-f", with_a_large_file, timeout=30)
    name = docker.ok("create", IMAGE, "sleep", "100")
    with contextlib.closing(UnixConnection(api.path)) as writer:
        writer.putrequest("PUT", f"/v1.41/containers/{name}/archive?path=/tmp")
        writer.putheader("Content-Length", "100000")
        writer.endheaders(b"\0" * 100)  # and no more
        time.sleep(1)
        docker.ok("rm", "-f", name, timeout=30)
        answer = writer.getresponse()
        assert answer.status == 409 and b"marked for removal" in answer.read()


@pytest.mark.slow
@pytest.mark.one_mode("hyperv", reason="the wait is the engine's, whatever the wall, and half a minute long")
@pytest.mark.bulkhead_only
def test_a_client_that_takes_nothing_holds_up_a_start_for_half_a_minute_at_most(docker, api, with_a_large_file):
    with contextlib.closing(begin_reading(api, with_a_large_file, "/tmp/large")):
        docker.ok("start", with_a_large_file, timeout=90)
    assert sh(docker, with_a_large_file, "wc -c </tmp/large") == "8000000"


@pytest.mark.bulkhead_only
def test_a_copy_of_what_was_just_started_holds_up_no_stop(docker, engine, api, with_a_large_file):
    """It waits for the start, and must not hold on to what it waited for."""
    name = with_a_large_file
    bundle = engine.run_root / "bundles" / name[:32]
    for delay in (0, 0.01, 0.02, 0.03, 0.05, 0.08):
        wait_until(lambda: not bundle.exists())  # a VM may stay for a moment after its end
        start = docker.start("start", name)
        begin = time.monotonic()
        while time.monotonic() < begin + 10 and not bundle.exists():
            time.sleep(0.001)
        time.sleep(delay)
        with contextlib.closing(begin_reading(api, name, "/tmp/large")):
            assert start.wait(60) == 0
            docker.ok("stop", "-t", "0", name, timeout=30)


@pytest.mark.bulkhead_only
def test_only_the_path_itself_is_told_as_missing(docker, api, container, folder):
    lost = tarfile.LNKTYPE
    answer = put(api, container, "/tmp", archive_of(("link", b"", {"type": lost, "linkname": "no/such"})))
    assert answer.status == 500 and "ould not find the file" not in answer.message and "link" in answer.message
    (folder / "mounted").mkdir()
    name = docker.ok("create", "-v", f"{folder}/mounted:/m", IMAGE, "true")
    (folder / "mounted").rmdir()
    answer = get(api, name, "/etc/passwd")
    assert answer.status == 500 and "ould not find the file" not in answer.message and f"{folder}/mounted" in answer.message
