"""Every documented option of a worker has an effect."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import WORKER
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.kinds import KINDS
from workers import PROGRAMS, worker

# Options that say how a worker is deployed, not what it is: the module celery_services reads them.
OF_THE_DEPLOYMENT = ("stay_up",)
OF_THE_WORKER = {option.name: option for option in WORKER if option.name not in OF_THE_DEPLOYMENT}


def another_value(option):
    """A value that is not the option's default."""
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    return {
        "str": "/another",
        "size": "123M",
        "duration": "77s",
        "int": 7,
        "list": ["/another"],
        "dict": {"another_key": "another value"},
    }[option.type]


@pytest.mark.parametrize("name", OF_THE_WORKER)
def test_every_option_changes_the_files_of_a_worker(name):
    files = KINDS["worker"].files
    changed = worker(**{name: another_value(OF_THE_WORKER[name])})
    assert files(changed, PROGRAMS) != files(worker(), PROGRAMS), f"{name} is documented, but nothing uses it"
