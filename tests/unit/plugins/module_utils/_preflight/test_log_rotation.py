"""What keeps logrotate from renaming log files."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common import paths, programs
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight.log_rotation import warnings
from workers import worker

LOGGING = worker(log_file="/var/log/celery/worker.log")
BY_HAND = """
"/var/log/nginx/*.log" /var/log/celery/*.log {
    weekly
    postrotate
        kill -USR1 $(cat /run/nginx.pid)
    endscript
}
"""


@pytest.fixture(autouse=True)
def configurations(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "LOGROTATE", str(tmp_path))
    monkeypatch.setattr(programs, "find", lambda name: f"/usr/sbin/{name}")
    return tmp_path


def test_without_logrotate_files_grow(monkeypatch):
    monkeypatch.setattr(programs, "find", lambda _name: None)
    (warning,) = warnings([LOGGING, worker()])
    assert warning == "w: logrotate is not installed, so log files grow without limit. Install it."
    assert not list(warnings([worker()]))


def test_a_second_configuration_for_the_same_file_is_named(configurations):
    (configurations / "celery").write_text(BY_HAND)
    (configurations / "evenkeel-w.conf").write_text(BY_HAND)
    (warning,) = warnings([LOGGING])
    assert f"{configurations}/celery names the log file /var/log/celery/worker.log, too" in warning


@pytest.mark.parametrize("other", ["/var/log/*.log {\n}\n", "/var/log/celery/beat.log {\n}\n", "\xff\0"])
def test_other_configurations_are_left_alone(configurations, other):
    (configurations / "other").write_text(other)
    (configurations / "directory").mkdir()
    assert not list(warnings([LOGGING]))
