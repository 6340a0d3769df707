"""The report on hosts, as the action makes it of their answers."""

from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.answer import answers_of
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.summary import summarize
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.wanted import wanted
from reports import GONE, NOW


def summary(*hosts, **goals):
    """hosts: answers, or GONE."""
    results = [each if each is GONE else {"report": each} for each in hosts]
    answers, silent = answers_of({f"host-{number}": result for number, result in enumerate(results)})
    return summarize(answers, silent, wanted(7, {"memory": "1G", **goals}), NOW)
