"""Names that would be something else on the host."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.names import name_errors
from ansible_collections.evenkeel.celery.plugins.module_utils._common import paths
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup import plan as job_cleanup
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.kinds import KINDS
from hypothesis import given
from hypothesis import strategies as st

OURS = (
    *(job_cleanup.SCRIPT, job_cleanup.ENGINE, *job_cleanup.OLD_ENGINES, job_cleanup.CONFIG),
    f"{paths.PROGRAMS}/stale_workers.py",  # of older versions
)


@pytest.mark.parametrize("name", ["celery", "celery-worker", "shop@1", "a.b_c", "2"])
def test_a_name_of_a_unit_is_accepted(name):
    assert not list(name_errors(name))


@pytest.mark.parametrize(
    "name",
    ["..", ".", "-x", "a/b", "a:b", "template@", "", "_engine", "w.service", "w.socket", "w.service.d", "a\n", "ä"],
)
def test_what_is_no_units_name_is_refused(name):
    assert "is not a valid unit name" in "".join(name_errors(name))


@pytest.mark.parametrize("name", ["stuck_jobs", "stale_workers.py", "evenkeel-w", "systemd-journald"])
def test_a_name_of_ours_or_systemds_is_refused(name):
    assert list(name_errors(name)) == [
        f"name '{name}' is reserved for files of evenkeel.celery or units of systemd. Set another name."
    ]


@given(st.sampled_from(OURS) | st.from_regex(r"[\w.@-]{1,20}", fullmatch=True))
def test_no_service_has_a_file_or_directory_of_ours(name):
    name = name.rsplit("/", 1)[-1]
    if not list(name_errors(name)):
        its = {paths.program_directory(name), *(path for kind in KINDS.values() for path in kind.paths(name))}
        assert not its & set(OURS)
