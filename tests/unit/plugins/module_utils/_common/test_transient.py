"""What systemd-run says about the end of a transient unit, beside what the program wrote."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import processes, transient

END = "Finished with result: {}\nMain processes terminated with: code=exited/status=1\nService runtime: 46ms\n"


@pytest.fixture
def systemd_run(monkeypatch):
    """Sets what systemd-run writes and how it ends; the lists of the commands that were run."""
    commands = []

    def answers(error, exceeded=""):
        def run(command, seconds, **options):
            commands.append(command)
            unit = next((word for word in command if word.startswith("--unit=")), "=")[len("--unit=") :]
            return processes.Result("out", error.replace("UNIT", unit), 1, exceeded)

        monkeypatch.setattr(processes, "run", run)
        return commands

    return answers


@pytest.mark.parametrize(
    ("written", "outcome", "error"),
    [
        ("Running as unit: UNIT\nmine\n" + END.format("exit-code"), "exit-code", "mine"),
        ("Running as unit: UNIT; invocation ID: 4f\n" + END.format("timeout"), "timeout", ""),
        (END.format("success") + END.format("oom-kill"), "oom-kill", END.format("success").strip()),
        ("Unknown assignment: Foo=1\n", "", "Unknown assignment: Foo=1"),
    ],
    ids=["wrote", "timeout", "forged", "not started"],
)
def test_the_outcome_is_what_systemd_says_last(systemd_run, written, outcome, error):
    systemd_run(written)
    result = transient.run("t", ["/bin/true"], [], 1)
    assert (result.outcome, result.error) == (outcome, error)


def test_the_signal_that_ended_it(systemd_run):
    systemd_run("Finished with result: signal\nMain processes terminated with: code=killed/status=SYS\n")
    assert transient.run("t", ["/bin/true"], [], 1).signal == "SYS"


def test_systemd_expands_no_variables_in_the_command(systemd_run):
    commands = systemd_run(END.format("success"))
    transient.run("t", ["/bin/echo", "$HOME"], ["User=nobody"], 1)
    (command,) = commands
    assert command[-3:] == ["--", "/bin/echo", "$$HOME"]
    assert "--property=User=nobody" in command


@pytest.mark.parametrize(("exceeded", "outcome"), [("time", "timeout"), ("output", "output")])
def test_a_unit_that_exceeds_a_bound_is_killed(systemd_run, exceeded, outcome):
    commands = systemd_run("", exceeded)
    result = transient.run("t", ["/bin/true"], [], 1)
    assert result.outcome == outcome
    assert commands[-1] == ["systemctl", "kill", "--signal=KILL", result.unit]


UNIT = """\
# /etc/systemd/system/shop.service
[Unit]
Description=Shop
[Service]
Type=notify
User=shop
Environment="A=b c" \\
    D=50%%
ExecStart=/srv/shop/venv/bin/celery -A shop worker
ProtectSystem=strict
ReadWritePaths=/srv/data
StateDirectory=shop
WorkingDirectory=%h/shop
MemoryMax=800M

# /etc/systemd/system/shop.service.d/more.conf
[Service]
; a comment = none
ProtectHome=yes
[Install]
WantedBy=multi-user.target
"""


def test_what_runs_in_a_services_place_has_its_sandbox_and_not_its_supervision(monkeypatch):
    monkeypatch.setattr(transient.systemd, "run", lambda *command: UNIT)
    assert transient.circumstances("shop") == [
        "User=shop",
        'Environment="A=b c"      D=50%',
        "ProtectSystem=strict",
        "ReadWritePaths=/srv/data",
        "ProtectHome=yes",
    ]
