"""Makes image archives by hand: right ones of both formats, and wrong ones."""
import gzip
import hashlib
import io
import json
import subprocess
import tarfile


def tar(entries) -> bytes:
    """`entries`: (name, content or TarInfo fields). A str or bytes is a file; a dict sets fields of the TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, value in entries:
            entry = tarfile.TarInfo(name)
            entry.mode = 0o644
            content = None
            if isinstance(value, (str, bytes)):
                content = value.encode() if isinstance(value, str) else value
                entry.size = len(content)
            else:
                for field, setting in value.items():
                    if field == "content":
                        content = setting
                        entry.size = len(setting)
                    else:
                        setattr(entry, field, setting)
            archive.addfile(entry, io.BytesIO(content) if content is not None else None)
    return out.getvalue()


def folder(mode=0o755):
    return {"type": tarfile.DIRTYPE, "mode": mode}


def symlink(target):
    return {"type": tarfile.SYMTYPE, "linkname": target, "mode": 0o777}


def hardlink(target):
    return {"type": tarfile.LNKTYPE, "linkname": target}


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(layers, **changes) -> bytes:
    """The config object of an image of these uncompressed layers."""
    value = {"architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
             "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
             "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
             "history": [{"created_by": f"step {number}"} for number, _ in enumerate(layers)]}
    value.update(changes)
    return json.dumps(value).encode()


def docker_archive(tag, layers, config_bytes=None) -> bytes:
    content = config(layers) if config_bytes is None else config_bytes
    name = hashlib.sha256(content).hexdigest() + ".json"
    names = [f"{number}/layer.tar" for number, _ in enumerate(layers)]
    manifest = json.dumps([{"Config": name, "RepoTags": [tag] if tag else None, "Layers": names}])
    return tar([(name, content), ("manifest.json", manifest), *zip(names, layers)])


COMPRESSORS = {"gzip": lambda data: gzip.compress(data, 1), "zstd": lambda data: subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout,
               "none": lambda data: data}
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"


def oci_image(layers, compression="gzip", config_bytes=None):
    """(manifest, {digest: blob}) of an OCI image; the manifest is among the blobs."""
    content = config(layers) if config_bytes is None else config_bytes
    suffix = {"gzip": "+gzip", "zstd": "+zstd", "none": ""}[compression]
    packed = [COMPRESSORS[compression](layer) for layer in layers]
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(content), "size": len(content)},
        "layers": [{"mediaType": OCI_LAYER + suffix, "digest": digest(blob), "size": len(blob)} for blob in packed],
    }).encode()
    return manifest, {digest(blob): blob for blob in (content, manifest, *packed)}


def oci_layout(tag, layers, compression="gzip") -> bytes:
    manifest, blobs = oci_image(layers, compression)
    index = json.dumps({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest), "size": len(manifest),
        "annotations": {"io.containerd.image.name": f"docker.io/library/{tag}", "org.opencontainers.image.ref.name": tag.partition(":")[2]}}]})
    files = [("oci-layout", '{"imageLayoutVersion":"1.0.0"}'), ("index.json", index)]
    return tar(files + [("blobs/sha256/" + name.partition(":")[2], blob) for name, blob in blobs.items()])


def busybox_layer() -> bytes:
    """A layer from which `sh` can run."""
    with open("/bin/busybox", "rb") as file:
        program = file.read()
    applets = ["sh", "ls", "cat", "stat", "find", "od", "du", "wc", "echo", "true", "sleep", "sha256sum", "readlink", "test", "touch"]
    return tar([("bin", folder()), ("bin/busybox", {"mode": 0o755, "content": program})] +
               [(f"bin/{name}", symlink("busybox")) for name in applets] + [("tmp", folder(0o1777))])
