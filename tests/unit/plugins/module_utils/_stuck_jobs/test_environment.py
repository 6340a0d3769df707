"""The application's environment is what its worker has from the same file."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.environment import variables
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.options import StuckJobsError
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.systemd_unit import environment
from workers import worker


def test_a_workers_environment_file_is_read_as_it_was_meant():
    meant = {"BROKER": 'redis://:p$a`s"s\\@h/0', "KEY": "-----BEGIN KEY-----\nMIIEvQ==\nPIN=1\n", "EMPTY": ""}
    assert variables("w.env", environment(worker(environment=meant)).encode()) == meant


@pytest.mark.parametrize("text", [b"A=1\nB=x\0y\n", b"A=\xff\n"])
def test_a_file_that_systemd_refuses_is_refused(text):
    with pytest.raises(StuckJobsError, match="environment_file can't be read"):
        variables("w.env", text)
