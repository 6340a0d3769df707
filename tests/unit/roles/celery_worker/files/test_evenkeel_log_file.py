"""What is written to a log file, and what a fault of the file costs.

Celery is not installed here, so it is simulated.
"""

import importlib.util
import logging
import sys
from types import ModuleType

import pytest
from project import PROJECT

FILE = PROJECT / "roles" / "celery_worker" / "files" / "evenkeel_log_file.py"
SIGNALS = ("after_setup_logger", "after_setup_task_logger", "celeryd_after_setup", "beat_init")


class Signal:
    def __init__(self):
        self.receivers = []

    def connect(self, receiver, weak):
        self.receivers.append(receiver)

    def send(self):
        for receiver in self.receivers:
            receiver(sender=None)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENKEEL_LOG_FILE", str(tmp_path / "w.log"))
    return tmp_path / "w.log"


@pytest.fixture
def signals(path, monkeypatch):
    """Celery's signals, to which the module has connected itself."""
    celery, simulated = ModuleType("celery"), ModuleType("celery.signals")
    simulated.__dict__.update({name: Signal() for name in SIGNALS})
    celery.signals = simulated
    monkeypatch.setitem(sys.modules, "celery", celery)
    monkeypatch.setitem(sys.modules, "celery.signals", simulated)
    spec = importlib.util.spec_from_file_location("evenkeel_log_file", FILE)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return simulated


@pytest.fixture
def logger(monkeypatch):
    """A logger of its own, with one handler that writes to the journal."""
    handler = logging.StreamHandler(sys.__stderr__)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    made = logging.Logger("tasks")
    made.addHandler(handler)
    monkeypatch.setitem(logging.Logger.manager.loggerDict, "tasks", made)
    yield made
    for each in made.handlers:
        each.close()


@pytest.mark.parametrize("moment", SIGNALS)
def test_the_file_gets_what_the_journal_gets_whoever_configures_logging(signals, logger, path, moment):
    getattr(signals, moment).send()
    signals.after_setup_logger.send()
    logger.warning("ä\udcff")
    assert path.read_text() == "WARNING ä\\udcff\n"


def test_levels_and_filters_are_those_of_the_journals_handler(signals, logger, path):
    (handler,) = logger.handlers
    handler.setLevel("ERROR")
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    signals.after_setup_logger.send()
    logger.warning("no error")
    logger.error("a secret")
    logger.error("shown")
    assert path.read_text() == "ERROR shown\n"


def test_a_logger_that_does_not_write_to_the_journal_does_not_write_to_the_file(signals, logger, path, tmp_path):
    logger.handlers = [logging.NullHandler(), logging.FileHandler(tmp_path / "own.log")]
    signals.after_setup_logger.send()
    logger.error("elsewhere")
    assert not path.exists()


def test_a_file_that_was_renamed_is_followed_by_a_new_one(signals, logger, path):
    signals.after_setup_logger.send()
    logger.error("one")
    path.rename(path.with_suffix(".1"))
    logger.error("two")
    assert (path.with_suffix(".1").read_text(), path.read_text()) == ("ERROR one\n", "ERROR two\n")


def test_only_the_user_and_its_group_can_read_it(signals, logger, path):
    signals.after_setup_logger.send()
    logger.error("one")
    assert not path.stat().st_mode & 0o137


def test_a_fault_of_the_file_is_said_once_and_reaches_no_task(signals, logger, path, capfd):
    signals.after_setup_logger.send()
    logger.error("one")
    path.unlink()
    path.mkdir()
    logger.error("two")
    logger.error("three")
    said = capfd.readouterr().err
    assert said.count("evenkeel_log_file: ") == 1
    assert f"{path} can't be written: IsADirectoryError(" in said
    path.rmdir()
    logger.error("four")
    assert path.read_text() == "ERROR four\n"
