"""Log lines with fields for the aggregation: operation=config_reload queue=training …"""

import logging

from celery import current_task
from celery.signals import after_setup_logger, after_setup_task_logger

FORMAT = "%(levelname)s %(name)s operation=%(operation)s queue=%(queue)s %(message)s"


class Fields(logging.Filter):
    def filter(self, record):
        record.operation = getattr(record, "operation", "-")
        request = current_task.request if current_task else None
        record.queue = ((request and request.delivery_info) or {}).get("routing_key", "-")
        return True


def install():
    after_setup_logger.connect(_format)
    after_setup_task_logger.connect(_format)


def _format(logger, **_):
    for handler in logger.handlers:
        handler.addFilter(Fields())
        handler.setFormatter(logging.Formatter(FORMAT))
