"""Errors and warnings of the preflight about the host and the sandbox."""

import json

import pytest

CONVERGE = "molecule/sandbox/converge.yml"
CELERY = "/opt/slideshow/venv/bin/celery"
PACKAGES = "/opt/slideshow/venv/lib/python3*/site-packages"


@pytest.fixture(scope="module")
def check(ansible_output):
    """Runs check mode with these workers, which are named after their fault; returns the output."""

    def run(**workers):
        wish = {"workers": [{"name": name, "queues": [name], **options} for name, options in workers.items()]}
        return " ".join(ansible_output(CONVERGE, "--check", "--extra-vars", json.dumps(wish)).split())

    return run


@pytest.fixture(scope="module")
def refused(host, check):
    """The output with all errors at once."""
    host.check_output("mkdir -p /opt/shut/inside && chmod 700 /opt/shut && chown slideshow /opt/shut/inside")
    host.check_output("echo \"open('/opt/slideshow/elsewhere/log', 'a')\" > /opt/slideshow/backend/logs.py")
    host.check_output(f"printf '#!/bin/sh\\n{CELERY} \"$@\"\\n' > /opt/without-exec && chmod +x /opt/without-exec")
    host.check_output(
        "for data in data elsewhere; do install -o slideshow /dev/null /opt/slideshow/$data/django.db; done"
    )
    host.check_output(f"cd {PACKAGES} && mv redis redis.away")
    output = check(
        nowhere={"writable_paths": ["/opt/nowhere"]},
        shut={"writable_paths": ["/opt/slideshow/backend", "/opt/shut/inside", "/opt/slideshow/data"]},
        logs={"app": "logs"},
        wrapped={"executable": "/opt/without-exec"},
        typo={"sandbox": {"PrivatTmp": False}},
        django={"app": "django_app", "executable": "/opt/photo_album/venv/bin/celery", "settings": {}},
    )
    host.check_output(f"cd {PACKAGES} && mv redis.away redis")
    assert "Nothing was changed. Correct this first:" in output
    return output


@pytest.mark.parametrize(
    "complaint",
    [
        "nowhere: writable_paths '/opt/nowhere' does not exist on this host. Create it, or leave it out.",
        "shut: writable_paths '/opt/slideshow/backend' can't be written by user slideshow:"
        " /opt/slideshow/backend is root:root, mode 0755."
        " Give that user permission (chown --no-dereference slideshow /opt/slideshow/backend, or setfacl), or leave the"
        " path out.",
        "shut: writable_paths '/opt/shut/inside' can't be written by user slideshow: /opt/shut is root:root, mode 0700."
        " Give that user permission (chmod o+x /opt/shut, or setfacl), or leave the path out.",
        "logs: app 'logs' can't be loaded in /opt/slideshow/backend as user slideshow:"
        " OSError: [Errno 30] Read-only file system: '/opt/slideshow/elsewhere/log'.",
        "wrapped: executable '/opt/without-exec' runs Celery in a child process",
        "django: database 'default': the sandbox makes /opt/slideshow/elsewhere/django.db read-only. SQLite also writes"
        " files beside it, so add its directory to writable_paths: /opt/slideshow/elsewhere.",
        "django: database 'reports' (down) can't be used: ConnectionRefusedError: [Errno 111] Connection refused. Start"
        " it, or correct DATABASES in the application's settings.",
        "typo: sandbox: systemd does not know the directive 'PrivatTmp'.",
        "Install kombu[redis] in the virtual environment of '/opt/slideshow/venv/bin/celery'.",
    ],
)
def test_each_error_is_reported_with_its_remedy(refused, complaint):
    assert complaint in refused


def test_valid_options_are_not_reported(refused):
    assert "'/opt/slideshow/data' can't be written" not in refused
    assert "database 'writable'" not in refused
    assert "does not answer" not in refused


def test_a_command_of_the_inventory_runs_as_the_service_would_and_has_to_succeed(check):
    program = "import getpass, os, sys; open('data/made', 'w'); sys.exit(f'{getpass.getuser()} in {os.getcwd()}')"
    command = ["../venv/bin/python", "-c", program.replace("data", "/opt/slideshow/data")]
    output = check(slideshow={"preflight_command": command}, same={"preflight_command": command})
    assert "failed (exit code 1). Correct what it says: slideshow in /opt/slideshow/backend" in output, output
    assert "slideshow: preflight_command" in output
    assert "same: preflight_command" in output


def test_check_mode_shows_what_a_profile_chose(check):
    profile = {"task_memory": "200M", "max_concurrency": 2, "machines": [{"memory": 0, "max_tasks_per_child": 50}]}
    output = check(sized={"pool": "prefork", "profile": profile}, slideshow={"memory_max": "300M", "concurrency": 1})
    assert "sized: max_tasks_per_child 50, concurrency 2, memory_max 648M, max_memory_per_child 260M (" in output, (
        output
    )


def test_preflight_warns_of_files_of_root_and_of_tasks_that_run_as_root(host, check):
    host.check_output("touch /opt/slideshow/data/of-roots.db")
    output = check(slideshow={}, careless={"user": "root", "writable_paths": []})
    host.check_output("rm /opt/slideshow/data/of-roots.db")
    assert "failed=0" in output, output
    assert "If the worker needs them: chown --no-dereference slideshow /opt/slideshow/data/of-roots.db" in output, (
        output
    )
    assert "careless: user is root, so its tasks run as root" in output, output
