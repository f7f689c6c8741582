"""Certificates as an administrator makes them: with the openssl program."""
import os
import pathlib
import subprocess


def openssl(*arguments, folder):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


class Authority:
    """A CA in a folder of its own."""

    def __init__(self, folder: pathlib.Path, name):
        self.folder = folder
        folder.mkdir(mode=0o700)
        self.certificate = folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", "ca.key", "-out", "ca.pem", folder=folder)

    def make(self, file, subject, *extensions, days=2):
        """A certificate, its key and this CA, in a folder named as docker's client wants it (DOCKER_CERT_PATH)."""
        made = self.folder / file
        made.mkdir(mode=0o700)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject, "-utf8",
                "-keyout", "key.pem", "-out", "request.pem", folder=made)
        (made / "extensions").write_text("\n".join(extensions) + "\n")
        lifetime = ["-days", str(days)]
        openssl("x509", "-req", "-in", "request.pem", "-CA", str(self.certificate), "-CAkey", str(self.folder / "ca.key"),
                "-CAcreateserial", *lifetime, "-extfile", "extensions", "-out", "cert.pem", folder=made)
        (made / "ca.pem").write_bytes(self.certificate.read_bytes())
        os.chmod(made / "key.pem", 0o600)
        return made
