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
# The worker's child is stopped while we look at what it is doing, so what we see is what we kill.
KILL = f"""
child() {{ pkill -$1 --parent $(systemctl show --value --property MainPID celery-worker); }}
job() {{ sqlite3 -readonly {DATABASE} "SELECT id FROM jobs WHERE status = 'processing'"; }}
until child STOP && now=$(job) && test -n "$now"; do child CONT; sleep 0.2; done
child KILL
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
def cleaners(ansible_playbook, tmp_path):
    """Cron's and the module are at work until this is called, or the test has failed."""
    enough = tmp_path / "enough"
    with ThreadPoolExecutor() as pool:
        run = pool.submit(ansible_playbook, "molecule/default/clean_up.yml", f"--extra-vars=enough={enough}")

        def stop():
            enough.touch()
            run.result()

        yield stop
        stop()


def test_no_job_is_lost_and_none_is_done_twice(host, cleaners, wait_for):
    begun = host.check_output("date +%s")
    journal = "journalctl --no-pager --output=cat --since=@%s "
    host.check_output("curl --silent --fail --request POST 'http://127.0.0.1:8089/reset?rpm=6000&scale=1'")
    wait_for(lambda: "5s" in host.file("/etc/evenkeel/job_cleanup.json").content_string, 120, "cron's new orders")
    with ThreadPoolExecutor() as pool:
        posting = pool.submit(host.check_output, POST)
        killed = []
        for _kill in range(KILLS):
            killed.append(host.check_output("timeout 60 sh -c %s", KILL).strip())
            wait_for(lambda: _status(host, killed[-1]) != "processing", 120, "the job to be put back")
        jobs = [json.loads(line)["id"] for line in posting.result().splitlines()]
    assert len(set(jobs)) == JOBS
    wait_for(lambda: all(_status(host, job) == "completed" for job in jobs), 240, "all jobs to be done")
    cleaners()

    put_back = host.check_output("python3 -B -c %s %s", PUT_BACK, begun).split()
    assert sorted(put_back) == sorted(killed), "put back: what was killed, each once"
    said = host.check_output(journal + "--unit=celery-worker --unit=slideshow-web", begun)
    assert len(re.findall(r"Task tasks.make_slideshow\[.* succeeded", said)) == JOBS, "done once each"
    assert "database is locked" not in said
    by_cron = (journal + "-t evenkeel-job-cleanup", begun)
    wait_for(lambda: "jobs: " in host.check_output(*by_cron), 120, "cron's cleaner")
    assert "is still at work" not in host.check_output(*by_cron)


def _status(host, job):
    query = f"SELECT status FROM jobs WHERE id = '{job}'"
    return host.check_output("sqlite3 -readonly -cmd '.timeout 5000' %s %s", DATABASE, query)
