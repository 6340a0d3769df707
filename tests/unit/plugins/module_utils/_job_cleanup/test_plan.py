"""The contents of the script's configuration and of cron's file."""

from __future__ import annotations

import json

from ansible_collections.evenkeel.celery.plugins.module_utils._common.users import Identity
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.plan import (
    CONFIG,
    CRON,
    ENGINE,
    SCRIPT,
    Cron,
    wanted,
)

JOBS = {"name": "jobs", "path": "/srv/jobs.db", "table": "jobs"}
APP = Identity(1000, 1000)


def test_the_script_is_installed_with_its_configuration_and_its_engine():
    files = wanted("#!/usr/bin/env python3\n", [JOBS], "/srv/jobs.prom", [APP], None).files
    assert files[SCRIPT].mode == 0o755
    assert json.loads(files[CONFIG].content) == {
        "databases": [JOBS],
        "managed_by": "Managed by evenkeel.celery",
        "metrics_file": "/srv/jobs.prom",
    }
    assert files[f"{ENGINE}/_stuck_jobs/plan.py"].content
    assert files[f"{ENGINE}/_common/files.py"].content
    assert CRON not in files


def test_cron_runs_the_script_every_ten_minutes_by_default():
    marker, line = str(Cron({}, "app")).splitlines()
    assert marker == "# Managed by evenkeel.celery"
    assert line.startswith("*/10 * * * * app /usr/bin/systemd-cat ")
    assert line.endswith("/cleanup_stuck_jobs.py --quiet")
    assert str(Cron({"minute": "7", "weekday": "1-5"}, "app")).splitlines()[1].startswith("7 * * * 1-5 app ")
