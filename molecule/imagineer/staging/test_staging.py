"""The preview: one worker for three queues, and a slower beat."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("both servers")
STAGING = Path(__file__).parents[3] / "inventory/imagineer/staging/group_vars/celery_workers.yml"


@pytest.fixture(scope="module")
def preview(servers):
    return next(server for server in servers if server.name.endswith("13"))


@pytest.fixture(scope="module")
def deployed(preview, rollout):
    only = {"imagineer_redis_host": preview.name, "celery_beat_host": preview.name}
    limit = f"--limit={preview.name}"
    run = rollout("molecule/imagineer/staging.yml", limit, "-e", f"@{STAGING}", "-e", json.dumps(only))
    assert run.returncode == 0, run.stdout


def test_one_worker_does_the_work_of_three_queues(deployed, preview):
    def api(*words):
        return json.loads(preview.check_output("/opt/imagineer/api " + " ".join(words)))

    assert api("scrape", "kites", "http://127.0.0.1:8090/") == 16
    assert len(api("label", "kites")) == 16
    assert 0 <= api("call", "maintenance.record_disk_usage") <= 100
    assert "preview@" in preview.journal("imagineer-preview")


def test_beat_looks_at_the_disk_once_a_day(deployed, preview):
    command = "set -a; . /etc/evenkeel/imagineer-beat.env; cd /opt/imagineer; venv/bin/python -B -c %s"
    schedule = "from server.celery_app import celery; print(celery.conf.beat_schedule['disk-usage']['schedule'].hour)"
    assert preview.check_output(command, schedule) == "{0}"
    assert preview.show("imagineer-beat", "ActiveState") == {"ActiveState": "active"}
