"""The application's environment is what its worker has from the same file."""

from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.environment import variables
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.systemd_unit import environment
from workers import worker


def test_a_workers_environment_file_is_read_as_it_was_meant():
    meant = {"BROKER": 'redis://:p$a`s"s\\@h/0', "KEY": "-----BEGIN KEY-----\nMIIEvQ==\nPIN=1\n", "EMPTY": ""}
    assert variables("w.env", environment(worker(environment=meant)).encode()) == meant
