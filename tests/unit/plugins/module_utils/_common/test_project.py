"""A project's name is part of files' names, also of cron's."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.project import project_errors


@pytest.mark.parametrize("name", ["", "peakops", "Photo_Album-2", "x" * 64])
def test_names(name):
    assert not list(project_errors(name))


@pytest.mark.parametrize("name", ["-x", "a.b", "a/b", "../x", "~0123456789ab", "a b", "ä", "x\n", "x" * 65])
def test_other_names_are_refused(name):
    (error,) = project_errors(name)
    assert error.startswith("evenkeel_project '")
    assert error.isprintable()
