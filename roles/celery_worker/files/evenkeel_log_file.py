# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what a Celery service logs to a file, too, which logrotate may rename at any moment without losing a line.

Loaded by evenkeel_watchdog and evenkeel_beat if $EVENKEEL_LOG_FILE is the file's path. Celery's own --logfile would
take everything away from the journal.

Each handler of logging that writes to the journal (standard output or error) gets one beside it that writes the same to
the file. So it does not matter whether Celery or the application configures logging, and a filter that hides a secret
hides it in both. Before each line, a process looks whether the path still leads to its file, and else opens a new one.
"""

import logging
import os
import sys
from contextlib import suppress
from logging.handlers import WatchedFileHandler

from celery import signals

MODE = 0o640  # as nobody but the user and its group should read it


class LogFile(WatchedFileHandler):
    """No fault of the file may reach the task that logs something: the journal has the line anyway."""

    failed = False

    def _open(self):
        return open(self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=_opener)

    def emit(self, record):
        # Its base class looks at the path outside of what catches errors.
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record):
        """Once, instead of a traceback for each line."""
        if not self.failed:
            self.failed = True
            error = sys.exc_info()[1]
            with suppress(OSError):
                os.write(2, f"evenkeel_log_file: {self.baseFilename} can't be written: {error!r}\n".encode())


def _opener(path, flags):
    return os.open(path, flags, MODE)


def attach(**_kwargs):
    """Can be called again: logging is configured in steps, and Celery has a signal after each."""
    loggers = [logging.getLogger(), *list(logging.Logger.manager.loggerDict.values())]
    for logger in loggers:
        handlers = getattr(logger, "handlers", ())  # a mere placeholder has none
        if not any(isinstance(handler, LogFile) for handler in handlers):
            for handler in filter(_writes_to_the_journal, list(handlers)):
                logger.addHandler(_beside(handler))


def _writes_to_the_journal(handler):
    return isinstance(handler, logging.StreamHandler) and handler.stream in (sys.__stdout__, sys.__stderr__)


def _beside(handler):
    log_file = LogFile(os.environ["EVENKEEL_LOG_FILE"], delay=True)
    log_file.setLevel(handler.level)
    log_file.setFormatter(handler.formatter)
    log_file.filters = list(handler.filters)
    return log_file


for _moment in (
    signals.after_setup_logger,
    signals.after_setup_task_logger,
    # If the application configures logging itself, there is none of the above.
    signals.celeryd_after_setup,
    signals.beat_init,
):
    _moment.connect(attach, weak=False)
