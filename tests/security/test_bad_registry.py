"""Registries that hang, break off, or lie: a clear error at the client, and no half image."""
import base64
import json
import subprocess
import time

import pytest

from support import archives
from support.bad_registry import MANIFEST, BadRegistry, wants_basic, wants_bearer

BASE = archives.busybox_layer()


@pytest.fixture
def registry():
    with BadRegistry() as running:
        yield running


@pytest.fixture(autouse=True)
def no_half_image(docker):
    before = set(docker.ok("images", "-aq", "--no-trunc").split())
    yield
    assert set(docker.ok("images", "-aq", "--no-trunc").split()) == before


def pull_fails(docker, registry, message, name="x:1", timeout=90):
    return docker.fails("pull", f"{registry.address}/{name}", code=1, match=message, timeout=timeout)


def pull_works(docker, registry, name="x:1"):
    full = f"{registry.address}/{name}"
    docker.ok("pull", full)
    assert docker.ok("run", "--rm", "--network", "none", full, "sh", "-c", "echo fine") == "fine"
    docker.ok("rmi", full)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_each_compression(docker, registry, compression, against):
    if against == "dockerd" and compression == "zstd":
        pytest.skip("the reference has no zstd")
    registry.add_image("x", [BASE, archives.tar([("second", "x" * 100_000)])], compression)
    pull_works(docker, registry)


def test_a_wrong_blob(docker, registry):
    manifest = registry.add_image("x", [BASE])
    name = manifest["layers"][0]["digest"]
    registry.blobs[name] = archives.COMPRESSORS["gzip"](archives.tar([("evil", "x")])).ljust(len(registry.blobs[name]), b"\0")
    pull_fails(docker, registry, "digest|verif|checksum|corrupt")


def test_a_wrong_config(docker, registry):
    manifest = registry.add_image("x", [BASE])
    name = manifest["config"]["digest"]
    registry.blobs[name] = registry.blobs[name].replace(b"sh", b"ls")
    pull_fails(docker, registry, "digest|verif")


def test_a_layer_that_is_not_what_the_config_says(docker, registry):
    """The compressed bytes are as announced, but their content is not the config's diff_id."""
    registry.add_image("x", [BASE], config_bytes=archives.config([archives.tar([("other", "")])]))
    pull_fails(docker, registry, "diff.?id|rootfs|digest|layer|content")


def test_a_truncated_layer(docker, registry):
    manifest = registry.add_image("x", [BASE])
    layer = manifest["layers"][0]
    registry.blobs[layer["digest"]] = registry.blobs[layer["digest"]][:1000]
    pull_fails(docker, registry, "EOF|digest|size|truncated|short|verif|416|range")


def test_a_corrupt_gzip_stream_with_a_right_digest(docker, registry):
    manifest = registry.add_image("x", [BASE])
    blob = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"nonsense" * 100
    registry.blobs[archives.digest(blob)] = blob
    manifest["layers"][0].update(digest=archives.digest(blob), size=len(blob))
    registry.set_manifest("x", manifest)
    pull_fails(docker, registry, ".")


def test_a_truncated_tar_with_a_right_digest(docker, registry):
    cut = BASE[:700_000]
    registry.add_image("x", [cut])
    pull_fails(docker, registry, "EOF|truncated|tar|unexpected end")


@pytest.mark.parametrize("content", [b"", b"{", b"not json", b"[]", b"null", b"{}", b'{"schemaVersion":2}', b'{"schemaVersion":2,"layers":5,"config":{}}',
                                     b'{"schemaVersion":2,"config":{"digest":"x","size":1},"layers":[]}', b"<html>sign in</html>"])
def test_manifests_that_are_none(docker, registry, content):
    registry.set_manifest("x", content)
    pull_fails(docker, registry, ".")


@pytest.mark.parametrize("digest", ["sha256:../../../../etc/passwd", "sha256:" + "0" * 63, "md5:" + "0" * 32, "", "sha256:" + "g" * 64, "../x", 5])
def test_digests_that_are_none(docker, registry, digest):
    manifest = registry.add_image("x", [BASE])
    manifest["layers"][0]["digest"] = digest
    registry.set_manifest("x", manifest)
    pull_fails(docker, registry, ".")


@pytest.mark.bulkhead_only  # the reference takes what comes, up to its memory
def test_a_manifest_of_100_megabytes(docker, registry):
    registry.set_manifest("x", b'{"schemaVersion":2,"pad":"' + b"x" * 100_000_000 + b'"}')
    begin = time.monotonic()
    pull_fails(docker, registry, "manifest")
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize("size", [-1, 0, 5, 1 << 62])
def test_sizes_that_are_wrong(docker, registry, size, against):
    manifest = registry.add_image("x", [BASE])
    manifest["layers"][0]["size"] = size
    registry.set_manifest("x", manifest)
    if against == "dockerd":
        docker("pull", f"{registry.address}/x:1")
        docker("rmi", "-f", f"{registry.address}/x:1")
        return  # it does not look; still it must end
    pull_fails(docker, registry, ".")


def test_manifest_by_digest_that_is_another(docker, registry):
    registry.add_image("x", [BASE])
    wrong = "sha256:" + "1" * 64
    registry.manifests[f"x/manifests/{wrong}"] = registry.manifests["x/manifests/1"]
    registry.types[f"x/manifests/{wrong}"] = MANIFEST
    pull_fails(docker, registry, "digest|verif", name=f"x@{wrong}")


def test_index_picks_the_platform(docker, registry):
    registry.add_image("x", [BASE])
    right = registry.manifests["x/manifests/1"]
    entries = [{"mediaType": MANIFEST, "digest": archives.digest(b"arm"), "size": 3, "platform": {"os": "linux", "architecture": "arm64"}},
               {"mediaType": MANIFEST, "digest": archives.digest(right), "size": len(right), "platform": {"os": "linux", "architecture": "amd64"}}]
    registry.set_manifest("x", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}, "application/vnd.oci.image.index.v1+json")
    pull_works(docker, registry)


def test_index_without_our_platform(docker, registry):
    entries = [{"mediaType": MANIFEST, "digest": archives.digest(b"arm"), "size": 3, "platform": {"os": "linux", "architecture": "arm64"}}]
    registry.set_manifest("x", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}, "application/vnd.oci.image.index.v1+json")
    pull_fails(docker, registry, "no matching manifest for linux/amd64|platform")


@pytest.mark.bulkhead_only  # the reference recurses until it is told otherwise
def test_index_that_names_itself(docker, registry):
    kind = "application/vnd.oci.image.index.v1+json"
    inner = registry.set_manifest("x", {"schemaVersion": 2, "mediaType": kind, "manifests": []}, kind)
    for _ in range(50):
        inner = registry.set_manifest("x", {"schemaVersion": 2, "mediaType": kind, "manifests": [
            {"mediaType": kind, "digest": inner, "size": 200, "platform": {"os": "linux", "architecture": "amd64"}}]}, kind)
    pull_fails(docker, registry, ".")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_errors_by_status(docker, registry, status):
    registry.on_request = lambda handler: handler.path != "/v2/" and (registry.answer(handler, status, b'{"errors":[{"code":"X","message":"told you"}]}') or True)
    pull_fails(docker, registry, ".")


def test_a_registry_that_closes(docker, registry):
    registry.on_request = registry.close
    pull_fails(docker, registry, "EOF|closed|empty reply|reset|connect|returned nothing")


def test_a_connection_that_breaks_is_resumed(docker, registry):
    big = archives.tar([("big", bytes(range(256)) * 20_000)])
    registry.add_image("x", [BASE, big], "none")
    registry.on_request = registry.break_off_once(3_000_000)
    pull_works(docker, registry)
    assert any("Range" in headers for _, path, headers in registry.requests if "/blobs/" in path)


@pytest.mark.bulkhead_only
@pytest.mark.slow
def test_a_registry_that_hangs(docker, registry):
    """An error in bounded time; the client may also leave at once."""
    registry.on_request = registry.hang
    pull_fails(docker, registry, "time|slow|deadline|timed out", timeout=80)


def test_a_client_may_leave_a_hanging_pull(docker, registry, api):
    registry.on_request = registry.hang
    client = docker.start("pull", f"{registry.address}/x:1")
    time.sleep(0.5)
    client.kill()
    client.communicate()
    assert api.get("/_ping").status == 200


def test_redirects_are_followed_but_not_for_ever(docker, registry):
    registry.add_image("x", [BASE])
    moved = set()

    def hook(handler):
        if "/blobs/" in handler.path and handler.path not in moved:
            moved.add(handler.path)
            registry.answer(handler, 307, b"", {"Location": handler.path})
            return True
        return False

    registry.on_request = hook
    pull_works(docker, registry)
    registry.on_request = lambda handler: "/blobs/" in handler.path and (registry.answer(handler, 307, b"", {"Location": handler.path}) or True)
    pull_fails(docker, registry, ".")


@pytest.mark.bulkhead_only
def test_a_redirect_to_a_file_of_the_host_is_refused(docker, registry):
    registry.add_image("x", [BASE])
    registry.on_request = lambda handler: "/blobs/" in handler.path and (registry.answer(handler, 307, b"", {"Location": "file:///etc/passwd"}) or True)
    pull_fails(docker, registry, ".")


def auth_config(tmp_path, docker, address, login):
    """A client configuration with a stored login, as `docker login` writes it."""
    (tmp_path / "config.json").write_text(json.dumps({"auths": {address: {"auth": base64.b64encode(":".join(login).encode()).decode()}}}))
    docker.environment["DOCKER_CONFIG"] = str(tmp_path)


def test_basic_authentication(docker, registry, tmp_path):
    registry.add_image("x", [BASE])
    registry.on_request = wants_basic("me", "secret", registry)
    pull_fails(docker, registry, "no basic auth credentials|unauthorized|authentication|denied")
    auth_config(tmp_path, docker, registry.address, ("me", "wrong"))
    pull_fails(docker, registry, "unauthorized|authentication|denied")
    auth_config(tmp_path, docker, registry.address, ("me", "secret"))
    pull_works(docker, registry)


def test_login(docker, registry, tmp_path):
    docker.environment["DOCKER_CONFIG"] = str(tmp_path)
    registry.on_request = wants_basic("me", "secret", registry)
    assert "Login Succeeded" in docker.ok("login", "-u", "me", "--password-stdin", registry.address, input="secret")
    docker.fails("login", "-u", "me", "--password-stdin", registry.address, input="wrong", code=1, match="unauthorized|401|denied|incorrect")


def test_bearer_token_for_anybody(docker, registry):
    registry.add_image("x", [BASE])
    registry.on_request = wants_bearer(registry)
    pull_works(docker, registry)
    assert any(path.startswith("/token?") and "scope=repository%3Ax%3Apull" in path for _, path, _ in registry.requests)


def test_bearer_token_with_a_login(docker, registry, tmp_path):
    registry.add_image("x", [BASE])
    registry.on_request = wants_bearer(registry, login=("me", "secret"))
    pull_fails(docker, registry, "unauthorized|authentication|denied|who are you")
    auth_config(tmp_path, docker, registry.address, ("me", "secret"))
    pull_works(docker, registry)


@pytest.fixture
def certificate(tmp_path):
    path = tmp_path / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    path.write_text((tmp_path / "key.pem").read_text() + (tmp_path / "cert.pem").read_text())
    return path


def test_tls(docker, certificate):
    """Loopback needs no trusted certificate, as with docker."""
    with BadRegistry(certificate) as registry:
        registry.add_image("x", [BASE])
        pull_works(docker, registry)


def test_credentials_are_not_sent_to_where_a_blob_is_redirected(docker, registry, tmp_path):
    registry.add_image("x", [BASE])
    with BadRegistry() as elsewhere:
        elsewhere.blobs = registry.blobs
        check = wants_basic("me", "secret", registry)

        def hook(handler):
            if check(handler):
                return True
            if "/blobs/" in handler.path:
                registry.answer(handler, 307, b"", {"Location": f"http://{elsewhere.address}{handler.path}"})
                return True
            return False

        registry.on_request = hook
        auth_config(tmp_path, docker, registry.address, ("me", "secret"))
        docker.ok("pull", f"{registry.address}/x:1")
        docker.ok("rmi", f"{registry.address}/x:1")
        assert elsewhere.requests
        # Another port is another origin: what is told to the registry is not for it.
        assert not any("Authorization" in headers for _, _, headers in elsewhere.requests)
