"""The real docker client, run as a user would."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pexpect

DETACH = "\x10\x11"  # ctrl-p ctrl-q, Docker's own detach keys


class Result:
    def __init__(self, arguments, code, out, err):
        self.arguments, self.code, self.out, self.err = arguments, code, out, err

    def __repr__(self):
        return f"{' '.join(self.arguments)}\n  exit {self.code}\n  out: {self.out[-2000:]!r}\n  err: {self.err[-2000:]!r}"


class Docker:
    """One client talking to one engine, with an empty configuration folder. `bulkhead` has docker's verbs: it is one too."""

    def __init__(self, binary, host, config_folder):
        self.binary, self.host = binary, host
        self.isolation = None  # the mode of new containers that name none
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        self.environment.update(DOCKER_CONFIG=str(config_folder), DOCKER_HOST=host, BULKHEAD_HOST=host, LC_ALL="C.UTF-8", TERM="xterm")

    def line(self, arguments):
        """The arguments as they are given to the client."""
        words = [str(argument) for argument in arguments]
        if self.isolation and words[0] in ("run", "create") and not any(word.startswith("--isolation") for word in words):
            words.insert(1, f"--isolation={self.isolation}")
        return words

    def __call__(self, *arguments, input=None, timeout=60):
        command = [self.binary, *self.line(arguments)]
        if isinstance(input, str):
            input = input.encode()
        done = subprocess.run(command, env=self.environment, timeout=timeout, capture_output=True,
                              **({"stdin": subprocess.DEVNULL} if input is None else {"input": input}))
        return Result(["docker", *self.line(arguments)], done.returncode, done.stdout.decode(errors="surrogateescape"),
                      done.stderr.decode(errors="surrogateescape"))

    def ok(self, *arguments, **options) -> str:
        """Must succeed; its standard output without the last newline."""
        result = self(*arguments, **options)
        assert result.code == 0, result
        return result.out.rstrip("\n")

    def fails(self, *arguments, code, match=None, **options) -> str:
        """Must end with this exit code, and say on standard error what `match` (a regular expression) wants."""
        result = self(*arguments, **options)
        assert result.code == code, result
        if match:
            assert re.search(match, result.err, re.IGNORECASE), f"no match for {match!r} in\n{result}"
        return result.err

    def start(self, *arguments, **options):
        """In the background; the caller ends it."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen([self.binary, *self.line(arguments)], env=self.environment,
                                **pipes)

    def terminal(self, *arguments, rows=24, columns=80, timeout=20):
        """On a new pseudo terminal, as a person types it."""
        return pexpect.spawn(self.binary, self.line(arguments), env=self.environment, encoding="utf-8",
                             timeout=timeout, dimensions=(rows, columns), codec_errors="replace")

    def inspect(self, name, kind="container"):
        return json.loads(self.ok("inspect", "--type", kind, name))[0]

    def format(self, name, template):
        return self.ok("inspect", "--format", template, name)

    def version(self):
        return tuple(map(int, re.search(r"version (\d+)\.(\d+)", self.ok("--version")).groups()))


def installed_clients():
    """The docker client in PATH, and Debian's where that is another."""
    found = []
    for candidate in (shutil.which("docker"), "/usr/bin/docker"):
        if candidate and os.path.exists(candidate) and os.path.realpath(candidate) not in map(os.path.realpath, found):
            found.append(candidate)
    return found


def client_path(name, preset):
    """"docker", "bulkhead" (of a build), or a path."""
    if name == "bulkhead":
        return str(pathlib.Path(__file__).resolve().parents[2] / "build" / preset / "bin/bulkhead")
    return installed_clients()[0] if name == "docker" else name


def wait_until(condition, timeout=15, what="the condition"):
    """Polls; returns the first true value of `condition()`."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"timed out waiting for {what}; last value {value!r}"
        time.sleep(0.02)
