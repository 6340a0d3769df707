"""Every documented option of a service has an effect."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import KINDS as TABLES
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.kinds import KINDS
from workers import PROGRAMS, beat, worker

# Options that say how a service is deployed, not what it is: the module celery_services reads them.
OF_THE_DEPLOYMENT = ("stay_up", "restart_on")
# Options from which others follow on a machine: test_profile.py.
OF_THE_MACHINE = ("profile",)
OF_THE_PREFLIGHT = ("preflight_command", "check_databases", "unenforced")
MAKE = {"worker": worker, "beat": beat}
OPTIONS = [
    pytest.param(kind, option, id=f"{kind} {option.name}")
    for kind, table in TABLES.items()
    for option in table
    if option.name not in (*OF_THE_DEPLOYMENT, *OF_THE_MACHINE, *OF_THE_PREFLIGHT)
]


def another_value(option):
    """A value that is not the option's default."""
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    return {
        "str": "/another",
        "size": "123M",
        "duration": "77s",
        "int": 7,
        "bool": not option.default,
        "raw": True,
        "list": ["/another"],
        "dict": {"another_key": "another value"},
    }[option.type]


@pytest.mark.parametrize(("kind", "option"), OPTIONS)
def test_every_option_changes_the_files_of_a_service(kind, option):
    files, make = KINDS[kind].files, MAKE[kind]
    usual = {"log_file": "/var/log/shop/shop.log"}  # which has options of its own
    changed = make(**{**usual, option.name: another_value(option)})
    assert files(changed, PROGRAMS) != files(make(**usual), PROGRAMS), (
        f"{option.name} is documented, but nothing uses it"
    )
