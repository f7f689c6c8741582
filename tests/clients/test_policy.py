"""The policy: who may have which container, behind which wall. The real docker client, a real file, what the container saw."""
import json
import os
import pathlib
import random
import re
import signal
import stat
import subprocess
import threading

import pytest

from support.client import wait_until
from support.live_engine import live_engine
from support.other_user import request_as

IMAGE = "busybox:1"
pytestmark = pytest.mark.bulkhead_only

ALLOW_ALL = "- {name: all, match: any, allow: all}\n"
TENANT = "org.bulkhead.tenant"


class PolicyFile:
    def __init__(self, path):
        self.path = path

    def write(self, rules, head=""):
        self.raw(f"version: 1\n{head}rules:\n{rules}")

    def raw(self, text):
        new = self.path.with_suffix(".new")
        new.write_text(text)
        os.chmod(new, 0o644)
        os.replace(new, self.path)


@pytest.fixture(scope="module")
def policy_file(session_folder):
    return PolicyFile(session_folder / "policy.yaml")


@pytest.fixture(scope="module")
def policy_engine(make_engine, policy_file):
    policy_file.write(ALLOW_ALL)
    with live_engine(make_engine(arguments=["--policy", policy_file.path])) as engine:
        yield engine
        policy_file.write(ALLOW_ALL)


@pytest.fixture
def engine(policy_engine, policy_file, request):
    """Overrides the shared one: this engine has a policy. Each test begins with one that allows everything."""
    request.node.engines = [(policy_engine, policy_engine.log.stat().st_size)]
    policy_file.write(ALLOW_ALL)
    yield policy_engine
    policy_engine.api.remove_all_containers()


@pytest.fixture
def bulkhead(engine, make_client):
    return make_client(engine, "bulkhead")


def audit_lines(engine):
    return [json.loads(line) for line in (engine.root / "audit.log").read_text().splitlines()]


def audit_of(engine, event="create"):
    return [line for line in audit_lines(engine) if line["event"] == event][-1]


def test_a_refusal_explains_itself_and_leaves_nothing(docker, api, policy_file):
    policy_file.write("- {name: no strangers, match: {labels: {stranger: '*'}}, deny: all, because: we do not know them}\n" + ALLOW_ALL)
    error = docker.fails("run", "--rm", "--label", "stranger=1", IMAGE, "true", code=125)
    for part in ("no strangers", "policy.yaml:3", "we do not know them"):
        assert part in error, error
    answer = api.post("/containers/create", {"Image": IMAGE, "Labels": {"stranger": ""}})
    assert answer.status == 403, answer
    assert api.get("/containers/json?all=1").json() == []
    assert docker.ok("run", "--rm", IMAGE, "echo", "in") == "in"


def test_the_first_match_wins_and_no_match_is_a_refusal(docker, policy_file):
    policy_file.write("- {name: a, match: {labels: {a: '1'}}, allow: process}\n- {name: b, match: {labels: {a: '*'}}, deny: all, because: b}\n")
    docker.ok("run", "--rm", "--label", "a=1", IMAGE, "true")
    docker.fails("run", "--rm", "--label", "a=2", IMAGE, "true", code=125, match="'b'")
    docker.fails("run", "--rm", IMAGE, "true", code=125, match="no rule of the policy")


def test_what_was_asked_for_is_never_replaced(docker, policy_file):
    policy_file.write("- {name: thick, match: any, require: hyperv, because: so}\n")
    docker.fails("run", "--rm", "--isolation=process", IMAGE, "true", code=125, match="thick.*so.*process")
    policy_file.write("- {name: thin, match: any, allow: process}\n")
    docker.fails("run", "--rm", "--isolation=hyperv", IMAGE, "true", code=125, match="thin.*hyperv")
    assert docker.ok("run", "--rm", "--isolation=process", IMAGE, "echo", "in") == "in"


def test_walls_are_put_up_and_the_container_feels_them(docker, policy_file):
    policy_file.write("- {match: any, allow: all, walls: {read-only-root: true, no-new-privileges: true, drop-capabilities: [NET_RAW, MKNOD]}}\n")
    name = docker.ok("run", "-d", IMAGE, "sleep", "1000")
    seen = docker.inspect(name)["HostConfig"]
    assert seen["ReadonlyRootfs"] is True
    assert "no-new-privileges" in seen["SecurityOpt"]
    assert {"NET_RAW", "MKNOD"} <= set(seen["CapDrop"])
    status = docker.ok("exec", name, "cat", "/proc/self/status")
    bounding = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:")), 16)
    assert not bounding & (1 << 13) and not bounding & (1 << 27)
    assert "NoNewPrivs:\t1" in status
    docker.fails("exec", name, "touch", "/x", code=1, match="Read-only file system")


@pytest.mark.parametrize("walls, option", [
    ("read-only-root: true", ["--privileged"]),
    ("read-only-root: true", ["--cap-add=SYS_ADMIN"]),
    ("drop-capabilities: [NET_RAW]", ["--cap-add=net_raw"]),
    ("drop-capabilities: ALL", ["--cap-add=CHOWN"]),
    ("no-new-privileges: true", ["--security-opt=no-new-privileges=false"]),
    ("seccomp: default", ["--security-opt=seccomp=unconfined"]),
])
def test_what_would_undo_a_wall_is_refused(docker, policy_file, walls, option):
    policy_file.write(f"- {{name: walled, match: any, allow: all, walls: {{{walls}}}}}\n")
    docker.fails("run", "--rm", *option, IMAGE, "true", code=125, match="walled.*forbids")
    docker.ok("run", "--rm", IMAGE, "true")


def test_a_seccomp_profile_of_the_policy_is_in_force(docker, policy_file, session_folder):
    profile = session_folder / "no-mkdir.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW",
                                   "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}))
    policy_file.write(f"- {{match: any, allow: all, walls: {{seccomp: {profile}}}}}\n")
    docker.fails("run", "--rm", IMAGE, "mkdir", "/x", code=1, match="not permitted")
    profile.write_text("not a profile")
    policy_file.write(f"- {{match: any, allow: all, walls: {{seccomp: {profile}}}}} \n")
    docker.fails("run", "--rm", IMAGE, "mkdir", "/x", code=1, match="not permitted")  # the version before stays


def test_a_kernel_of_the_policy_is_the_one_that_is_booted(docker, policy_file, bulkhead, api):
    policy_file.write("- {name: old, match: any, require: hyperv, because: so, walls: {kernel: '>=6.1 <6.2'}}\n")
    name = docker.ok("run", "-d", IMAGE, "sleep", "1000")
    assert docker.ok("exec", name, "uname", "-r").startswith("6.1.")
    assert "kernel >=6.1 <6.2" in bulkhead.ok("policy", "why", name)
    answer = api.post("/containers/create", {"Image": IMAGE, "HostConfig": {"Annotations": {"org.bulkhead.kernel": "builtin"}}})
    assert answer.status >= 400 and "old" in answer.message, answer
    # It calls itself 6.1.0-N; what counts is the version that it is.
    policy_file.write("- {match: any, require: hyperv, because: so, walls: {kernel: '>=6.1.100'}}\n")
    assert "every running container" in bulkhead.ok("policy", "audit")
    policy_file.write("- {match: any, require: hyperv, because: so, walls: {kernel: '<6.1.100'}}\n")
    assert "its kernel is 6.1.0-" in bulkhead("policy", "audit").out


def test_a_kernel_of_the_policy_has_to_be_the_hosts_in_process_isolation(docker, policy_file):
    policy_file.write("- {name: future, match: any, allow: process, walls: {kernel: '>=99'}}\n")
    docker.fails("create", IMAGE, "true", code=1, match="future.*99|99.*future")
    policy_file.write("- {name: unknown, match: any, allow: process, walls: {kernel: not-there}}\n")
    docker.fails("create", IMAGE, "true", code=1, match="unknown.*not-there")


def test_privileged_can_not_be_had_through_exec(docker, policy_file):
    policy_file.write("- {name: no privileges, match: {privileged: true}, deny: all, because: never}\n" + ALLOW_ALL)
    docker.fails("run", "--rm", "--privileged", IMAGE, "true", code=125, match="no privileges.*never")
    name = docker.ok("run", "-d", IMAGE, "sleep", "1000")
    result = docker("exec", "--privileged", name, "true")
    assert result.code != 0 and "never" in result.err, result
    docker.ok("exec", name, "true")


def post_as(engine, uid, path, body):
    return request_as(uid, engine, "POST", path, body)[1]


@pytest.mark.parametrize("uid, tenant, why", [
    (4242, "", "uid 4242 may do that to containers of the tenant 'acme'"),
    (4242, "globex", "may not create.*globex"),
    (4242, "acme", ""),
    (9999, "", "does not know uid 9999"),
])
def test_privileged_exec_is_decided_for_whoever_asks(docker, engine, policy_file, uid, tenant, why):
    policy_file.write("- {match: {uid: 0}, allow: all}\n- {match: {tenant: acme}, allow: all}\n",
                      head="callers: [{uid: 0, tenants: any}, {uid: 4242, tenant: acme}]\n")
    labels = ["--label", f"{TENANT}={tenant}"] if tenant else []
    name = docker.ok("run", "-d", *labels, IMAGE, "sleep", "1000")
    docker.ok("exec", "--privileged", name, "true")
    assert audit_of(engine, "exec --privileged")["request"]["uid"] == 0
    answer = post_as(engine, uid, f"/containers/{name}/exec", {"Cmd": ["true"], "Privileged": True})
    assert re.search(why, answer), answer
    entry = audit_of(engine, "exec --privileged")
    assert (entry["request"]["uid"], entry["verdict"]) == (uid, "denied" if why else "allowed"), entry


@pytest.mark.parametrize("bind", ["/:/h", "/var:/h", "/var/../var/run:/h", "/var/run/docker.sock:/s"])
def test_a_mount_is_found_however_it_is_written(docker, policy_file, bind):
    policy_file.write("- {name: sockets, match: {host-mounts: [/var/run/docker.sock]}, deny: all, because: root}\n" + ALLOW_ALL)
    docker.fails("run", "--rm", "-v", bind, IMAGE, "true", code=125, match="sockets")


def test_a_rule_about_a_link_is_about_where_it_leads(docker, policy_file, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run").symlink_to("../run")
    policy_file.write(f"- {{name: sockets, match: {{host-mounts: [{tmp_path}/var/run/socket]}}, deny: all, because: root}}\n" + ALLOW_ALL)
    for path in ("var/run/socket", "run/socket", "run", "run/../run/socket"):
        docker.fails("create", "-v", f"{tmp_path}/{path}:/x", IMAGE, code=1, match="sockets")
    docker.fails("create", "-v", f"/proc/self/root{tmp_path}/run:/x", IMAGE, code=1, match="sockets")
    (tmp_path / "other").mkdir()
    docker.ok("create", "-v", f"{tmp_path}/other:/x", IMAGE)


def test_a_device_is_not_had_by_another_name(docker, policy_file, tmp_path):
    policy_file.write("- {name: random, match: {devices: [/dev/random]}, deny: all, because: ours}\n" + ALLOW_ALL)
    os.mknod(tmp_path / "node", 0o600 | stat.S_IFCHR, os.makedev(1, 8))
    docker.fails("create", "--device", f"{tmp_path}/node:/dev/x", IMAGE, code=1, match="random")
    docker.fails("create", "--device-cgroup-rule", "c 1:8 rwm", IMAGE, code=1, match="random")
    docker.ok("create", "--device", "/dev/zero", IMAGE)


def test_a_profile_that_allows_everything_lifts_the_default_one(docker, policy_file, tmp_path):
    policy_file.write("- {name: on, match: {lifted: any}, deny: all, because: protections stay on}\n" + ALLOW_ALL)
    (tmp_path / "all.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    docker.fails("create", "--security-opt", f"seccomp={tmp_path}/all.json", IMAGE, code=1, match="on.*protections stay on")
    docker.ok("create", IMAGE)


def test_a_link_does_not_lead_out_of_the_folder_that_is_permitted(docker, policy_file, tmp_path):
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / "in").mkdir()
    policy_file.write(f"- {{name: data, match: {{host-mounts: {{only: [{tmp_path}]}}}}, allow: all}}\n")
    docker.ok("run", "--rm", "-v", f"{tmp_path}/in:/d", IMAGE, "true")
    docker.fails("run", "--rm", "-v", f"{tmp_path}/out:/d", IMAGE, "true", code=125, match="no rule")


def mknod(path, major, minor):
    path.unlink(missing_ok=True)
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(major, minor))


@pytest.mark.parametrize("isolation", ["process", "hyperv"])
def test_a_mount_does_not_lead_elsewhere_after_the_decision(docker, policy_file, tmp_path, isolation):
    """Who may write the folder swaps a mount's source for a link, after create or between two runs."""
    policy_file.write(f"- {{name: data, match: {{host-mounts: {{only: [{tmp_path}]}}}}, allow: all}}\n")
    (tmp_path / "a").mkdir()
    docker.ok("create", "--name", "led", f"--isolation={isolation}", "-v", f"{tmp_path}/a:/m", IMAGE, "ls", "/m")
    (tmp_path / "a").rmdir()
    (tmp_path / "a").symlink_to("/etc")
    error = docker.fails("start", "-a", "led", code=1, match="the source of the mount on '/m' was '.*/a'.* is '/etc' now")
    assert "create it again" in error
    docker.fails("cp", "led:/m/hostname", "-", code=1, match="is '/etc' now")
    (tmp_path / "a").unlink()
    (tmp_path / "a").mkdir()
    assert docker.ok("start", "-a", "led") == ""


def test_a_device_is_no_other_after_the_decision(docker, policy_file, tmp_path):
    node = tmp_path / "node"
    mknod(node, 1, 5)
    docker.ok("create", "--name", "zero", "--device", f"{node}:/dev/x", IMAGE, "head", "-c", "1", "/dev/x")
    mknod(node, 1, 9)
    docker.fails("start", "-a", "zero", code=1, match="the device for '/dev/x' was c 1:5.* is c 1:9 now")


def test_without_a_policy_a_link_may_be_led_elsewhere(make_engine, make_client, tmp_path):
    """As Docker has it: 'current' leads to what is current when the container starts."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    (tmp_path / "current").symlink_to("old")
    with live_engine(make_engine()) as engine:
        docker = make_client(engine)
        docker.ok("create", "--name", "led", "-v", f"{tmp_path}/current:/m", IMAGE, "cat", "/m/name")
        assert docker.ok("start", "-a", "led") == "old"
        (tmp_path / "current").unlink()
        (tmp_path / "current").symlink_to("new")
        assert docker.ok("start", "-a", "led") == "new"


def test_an_image_goes_by_its_names_when_it_is_asked_for_by_id(docker, policy_file):
    policy_file.write("- {name: hub, match: {image: 'docker.io/**'}, deny: all, because: not from there}\n" + ALLOW_ALL)
    image = docker.ok("inspect", "--type", "image", "--format", "{{.Id}}", IMAGE)
    for name in (IMAGE, image, image.split(":")[1], image.split(":")[1][:12]):
        docker.fails("run", "--rm", name, "true", code=125, match="hub")
    docker.ok("tag", IMAGE, "registry.example/own:1")
    try:
        docker.ok("run", "--rm", "registry.example/own:1", "true")
        docker.fails("run", "--rm", image.split(":")[1][:12], "true", code=125, match="hub")
    finally:
        docker.ok("rmi", "registry.example/own:1")


def test_callers_are_known_by_the_kernels_word(engine, policy_file, docker):
    policy_file.write(ALLOW_ALL, head="callers: [{uid: 4242, tenant: acme}]\n")
    docker.fails("run", "--rm", IMAGE, "true", code=125, match="does not know uid 0")
    assert audit_of(engine)["request"]["uid"] == 0
    policy_file.write(ALLOW_ALL, head="callers: [{uid: 0, tenant: acme}]\n")
    docker.ok("create", "--name", "mine", IMAGE)
    assert audit_of(engine)["tenant"] == "acme"
    docker.fails("create", "--label", f"{TENANT}=other", IMAGE, code=1, match="may not create.*other")


def test_another_user_of_the_socket_is_another_caller(engine, policy_file, docker, api):
    """A client with another uid, connected as that user."""
    policy_file.write(ALLOW_ALL, head="callers: [{uid: 0, tenants: any}, {uid: 4242, tenant: acme}]\n")
    answer = post_as(engine, 4242, "/containers/create", {"Image": IMAGE, "Labels": {TENANT: "globex"}})
    assert "uid 4242 may not create" in answer, answer
    assert audit_of(engine)["request"]["uid"] == 4242
    assert api.get("/containers/json?all=1").json() == []


def test_an_image_can_not_choose_its_tenant(docker, policy_file, engine):
    dockerfile = ["import", "--change", f"LABEL {TENANT}=acme", "-", "labelled:1"]
    empty = subprocess.run(["tar", "-c", "-T", "/dev/null"], capture_output=True, check=True).stdout
    docker.ok(*dockerfile, input=empty)
    try:
        docker.ok("create", "labelled:1", "true")
        assert audit_of(engine)["tenant"] == ""
    finally:
        engine.api.remove_all_containers()
        docker.ok("rmi", "labelled:1")


def test_a_mistake_keeps_the_policy_before_and_says_where_it_is(docker, engine, policy_file):
    policy_file.write("- {name: strict, match: {labels: {x: '*'}}, deny: all, because: strict}\n" + ALLOW_ALL)
    docker.fails("run", "--rm", "--label", "x=1", IMAGE, "true", code=125, match="strict")
    policy_file.raw("version: 1\nrules:\n- {match: any, alow: all}\n")
    docker.fails("run", "--rm", "--label", "x=1", IMAGE, "true", code=125, match="strict")
    docker.ok("run", "--rm", IMAGE, "true")
    assert "policy.yaml:3:16: " in engine.log_tail()
    assert "policy.yaml:3:16" in docker("info").out + docker("info").err
    policy_file.path.unlink()
    docker.fails("run", "--rm", "--label", "x=1", IMAGE, "true", code=125, match="strict")
    policy_file.write(ALLOW_ALL)
    docker.ok("run", "--rm", "--label", "x=1", IMAGE, "true")


def test_hangup_reads_it_again_at_once(engine, policy_file):
    policy_file.raw("version: 1\nrules: nonsense\n")
    os.kill(engine.process.pid, signal.SIGHUP)
    wait_until(lambda: "policy.yaml:2:8" in engine.log_tail(), what="the mistake in the log")
    policy_file.write(ALLOW_ALL * 3)
    os.kill(engine.process.pid, signal.SIGHUP)
    wait_until(lambda: "in force: 3 rules" in engine.log_tail(), what="the new policy in force")
    assert engine.alive()


def test_a_file_that_others_may_write_is_a_mistake(docker, engine, policy_file):
    os.chmod(policy_file.path, 0o666)
    policy_file.path.write_text("version: 1\nrules:\n- {match: any, deny: all, because: forged}\n")
    docker.ok("run", "--rm", IMAGE, "true")
    assert "others than root may write it" in engine.log_tail()


@pytest.mark.parametrize("text", [None, "version: 1\nrules: []\n", "\x00"])
def test_an_engine_with_a_broken_policy_creates_nothing(make_engine, make_client, session_folder, text):
    path = session_folder / "broken.yaml"
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)
        os.chmod(path, 0o644)
    with live_engine(make_engine(arguments=["--policy", path])) as engine:
        docker = make_client(engine)
        error = docker.fails("run", "--rm", IMAGE, "true", code=125, match="policy can't be understood")
        assert "broken.yaml" in error
        assert audit_of(engine)["verdict"] == "denied" and "can't be understood" in audit_of(engine)["because"]
        path.write_text("version: 1\nrules:\n" + ALLOW_ALL)
        os.chmod(path, 0o644)
        docker.ok("run", "--rm", IMAGE, "true")


def test_every_decision_is_in_the_audit_log_and_in_the_events(docker, engine, policy_file, api):
    policy_file.write("- {name: named, match: {labels: {x: '*'}}, deny: all, because: of x}\n" + ALLOW_ALL)
    before = len(audit_lines(engine))
    since = str(int(__import__("time").time()) - 1)
    docker.ok("create", "--name", "good", IMAGE)
    docker.fails("create", "--name", "bad", "--label", "x=1", IMAGE, code=1)
    allowed, denied = audit_lines(engine)[before:]
    assert (allowed["verdict"], allowed["mode"], allowed["rule"], allowed["name"]) == ("allowed", "process", "all", "good")
    assert allowed["container"] == api.inspect("good")["Id"]
    assert (denied["verdict"], denied["rule"], denied["line"], denied["because"]) == ("denied", "named", 3, "of x")
    assert (engine.root / "audit.log").stat().st_mode & 0o777 == 0o600
    events = docker.ok("events", "--since", since, "--until", str(int(__import__("time").time()) + 1), "--filter", "type=policy",
                       "--format", "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.rule}}").splitlines()
    assert events[-2:] == ["allow good all", "deny bad named"], events


def test_a_long_request_does_not_push_the_logs_history_out(engine, api):
    size = (engine.root / "audit.log").stat().st_size if (engine.root / "audit.log").exists() else 0
    answer = api.post("/containers/create", {"Image": IMAGE, "HostConfig": {"Binds": [f"/{'a/' * 1_000_000}x:/x"]}})
    assert answer.status == 400 and "Linux takes 4095 at most" in answer.message, answer
    capabilities = [f"CAP_{'X' * 2000}_{number}" for number in range(1000)]
    api.post("/containers/create", {"Image": IMAGE, "HostConfig": {"CapAdd": capabilities, "Binds": [f"/{'b' * 3000}:/x"]}})
    assert (engine.root / "audit.log").stat().st_size - size < 100_000


def test_an_audit_log_that_was_taken_away_is_begun_again(docker, engine):
    docker.ok("create", IMAGE)
    os.rename(engine.root / "audit.log", engine.root / "audit.log.taken")
    docker.ok("create", "--name", "next", IMAGE)
    assert [line["name"] for line in audit_lines(engine)] == ["next"]


def test_why(bulkhead, docker, policy_file):
    policy_file.write("- {name: ours, match: any, allow: all, because: we wrote it, walls: {no-new-privileges: true}}\n")
    docker.ok("create", "--name", "mine", "--label", f"{TENANT}=acme", IMAGE)
    out = bulkhead.ok("policy", "why", "mine")
    for part in ("mine", "process", "'ours'", "policy.yaml:3", "we wrote it", "no new privileges", "acme"):
        assert part in out, out
    assert json.loads(bulkhead.ok("policy", "why", "--json", "mine"))["Decision"]["rule"] == "ours"
    bulkhead.fails("policy", "why", "nobody", code=1, match="No such container")


def test_audit_lists_what_todays_policy_would_not_have(bulkhead, docker, policy_file):
    docker.ok("run", "-d", "--name", "old", "--label", "x=1", IMAGE, "sleep", "1000")
    docker.ok("run", "-d", "--name", "plain", IMAGE, "sleep", "1000")
    assert "every running container" in bulkhead.ok("policy", "audit")
    policy_file.write("- {match: {labels: {x: '*'}}, deny: all, because: no x}\n- {match: any, allow: all, walls: {read-only-root: true}}\n")
    result = bulkhead("policy", "audit")
    assert result.code == 1
    lines = {line.split()[1]: line for line in result.out.splitlines()[1:]}
    assert "refused" in lines["old"] and "no x" in lines["old"] and "read-only root" in lines["plain"], result.out


def test_audit_knows_which_mode_and_which_kernel_there_is(bulkhead, docker, policy_file):
    policy_file.write("- {match: any, default: hyperv}\n")
    docker.ok("run", "-d", "--name", "thick", IMAGE, "sleep", "1000")
    assert "every running container" in bulkhead.ok("policy", "audit")
    policy_file.write("- {match: any, allow: all, walls: {kernel: '>=6'}}\n")
    assert "every running container" in bulkhead.ok("policy", "audit")
    policy_file.write("- {match: any, allow: all, walls: {kernel: '>=99'}}\n")
    assert "its kernel is 6." in bulkhead("policy", "audit").out
    policy_file.write("- {match: any, deny: hyperv, because: too slow}\n" + ALLOW_ALL)
    result = bulkhead("policy", "audit")
    assert "hyperv isolation would be refused" in result.out and "too slow" in result.out, result


def test_check_and_test_need_no_engine(offline, tmp_path):
    good, bad, body = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "request.json"
    good.write_text("version: 1\nrules:\n- {name: mine, match: {uid: 7}, allow: hyperv}\n- {name: rest, match: any, deny: all, because: no}\n")
    bad.write_text("version: 1\nrules:\n- {match: any, alow: all}\n")
    body.write_text(json.dumps({"Image": "x", "HostConfig": {"Privileged": True}}))
    assert "2 rules" in offline.ok("policy", "check", good)
    assert f"{bad}:3:16: " in offline.fails("policy", "check", bad, code=1)
    assert "refused" in offline("policy", "test", good, body).out
    out = offline.ok("policy", "test", "--uid", "7", good, body)
    assert "hyperv" in out and "'mine'" in out
    assert json.loads(offline.ok("policy", "test", "--json", "--uid", "7", good, body))["mode"] == "hyperv"
    offline.fails("policy", "tset", good, body, code=1, match="check, test, why and audit")
    body.write_text(json.dumps({"Image": "x", "HostConfig": {"privileged": True}}))
    offline.fails("policy", "test", good, body, code=1, match="written as Privileged")


@pytest.fixture
def offline(request, tmp_path, client_config):
    from support.client import Docker, client_path
    return Docker(client_path("bulkhead", request.config.getoption("--preset")), f"unix://{tmp_path}/nobody.sock", client_config)


def test_check_says_what_the_engine_would(offline, tmp_path):
    file, profile = tmp_path / "policy.yaml", tmp_path / "profile.json"
    file.write_text(f"version: 1\nrules:\n- {{match: any, allow: all, walls: {{seccomp: {profile}}}}}\n")
    assert f"{file}:3:45: " in offline.fails("policy", "check", file, code=1)
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    offline.ok("policy", "check", file)
    profile.chmod(0o666)
    offline.fails("policy", "check", file, code=1, match="others than root may write it")
    file.unlink()
    os.mkfifo(file)
    offline.fails("policy", "check", file, code=1, match="no regular file")


def test_test_follows_links_as_the_engine_does(offline, tmp_path):
    file, body = tmp_path / "policy.yaml", tmp_path / "request.json"
    (tmp_path / "link").symlink_to("folder")
    file.write_text(f"version: 1\nrules:\n- {{name: kept, match: {{host-mounts: [{tmp_path}/link]}}, deny: all, because: x}}\n" + ALLOW_ALL)
    body.write_text(json.dumps({"Image": "x", "HostConfig": {"Binds": [f"{tmp_path}/folder/x:/x"]}}))
    out = offline("policy", "test", file, body).out
    assert "refused" in out and "'kept'" in out, out


# -- who shares a kernel with whom

def kernels(api):
    """For each container its tenant and its isolation: "process" is on the host's kernel, "hyperv" on one of its own."""
    containers = [api.inspect(container["Id"]) for container in api.get("/containers/json?all=1").json()]
    return [(container["Config"]["Labels"].get(TENANT, ""), container["HostConfig"]["Isolation"]) for container in containers]


def test_two_tenants_never_share_a_kernel(docker, api, policy_file):
    docker.ok("create", "--name", "first", "--label", f"{TENANT}=a", IMAGE)
    docker.ok("create", "--label", f"{TENANT}=a", IMAGE)
    docker.fails("create", "--isolation=process", "--label", f"{TENANT}=b", IMAGE, code=1, match="tenant 'a' run on the host's kernel")
    docker.fails("create", "--isolation=process", IMAGE, code=1, match="never share")
    policy_file.write("- {match: any, allow: process}\n")
    docker.fails("create", "--label", f"{TENANT}=b", IMAGE, code=1, match="no kernel of its own")
    api.remove_all_containers()
    docker.ok("create", "--label", f"{TENANT}=b", IMAGE)


def boot_id_of_host():
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


READ_BOOT_ID = ("cat", "/proc/sys/kernel/random/boot_id")


def test_the_second_tenant_gets_a_kernel_of_its_own(docker, bulkhead):
    assert docker.ok("run", "--name", "first", "--label", f"{TENANT}=a", IMAGE, *READ_BOOT_ID) == boot_id_of_host()
    assert docker.ok("run", "--name", "second", "--label", f"{TENANT}=b", IMAGE, *READ_BOOT_ID) != boot_id_of_host()
    assert docker.ok("run", "--label", f"{TENANT}=a", IMAGE, *READ_BOOT_ID) == boot_id_of_host()
    assert docker.inspect("second")["HostConfig"]["Isolation"] == "hyperv"
    assert "tenant 'a' run on the host's kernel" in bulkhead.ok("policy", "why", "second")


def test_a_requirement_is_what_the_container_gets(docker, policy_file):
    policy_file.write("- {match: {labels: {x: '*'}}, factors: dedicated kernel}\n" + ALLOW_ALL)
    assert docker.ok("run", "--rm", "--label", "x=1", IMAGE, *READ_BOOT_ID) != boot_id_of_host()
    assert docker.ok("run", "--rm", IMAGE, *READ_BOOT_ID) == boot_id_of_host()


def test_walls_stand_inside_a_vm_too(docker, policy_file):
    policy_file.write("- {match: any, factors: compliance}\n")
    result = docker("run", "--rm", IMAGE, "sh", "-c", "grep -E 'NoNewPrivs|CapBnd' /proc/self/status; touch /x")
    assert result.code == 1 and "Read-only file system" in result.err, result
    assert "NoNewPrivs:\t1" in result.out and not int(result.out.split("CapBnd:")[1].split()[0], 16) & (1 << 13)


def test_where_no_vm_can_be_made_the_second_tenant_is_refused(make_engine, make_client):
    with live_engine(make_engine(arguments=["--vm-qemu", "/no/such/qemu"])) as engine:
        docker = make_client(engine)
        docker.ok("create", "--label", f"{TENANT}=a", IMAGE)
        error = docker.fails("create", "--label", f"{TENANT}=b", IMAGE, code=1, match="never share")
        assert "/no/such/qemu" in error, error
        assert len(engine.api.get("/containers/json?all=1").json()) == 1
        engine.api.remove_all_containers()
        docker.ok("create", "--label", f"{TENANT}=b", IMAGE)


def test_environments_are_kept_apart_where_the_policy_says_so(docker, policy_file):
    policy_file.write("- {match: {environment: production}, factors: environment}\n- {match: any, allow: process}\n")
    label = "org.bulkhead.environment"
    docker.ok("create", "--label", f"{label}=dev", IMAGE)
    docker.ok("create", "--label", f"{label}=test", IMAGE)
    docker.fails("create", "--isolation=process", "--label", f"{label}=production", IMAGE, code=1, match="never share")


def test_places_are_found_again_by_the_next_engine(docker, engine):
    docker.ok("run", "-d", "--label", f"{TENANT}=a", IMAGE, "sleep", "1000")
    engine.kill()
    engine.start()
    docker.fails("create", "--isolation=process", "--label", f"{TENANT}=b", IMAGE, code=1, match="tenant 'a'")
    docker.ok("create", "--isolation=process", "--label", f"{TENANT}=a", IMAGE)


def test_a_failed_create_keeps_no_place(docker):
    docker.fails("create", "--label", f"{TENANT}=a", "--stop-signal", "SIGNONE", IMAGE, code=1)
    docker.fails("create", "--label", f"{TENANT}=a", "-v", "/no/such/thing/:relative", IMAGE, code=1)
    docker.ok("create", "--name", "taken", "--label", f"{TENANT}=b", IMAGE)
    docker.fails("create", "--name", "taken", "--label", f"{TENANT}=b", IMAGE, code=1)
    docker.ok("rm", "taken")
    docker.ok("create", "--label", f"{TENANT}=a", IMAGE)


def test_two_hundred_at_once_of_five_tenants(api, engine):
    tenants = [f"tenant{number % 5}" for number in range(200)]
    random.shuffle(tenants)
    statuses = []

    def create(tenant):
        statuses.append(api.post("/containers/create", {"Image": IMAGE, "Cmd": ["true"], "Labels": {TENANT: tenant}}).status)

    threads = [threading.Thread(target=create, args=(tenant,)) for tenant in tenants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * 200, statuses
    on_host = [tenant for tenant, isolation in kernels(api) if isolation == "process"]
    assert len(set(on_host)) == 1 and len(on_host) == 40, on_host
