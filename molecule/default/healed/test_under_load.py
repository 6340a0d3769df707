"""The slideshow at work, its worker killed now and then, and two cleaners at once: cron's, and the module."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

JOBS, KILLS = 30, 3
DATABASE = "/opt/slideshow/data/jobs.db"
POST = f"""
for n in $(seq {JOBS}); do
    curl --silent --show-error --fail --json '{{"images": 1}}' http://127.0.0.1:8080/api/jobs || exit
    sleep 1
done
"""
# The job that has just begun, and nothing any more of the process that is at it.
KILL = f"""
latest() {{
    sqlite3 -readonly -cmd '.timeout 5000' {DATABASE} \\
        "SELECT id FROM jobs WHERE status = 'processing' ORDER BY updated_at DESC LIMIT 1"
}}
before=$(latest)
until now=$(latest); test -n "$now" && test "$now" != "$before"; do sleep 0.1; done
pkill -KILL --parent $(systemctl show --value --property MainPID celery-worker)
echo $now
"""
# The jobs that the cleaners have put back, from the records of all their runs since.
PUT_BACK = """
import pathlib, sys
sys.path.insert(0, "/usr/local/lib/evenkeel")
from stuck_jobs.record import read
for path in pathlib.Path("/var/lib/evenkeel/job_cleanup/slideshow").glob("jobs-*.jsonl*"):
    if path.stat().st_mtime >= float(sys.argv[1]):
        print(*(job[0].key["id"] for batch in read(path)[1] for job in batch.jobs), sep="\\n")
"""


@pytest.fixture
def journal(host):
    return lambda since, *units: host.check_output(
        f"journalctl --no-pager --output=cat --since=@{since} " + " ".join(f"--unit={unit}" for unit in units)
    )


def test_no_job_is_lost_and_none_is_done_twice(host, ansible_playbook, wait_for, journal):
    begun = host.check_output("date +%s")
    host.check_output("curl --silent --fail --request POST 'http://127.0.0.1:8089/reset?rpm=6000&scale=1'")
    with ThreadPoolExecutor() as pool:
        cleaning = pool.submit(ansible_playbook, "molecule/default/clean_up.yml")
        wait_for(lambda: "5s" in host.file("/etc/evenkeel/job_cleanup.json").content_string, 60, "cron's new orders")
        posting = pool.submit(host.check_output, POST)
        killed = []
        for _ in range(KILLS):
            killed.append(host.check_output("timeout 60 sh -c %s", KILL).strip())
            wait_for(lambda: _status(host, killed[-1]) != "processing", 60, "the job to be put back")
        jobs = [json.loads(line)["id"] for line in posting.result().splitlines()]
        assert len(set(jobs)) == JOBS
        wait_for(lambda: all(_status(host, job) == "completed" for job in jobs), 120, "all jobs to be done")
        cleaning.result()

    put_back = host.check_output("python3 -B -c %s %s", PUT_BACK, begun).split()
    assert sorted(put_back) == sorted(killed), "put back: what was killed, each once"
    said = journal(begun, "celery-worker", "slideshow-web")
    assert len(re.findall(r"Task tasks.make_slideshow\[.* succeeded", said)) == JOBS, "done once each"
    assert "database is locked" not in said
    by_cron = ("journalctl --no-pager --output=cat --since=@%s -t evenkeel-job-cleanup", begun)
    wait_for(lambda: "jobs: " in host.check_output(*by_cron), 65, "cron's cleaner")
    assert "is still at work" not in host.check_output(*by_cron)


def _status(host, job):
    query = f"SELECT status FROM jobs WHERE id = '{job}'"
    return host.check_output("sqlite3 -readonly -cmd '.timeout 5000' %s %s", DATABASE, query)
