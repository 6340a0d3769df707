"""The contents of the script's configuration and of cron's file."""

from __future__ import annotations

import json

from ansible_collections.evenkeel.celery.plugins.module_utils._common.users import Identity
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.plan import (
    ENGINE,
    SCRIPT,
    Cron,
    config_path,
    configuration,
    cron_path,
    wanted,
)

JOBS = {"name": "jobs", "path": "/srv/jobs.db", "table": "jobs"}
APP = Identity(1000, 1000)


def test_the_script_is_installed_with_its_configuration_and_its_engine():
    files = wanted({"/etc/x": None}, "#!/usr/bin/env python3\n", [APP]).files
    assert files[SCRIPT].mode == 0o755
    assert files["/etc/x"] is None
    assert files[f"{ENGINE}/_stuck_jobs/plan.py"].content
    assert files[f"{ENGINE}/_common/files.py"].content
    assert json.loads(configuration([JOBS], "/srv/jobs.prom", {"jobs": "shop"}).content) == {
        "databases": [JOBS],
        "managed_by": "Managed by evenkeel.celery",
        "metrics_file": "/srv/jobs.prom",
        "owners": {"jobs": "shop"},
    }


def test_cron_runs_the_script_every_ten_minutes_by_default():
    marker, line = str(Cron({}, "app")).splitlines()
    assert marker == "# Managed by evenkeel.celery"
    assert line.startswith("*/10 * * * * app /usr/bin/systemd-cat ")
    assert line.endswith("/cleanup_stuck_jobs.py --quiet --config /etc/evenkeel/job_cleanup.json")
    assert str(Cron({"minute": "7", "weekday": "1-5"}, "app")).splitlines()[1].startswith("7 * * * 1-5 app ")


def test_each_project_has_files_and_a_lock_of_its_own():
    assert config_path("peakops") == "/etc/evenkeel/job_cleanup.peakops.json"
    assert cron_path("peakops") == "/etc/cron.d/evenkeel-job-cleanup-peakops"
    line = str(Cron({}, "app", "peakops")).splitlines()[1]
    assert " -n /var/lib/evenkeel/job_cleanup/app/peakops.lock " in line
    assert line.endswith(" --config /etc/evenkeel/job_cleanup.peakops.json")
    assert " -n /var/lib/evenkeel/job_cleanup/app /usr/local" in str(Cron({}, "app"))
