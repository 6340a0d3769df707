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
    host.check_output(f"cd {PACKAGES} && mv redis redis.away")
    output = check(
        nowhere={"writable_paths": ["/opt/nowhere"]},
        shut={"writable_paths": ["/opt/slideshow/backend", "/opt/shut/inside", "/opt/slideshow/data"]},
        logs={"app": "logs"},
        wrapped={"executable": "/opt/without-exec"},
        typo={"sandbox": {"PrivatTmp": False}},
    )
    host.check_output(f"cd {PACKAGES} && mv redis.away redis")
    assert "Nothing was changed. Correct this first:" in output
    return output


@pytest.mark.parametrize(
    "complaint",
    [
        "nowhere: writable_paths '/opt/nowhere' does not exist on this host. Create it, or leave the path out.",
        "shut: writable_paths '/opt/slideshow/backend' can't be written by user slideshow:"
        " /opt/slideshow/backend is root:root, mode 0755."
        " Give that user permission (chown --no-dereference slideshow /opt/slideshow/backend, or setfacl), or leave the"
        " path out.",
        "shut: writable_paths '/opt/shut/inside' can't be written by user slideshow: /opt/shut is root:root, mode 0700."
        " Give that user permission (chmod o+x /opt/shut, or setfacl), or leave the path out.",
        "logs: app 'logs' can't be loaded in /opt/slideshow/backend as user slideshow:"
        " OSError: [Errno 30] Read-only file system: '/opt/slideshow/elsewhere/log'.",
        "wrapped: executable '/opt/without-exec' runs Celery in a child process",
        "typo: sandbox: systemd does not know the directive 'PrivatTmp'.",
        "Install kombu[redis] in the virtual environment of '/opt/slideshow/venv/bin/celery'.",
    ],
)
def test_each_error_is_reported_with_its_remedy(refused, complaint):
    assert complaint in refused


def test_valid_options_are_not_reported(refused):
    assert "'/opt/slideshow/data' can't be written" not in refused
    assert "does not answer" not in refused


def test_preflight_warns_of_files_of_root_and_of_tasks_that_run_as_root(host, check):
    host.check_output("touch /opt/slideshow/data/of-roots.db")
    output = check(slideshow={}, careless={"user": "root", "writable_paths": []})
    host.check_output("rm /opt/slideshow/data/of-roots.db")
    assert "failed=0" in output, output
    assert "If the worker needs them: chown --no-dereference slideshow /opt/slideshow/data/of-roots.db" in output, (
        output
    )
    assert "careless: user is root, so its tasks run as root" in output, output
