"""Hostile values in the inventory: refused, or exactly one value for systemd, cron and the worker."""

import json
import re
from pathlib import Path

import pytest

PLAYBOOK = "molecule/attacks/converge.yml"


@pytest.fixture
def attempt(host, ansible_output):
    """Runs the roles with these variables; returns the output. Nothing may have changed."""

    def run(**variables):
        look = "find /etc /usr/local/lib/evenkeel -type f -exec sha256sum {} + | sort; systemctl list-units --quiet"
        before = host.check_output(look)
        output = ansible_output(PLAYBOOK, "--extra-vars", json.dumps(variables))
        assert "failed=1" in output
        assert "Traceback" not in output
        assert host.check_output(look) == before
        return output

    return run


def workers(**options):
    """A worker for each of these: {name: {option: value}}."""
    return {"workers": [{"name": name, "queues": [name], **each} for name, each in options.items()]}


# What is refused, and where: all of a module's in one run.
CONTROL_CHARACTERS = [
    (
        workers(
            **{"second-line": {"app": "shop\nExecStartPre=+/bin/touch /root/owned"}},
            **{"return": {"user": "shop\rUser=root"}},
            sandboxed={"sandbox": {"UMask": "0027\nUser=root"}},
            ended={"environment": {"A": "1\u0000"}},
            separated={"writable_paths": ["/srv/shop\u2028"]},
        ),
        {
            "second-line: app": "U+000A",
            "return: user": "U+000D",
            "sandboxed: sandbox: UMask": "U+000A",
            "ended: environment: A": "U+0000",
            "separated: writable_paths": "U+2028",
        },
    ),
    (
        {
            "databases": [{"name": "jobs", "path": "/srv/shop/data/\u001b[2J.db", "table": "jobs"}],
            "job_cleanup_cron_state": "present",
            "job_cleanup_cron_user": "root\u0085",
            "job_cleanup_cron_schedule": {"minute": "5 * * * * root true\n5"},
        },
        {"jobs: path": "U+001B", "cron_user": "U+0085", "cron_schedule: minute": "U+000A"},
    ),
]


@pytest.mark.parametrize(("variables", "refused"), CONTROL_CHARACTERS, ids=["worker", "job_cleanup"])
def test_a_control_character_is_refused_and_not_printed(attempt, variables, refused):
    output = attempt(**variables)
    words = " ".join(output.split())
    for where, character in refused.items():
        assert re.search(rf"{where}: .{{,60}} contains the character {re.escape(character)}\.", words), output
    assert not [line for line in output.splitlines() if line.startswith(("User=root", "ExecStartPre"))]
    assert not {"\x1b[2J", "\x85", "\u2028"} & set(output)


def test_a_schedule_with_a_second_line_is_no_second_job_of_roots(attempt, host):
    output = attempt(job_cleanup_cron_state="present", job_cleanup_cron_schedule={"minute": "5 * * * * root true #"})
    assert "is not a field of crontab(5)" in output
    assert "root true" not in host.run("cat /etc/cron.d/*").stdout


@pytest.mark.parametrize(
    "refused",
    [
        {
            **dict.fromkeys(("systemd-journald", "stuck_jobs", "stale_workers.py"), "is reserved for"),
            "..": "is not a valid unit name",
        },
        # What the host says, where the name itself is possible.
        dict.fromkeys(("redis-server", "dbus"), "is not a unit of Celery"),
    ],
    ids=" ".join,
)
def test_a_worker_is_not_called_like_another_unit_or_one_of_our_files(attempt, refused):
    words = " ".join(attempt(**workers(**{name: {} for name in refused})).split())
    for name, why in refused.items():
        assert re.search(rf"- {re.escape(name)}: name.{{,120}} {why}", words), words


READ = "import json, os, sys; json.dump(dict(os.environ), sys.stdout)"


def systemd_reads(host, file=""):
    """The environment of a service with this environment file."""
    with_file = f"-p EnvironmentFile={file}" if file else ""
    command = f"systemd-run --quiet --pipe --wait --collect {with_file} /usr/bin/python3 -I -c %s"
    return json.loads(host.check_output(command, READ))


# Each character means something to systemd, to a shell, to Python or to cron.
ODD = "$HOME %h %% \\ \\x41 \"' ; # = `id` *"


def test_accepted_values_arrive_unchanged(host, server, ansible_playbook):
    directory = f"/srv/{ODD}x"
    workers = [{"name": "victim", "queues": ["victim", ODD]}]
    writable = directory.replace("$", "")  # Ansible itself expands variables in paths
    values = {"A": ODD, "B": f"two\nlines {ODD}\n", "C": "", "D": " x ", "E": "tab\tä"}
    more = {
        "directory": directory,
        "description": f"{ODD}\nUser=root",
        "environment": values,
        "writable_paths": ["/srv/shop", "/opt/shop/data", writable],
        "settings": {"task_default_queue": ODD},
    }
    host.check_output(
        "mkdir -p %s %s && cp /srv/shop/shop.py %s && chown shop %s", directory, writable, directory, writable
    )
    ansible_playbook(PLAYBOOK, "--extra-vars", json.dumps({"more": more, "workers": workers}))
    server.serve("victim")
    shown = server.show("victim", "User", "Description", "WorkingDirectory", "MainPID")
    assert shown["User"] == "shop"
    assert shown["Description"] == f"{ODD} User=root"
    assert shown["WorkingDirectory"] == directory
    process = f"/proc/{shown['MainPID']}"
    arguments = host.file(f"{process}/cmdline").content_string.replace("\0", " ")  # or its title
    assert f"--queues=victim,{ODD}" in arguments
    assert f"task_default_queue=(json){json.dumps(ODD)}" in arguments
    environment = systemd_reads(host, "/etc/evenkeel/victim.env")
    assert {name: environment[name] for name in values} == values
    assert host.check_output("runuser --user shop -- readlink %s/cwd", process) == directory


ENVIRONMENT_FILES = [
    'A=1\nB = two words \nC=it\'s "quoted"\n',
    "# A=1\n; B=2 \\x\n\n  D=4",
    'A=\'one\' "two"three \nB=\\\nx\\ \nC="a\\\nb"',
    'A="\\"\\\\\\`\\$\\n\n$x"\nA_="open',
    "A\nB=\n=C\n1=2\nÄ=1\nexport D=1\nE=1\r\nF=\x1b[2J\u2028\n",
]
OURS = Path(__file__).parents[2] / "plugins/module_utils/_common/environment_files.py"
READ_OURS = f"""{OURS.read_text()}
import json, sys
json.dump(variables(open(sys.argv[1], newline="").read()), sys.stdout)
"""


@pytest.mark.parametrize("text", ENVIRONMENT_FILES)
def test_we_read_an_environment_file_as_systemd_does(host, text):
    host.check_output("printf %%s %s > /root/odd.env", text)
    without, systemds = systemd_reads(host), systemd_reads(host, "/root/odd.env")
    ours = json.loads(host.check_output("/usr/bin/python3 -I -c %s /root/odd.env", READ_OURS))
    assert ours == {name: value for name, value in systemds.items() if name not in without}
