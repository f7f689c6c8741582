#!/usr/bin/python3
"""`./dev test`: every stage in order, each counted, and one last line: "N passed, N failed[, N skipped]".

A stage's results are read from the JUnit files that gtest and pytest write; a program that dies before it wrote one is one
failure. Stages go on after a failure, so that one run tells everything.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build" / "results"
PYTHON = "/usr/bin/python3"
NOT_HERE = 77  # the exit code of a test program that can't run on this machine; it says why


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def count_junit(path):
    """The cases of one JUnit file; an empty or broken file is one failure."""
    try:
        cases = list(xml.etree.ElementTree.parse(path).getroot().iter("testcase"))
    except (xml.etree.ElementTree.ParseError, OSError):
        return Count(failed=1)
    failed = sum(any(child.tag in ("failure", "error") for child in case) for case in cases)
    skipped = sum(any(child.tag == "skipped" for child in case) or case.get("status") == "notrun" for case in cases)
    return Count(len(cases) - failed - skipped, failed, skipped)


def call(*command, environment=None, quiet=False):
    """Exit code; output goes where ours goes, or with `quiet` is shown only when it failed."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                          **({"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if quiet else {}))
    if quiet and done.returncode:
        print(done.stdout.decode(errors="replace")[-20000:])
    return done.returncode


def build(preset, target="all"):
    return Count() if call("./dev", "build", preset, target) == 0 else Count(failed=1)


def fuzz(*names):
    """A minute each: what a hostile guest says."""
    return Count(passed=len(names)) if call("./dev", "fuzz", "60", *names, quiet=True) == 0 else Count(failed=1)


def lint():
    done = subprocess.run(["tools/lint"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    return Count(len(re.findall(r"^lint: .*: passed$", done.stdout, re.MULTILINE)), len(re.findall(r"^lint: .*: FAILED$", done.stdout, re.MULTILINE))
                 or int(done.returncode != 0 and "lint:" not in done.stdout))


SANITIZERS = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:handle_abort=1", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
              "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}


def sanitizer_reports(preset):
    """What programs of this build that no environment reaches have written (cmake/sanitizer_options.cc)."""
    return set((ROOT / "build" / preset / "reports").glob("sanitizer.*"))


# Of the black-box tests, what `./dev test` runs with sanitizers: the cases in process mode of what was seen to its end there.
# `./dev sanitize` runs all.
SANITIZED = "not hyperv and not test_explain and not test_kernels and not test_foreign"


def gtest(preset, kernel):
    """The unit tests (no root, anywhere in the build) or the kernel tests (build/<preset>/bin/*_kernel_test)."""
    folder = RESULTS / f"{'kernel' if kernel else 'unit'}-{preset}"
    folder.mkdir(parents=True)
    programs = sorted(path for path in (ROOT / "build" / preset / "bin").glob("*_test") if path.name.endswith("_kernel_test") == kernel)
    total = Count() if programs else Count(failed=int(not kernel))
    for program in programs:
        before = sanitizer_reports(preset)
        report = folder / f"{program.name}.xml"
        code = call("timeout", "--kill-after=5", "600", program, "--gtest_brief=1", f"--gtest_output=xml:{report}", environment=SANITIZERS, quiet=True)
        count = Count(skipped=1) if code == NOT_HERE else count_junit(report)
        if code not in (0, NOT_HERE) and count.failed == 0:
            count.failed += 1  # it died at its end, or a sanitizer spoke
        for new in sorted(sanitizer_reports(preset) - before):  # of shims that it started
            print(new.read_text(errors="replace"))
            count.failed += 1
        if count.failed:
            print(f"{program.name} ({preset}): {count}")
        total += count
    return total


def pytest(preset, *selection):
    report = RESULTS / f"pytest-{preset}.xml"
    code = call(PYTHON, "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir", ROOT, "-q", f"--preset={preset}", f"--junitxml={report}", *selection)
    count = count_junit(report)
    if code not in (0, 1) and count.failed == 0:
        count.failed += 1
    return count


def guest_kernel():
    """Built once for each configuration, minutes long, and kept outside the clone."""
    failed = call(ROOT / "guest" / "build-kernel.sh", quiet=True) != 0
    return Count(failed=int(failed))


def main():
    shutil.rmtree(RESULTS, ignore_errors=True)
    for report in sanitizer_reports("asan-ubsan"):
        report.unlink()
    RESULTS.mkdir(parents=True)
    presets = {"release": [
        ("guest kernel", guest_kernel),
        ("build release", lambda: build("release")),
        ("lint", lint),
        ("unit tests", lambda: gtest("release", kernel=False)),
        ("kernel tests", lambda: gtest("release", kernel=True)),
        ("black-box tests", lambda: pytest("release")),
        ("fuzzing", lambda: fuzz("agent_answer", "qmp")),
        ("build asan-ubsan", lambda: build("asan-ubsan")),
        ("unit tests, asan-ubsan", lambda: gtest("asan-ubsan", kernel=False)),
        ("black-box tests, asan-ubsan", lambda: pytest("asan-ubsan", "-k", SANITIZED)),
    ], "asan-ubsan": [
        ("build release", lambda: build("release", "bulkhead-initramfs")),  # what VMs boot
        ("build asan-ubsan", lambda: build("asan-ubsan")),
        ("unit tests, asan-ubsan", lambda: gtest("asan-ubsan", kernel=False)),
        ("kernel tests, asan-ubsan", lambda: gtest("asan-ubsan", kernel=True)),
        ("black-box tests, asan-ubsan", lambda: pytest("asan-ubsan")),
    ]}
    stages = presets[sys.argv[1] if len(sys.argv) > 1 else "release"]
    total, rows, broken = Count(), [], set()
    for name, stage in stages:
        preset = "asan-ubsan" if "asan" in name else "release"
        if preset in broken:
            continue  # counted once, where the build failed
        print(f"\n== {name}", flush=True)
        begin = time.monotonic()
        count = stage()
        if name.startswith("build") and count.failed:
            broken.add(preset)
        rows.append(f"{name:30} {time.monotonic() - begin:6.0f} s   {count}")
        total += count
    print("\n" + "\n".join(rows))
    print(total)
    return total.failed > 0 or total.passed == 0


if __name__ == "__main__":
    sys.exit(main())
