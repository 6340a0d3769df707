"""Nothing that a service does or that a host has run out of holds or splits a deployment."""

import json
from pathlib import Path

import pytest

CONVERGE = "molecule/attacks/worker.yml"
CLINGY = (Path(__file__).parent / "files" / "clingy.py").read_text()
BROKER = {"BROKER": "redis://127.0.0.1:6380/0"}
STATE = "/var/lib/evenkeel/services/victim/state.json"
OURS = "/etc/systemd/system/*victim.service /etc/evenkeel/victim.env /usr/local/lib/evenkeel/victim/*.py"


@pytest.fixture(scope="module")
def converge(ansible_playbook):
    return lambda **more: ansible_playbook(CONVERGE, "--extra-vars", json.dumps({"more": more}))


@pytest.fixture(scope="module")
def deployed(converge):
    converge()


@pytest.fixture
def there(server):
    """What must not change: the victim's files, and which run of it is active."""
    return lambda: (server.check_output(f"sha256sum {OURS}"), server.run_of("victim"))


def test_a_worker_that_puts_off_its_end_for_ever_is_killed_and_that_is_said(server, converge, ansible_output):
    server.check_output("printf %%s %s > /srv/shop/clingy.py && chmod 644 /srv/shop/clingy.py", CLINGY)
    converge(app="clingy", pool="solo", stop_timeout="1s")
    more = json.dumps({"more": {"pool": "solo", "stop_timeout": "1s"}})
    output = " ".join(ansible_output(CONVERGE, "--extra-vars", more).split())
    assert "failed=0" in output, output
    assert "victim had not stopped after 31 s, so its processes were killed." in output
    server.serve("victim")


@pytest.fixture(params=["/etc/evenkeel", "/etc/systemd/system", "/var/lib/evenkeel"])
def full(request, server, deployed):
    """A directory that is on a disk of its own, which is full until the test empties it."""
    path, aside = request.param, "/root/aside"
    server.check_output(f"cp -a {path} {aside} && mount -t tmpfs -o size=256k,mode=755 tmpfs {path}")
    server.check_output(f"cp -a {aside}/. {path} && rm -r {aside}")
    server.run(f"cat /dev/zero > {path}/filler")
    yield path, lambda: server.check_output(f"rm {path}/filler")
    server.check_output(f"rm -f {path}/filler && cp -a {path} {aside} && umount {path} && cp -a {aside}/. {path}")
    server.check_output(f"rm -r {aside} && systemctl daemon-reload")


def test_a_full_disk_changes_nothing_and_the_next_run_with_room_completes(server, converge, there, full):
    before, (path, empty) = there(), full
    # Each of the worker's files changes for each directory.
    timeout = {"/etc/evenkeel": "57s", "/etc/systemd/system": "58s", "/var/lib/evenkeel": "59s"}[path]
    wish = {"environment": {**BROKER, "REASON": path + "x" * 5000}, "stale_workers_timeout": timeout}
    with pytest.raises(AssertionError, match=r"victim was not changed: .*No space left on device"):
        converge(**wish)
    assert there() == before
    server.serve("victim")
    empty()
    assert converge(**wish)["changed"]
    assert not converge(**wish)["changed"]
    server.serve("victim")


def test_a_damaged_state_is_a_sentence_and_moved_away_it_is_no_obstacle(server, converge, there):
    converge()
    before = there()
    for content in ("", '{"current": "../../../etc"}', '{"newer": 1}'):
        server.check_output("printf %%s %s > %s", content, STATE)
        sentence = rf"{STATE} (is damaged|has the field 'newer').*move it away and run this"
        with pytest.raises(AssertionError, match=sentence):
            converge()
        assert there() == before
    server.check_output("rm %s", STATE)
    converge()
    assert there()[0] == before[0]
    assert not converge()["changed"]
