"""Exports of services, as the module writes them."""

import yaml
from ansible_collections.evenkeel.celery.plugins.module_utils._export import files
from ansible_collections.evenkeel.celery.plugins.module_utils._export import options as option_table
from ansible_collections.evenkeel.celery.plugins.module_utils._export.errors import errors
from ansible_collections.evenkeel.celery.plugins.module_utils._export.services import services
from ansible_collections.evenkeel.celery.plugins.module_utils._export.warnings import warnings

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, ten times as fast
PROGRAMS = dict.fromkeys(("evenkeel_watchdog.py", "evenkeel_beat.py", "evenkeel_heartbeat.py"), "")


def options(target, **given):
    return option_table.complete({"target": target, "project": "shop", "image": "shop:1", **given})


def exported(target, *instances, **given):
    """The texts of the files by their names."""
    complete = options(target, **given)
    assert list(errors(list(instances), complete)) == []
    return files.wanted(services(instances, complete), complete, PROGRAMS)


def documents(target, *instances, **given):
    """The documents of all YAML files, by the files' names."""
    texts = exported(target, *instances, **given)
    return {name: list(yaml.load_all(text, LOADER)) for name, text in texts.items() if name.endswith(".yaml")}


def warned(target, *instances, **given):
    complete = options(target, **given)
    return warnings(services(instances, complete), complete)


def refused(target, *instances, **given):
    return list(errors(list(instances), options(target, **given)))
