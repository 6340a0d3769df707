"""Running workers are asked with their own celery command, as their users."""

import os

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.transient import Result
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import ping

START = "{{ path=/venv/bin/celery ; argv[]={} ; ignore_errors=no ; pid=1 }}"
COMMAND = "/venv/bin/celery -A shop worker --hostname=shop@%h --pool=prefork --concurrency=2"
UNIT = {
    "ExecStart": START.format(COMMAND),
    "User": "shop",
    "WorkingDirectory": "/srv/shop",
    "EnvironmentFiles": "/etc/evenkeel/shop.env (ignore_errors=no)",
    "MainPID": str(os.getpid()),
    "ActiveState": "active",
}
TASK_ID = "ff204112-4de8-41ff-b840-76e30ceafa0d"
PONG = '{"shop@vps.example.com": {"ok": "pong"}}'


@pytest.fixture
def ask(monkeypatch):
    """Asks one worker with this unit; `ask.ran` has the commands and properties of what was run."""

    def act(output="", error="", unit=None, logged=(), **options):
        act.ran = []

        def run(prefix, command, properties, seconds):
            act.ran.append((" ".join(command), tuple(properties)))
            return Result("u", "success", 0, TASK_ID if "call" in command else output, error)

        monkeypatch.setattr(ping.systemd, "show", lambda names, properties: dict.fromkeys(names, unit or UNIT))
        monkeypatch.setattr(ping.transient, "run", run)
        monkeypatch.setattr(
            ping.transient, "circumstances", lambda service: [f"Description={service}", "ProtectHome=yes"]
        )
        monkeypatch.setattr(ping, "Reading", lambda question, **bounds: iter(logged))
        monkeypatch.setattr(ping.socket, "gethostname", lambda: "vps.example.com")
        return ping.ask(["shop"], patience=0, **options)["shop"]

    return act


def test_the_applications_own_command_runs_as_its_user(ask):
    found = ask(f"hello\n{PONG}\n")
    assert (found.answers, found.why, found.concurrency) == (True, "", 2)
    ((command, properties),) = ask.ran
    assert command == "/venv/bin/celery -A shop inspect ping --json --timeout=5"
    assert {"User=shop", "WorkingDirectory=/srv/shop", "EnvironmentFile=/etc/evenkeel/shop.env"} <= set(properties)
    assert {"ProtectHome=yes", "MemoryMax=2G"} <= set(properties), "the worker's sandbox, and a limit on memory"


@pytest.mark.parametrize(
    ("output", "error", "answers", "why"),
    [
        ('{"other@vps.example.com": {"ok": "pong"}}', "", False, "shop@vps.example.com did not answer in 5 s"),
        ("", "Error: No nodes replied within time constraint", False, "shop@vps.example.com did not answer in 5 s"),
        ("", "kombu.exceptions.OperationalError: \x1b[31mrefused", None, r"OperationalError: \x1b[31mrefused"),
        ("[" * 100000, "", None, "celery inspect ping failed"),
        ("", "", None, "celery inspect ping failed: success"),
    ],
)
def test_no_answer_differs_from_not_known(ask, output, error, answers, why):
    found = ask(output, error)
    assert found.answers is answers
    assert why in found.why


@pytest.mark.parametrize(
    ("output", "error"),
    [(PONG.replace("shop@", "other@"), ""), ("", "No nodes replied"), ("", "certificate verify failed")],
)
@pytest.mark.parametrize(
    ("settings", "known"),
    [
        ("broker_url=redis://other/0", False),
        ('broker_use_ssl=(json){"ca_certs": "/ca.pem"}', False),
        ("task_acks_late=true worker_enable_remote_control=false", False),
        ("task_acks_late=true", True),
    ],
)
def test_settings_that_only_the_worker_knows_may_be_why_it_does_not_answer(ask, settings, known, output, error):
    unit = {**UNIT, "ExecStart": START.format(f"{COMMAND} -- {settings}")}
    assert ("celery inspect does not know" in ask(output, error, unit=unit).why) is not known
    assert ask(PONG, unit=unit).answers is True, "it answers all the same"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ActiveState": "failed"}, "it does not run"),
        ({"ExecStart": START.format("/usr/bin/gunicorn shop")}, "its unit's command is no `celery worker`"),
        ({"ExecStart": START.format("/usr/bin/celery 'worker")}, "its unit's command is no `celery worker`"),
        ({"ExecStart": ""}, "its unit's command is no `celery worker`"),
    ],
)
def test_what_is_no_running_worker_is_not_asked(ask, changes, why):
    assert ask(unit={**UNIT, **changes}).why == why
    assert ask.ran == []


@pytest.mark.parametrize(
    ("options", "node", "concurrency"),
    [
        ("", "celery@vps.example.com", None),
        ("-n shop@%n -c 4", "shop@vps", 4),
        ("--hostname shop.%d --concurrency=4 --autoscale=4,1", "celery@shop.example.com", None),
        ("--pool=threads --concurrency=4", "celery@vps.example.com", None),
    ],
)
def test_node_name_and_concurrency_follow_from_the_command(ask, options, node, concurrency):
    unit = {**UNIT, "ExecStart": START.format(f"/venv/bin/celery -A shop worker {options}".strip())}
    found = ask(f'{{"{node}": {{"ok": "pong"}}}}', unit=unit)
    assert (found.answers, found.concurrency) == (True, concurrency)


def test_a_task_is_done_once_the_log_says_so(ask):
    assert ask(PONG, task="shop.ping", logged=["an entry"]).task_done is True
    assert ask.ran[1][0] == "/venv/bin/celery -A shop call shop.ping"
    assert ask(PONG, task="shop.ping").task_done is None


def test_a_worker_that_does_not_answer_gets_no_task(ask):
    assert ask("", task="shop.ping").task_done is None
    assert len(ask.ran) == 1
