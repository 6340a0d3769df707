"""The clean-up in the play, by hand, by cron, and as the wrong user."""

import json

import pytest

SCRIPT = "/usr/local/lib/evenkeel/cleanup_stuck_jobs.py"
PLAYBOOK = "molecule/job_cleanup/converge.yml"
RECORDS = "/var/lib/evenkeel/job_cleanup/app"


@pytest.fixture
def sql(sqlite):
    """Executes SQL as the application's user."""
    return lambda database, query: sqlite(f"/srv/app/{database}.db", query, user="app")


@pytest.fixture
def stick(sql):
    """A job that has been stuck for an hour."""

    def add(key):
        sql("jobs", f"INSERT OR REPLACE INTO jobs VALUES ('{key}', 'processing', datetime('now', '-1 hour'))")

    return add


@pytest.fixture
def without_cron(host, wait_for):
    """Stops cron, which would clean up every minute."""
    host.check_output("systemctl stop cron")
    wait_for(lambda: host.run("pgrep --full '[c]leanup_stuck_jobs'").rc == 1, "a run that has begun to end")
    yield
    host.check_output(
        "systemctl reset-failed cron && systemctl start cron"
    )  # systemd counts starts, also asked-for ones


def test_job_cleanup_once_deleted_only_the_requested_jobs(sql):
    assert sql("jobs", "SELECT id, status FROM jobs WHERE id LIKE 'c0ffee%' ORDER BY id").split() == [
        "c0ffee00-0001|processing",
        "c0ffee00-0002|completed",
        "c0ffee00-0003|processing",
    ]
    assert sql("jobs", "SELECT count(*) FROM jobs WHERE id LIKE '77cf%' OR id LIKE 'b49d%'") == "0"
    assert sql("batches", "SELECT id, status FROM batches") == "5|completed"
    assert sql("batches", "SELECT count(*), min(status) FROM links") == "3|completed"


@pytest.mark.usefixtures("without_cron")
def test_an_undo_restores_deleted_rows_from_a_record_that_only_the_owner_can_read(host, sql):
    files = host.check_output("stat -c '%%U %%a %%n' %s/batches-*.jsonl", RECORDS).splitlines()
    assert len(files) == 1, "a second run of the play deleted something again"
    owner, mode, record = files[0].split()
    assert (owner, mode) == ("app", "600")

    assert "16 rows restored" in host.check_output("%s --undo %s", SCRIPT, record)
    assert sql("batches", "SELECT count(*) FROM batches WHERE status = 'processing'") == "4"
    result = host.check_output("%s --action delete --database batches", SCRIPT)
    assert "batches: 4 in batches deleted and 12 in links deleted; " in result


@pytest.mark.usefixtures("without_cron")
def test_a_dry_run_reports_changes_and_makes_none(host, stick):
    stick("dead0001")
    look = "ls -l --time-style=full-iso /srv/app; sha256sum /srv/app/*"
    before = host.check_output(look)
    dry = host.run("%s --dry-run --json --database jobs", SCRIPT)
    assert host.check_output(look) == before
    (report,) = json.loads(dry.stdout)["databases"]
    assert [(row["id"], row["from"], row["to"]) for row in report["changes"]] == [("dead0001", "processing", "pending")]
    assert report["skipped"][0]["why"] == "updated_at is 'an hour ago', which is not a known time format"
    assert dry.rc == 4, "a row was skipped"


@pytest.mark.usefixtures("without_cron")
@pytest.mark.parametrize("database", ["jobs", "batches"])
def test_a_dry_run_works_on_a_read_only_file_system(host, stick, database):
    stick("dead0003")
    config = {"databases": [{"name": database, "path": f"/mnt/read-only/{database}.db", "table": database}]}
    host.check_output("echo %s > /tmp/read-only.json", json.dumps(config))
    host.check_output("mkdir -p /mnt/read-only && mount --bind /srv/app /mnt/read-only")
    host.check_output("mount -o remount,bind,ro /mnt/read-only")
    try:
        dry = host.run("%s --config /tmp/read-only.json --dry-run --json", SCRIPT)
        assert not json.loads(dry.stdout)["databases"][0]["error"]
        refused = host.run("%s --config /tmp/read-only.json", SCRIPT)
        assert refused.rc == 1 or "nothing is stuck" in refused.stdout
    finally:
        host.check_output("umount /mnt/read-only")


# Prints the files beside the database, and their owners, while the process that root starts for it is writing.
AMID_A_WRITE = """
import sys
sys.path.insert(0, "/usr/local/lib/evenkeel")
from pathlib import Path
from _engine._common.users import become
from _engine._stuck_jobs.engines.sqlite.access import connect, owner_of
from _engine._stuck_jobs.engines.sqlite.options import SQLiteDatabase
name = sys.argv[1]
database = SQLiteDatabase(table=name, name=name, path=f"/srv/app/{name}.db")
become(owner_of(database))
with connect(database, write=True) as connection:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"UPDATE {name} SET status = status || '!'")
    print(*(f"{path.name}={path.owner()}" for path in sorted(Path("/srv/app").glob(f"{name}.db-*"))))
    connection.execute("ROLLBACK")
"""


@pytest.mark.usefixtures("without_cron")
def test_files_that_root_makes_belong_to_the_application(host, sql, stick):
    files = {name: host.check_output("python3 -B -c %s %s", AMID_A_WRITE, name) for name in ("jobs", "batches")}
    assert files == {"jobs": "jobs.db-shm=app jobs.db-wal=app", "batches": "batches.db-journal=app"}
    stick("dead0002")
    host.run("%s --database jobs", SCRIPT)
    assert sql("jobs", "SELECT status FROM jobs WHERE id = 'dead0002'") == "pending"
    assert set(host.check_output("stat -c %U /srv/app/*.db*").split()) == {"app"}


def test_another_user_is_refused(host):
    refused = host.run("runuser -u nobody -- %s --dry-run --database jobs", SCRIPT)
    assert refused.rc == 1
    assert "Run this as " in refused.stderr


@pytest.mark.usefixtures("without_cron")
def test_the_owner_may_run_it(host, sql, stick):
    stick("dead0004")
    result = host.run("runuser -u app -- %s --action delete --job dead0004", SCRIPT)
    assert result.rc == 0, result.stderr
    assert "jobs: 1 in jobs deleted" in result.stdout
    assert sql("jobs", "SELECT count(*) FROM jobs WHERE id = 'dead0004'") == "0"


# Another project on the same host.
ALBUM = {
    "evenkeel_project": "album",
    "job_cleanup_databases": [{"name": "photos", "path": "/srv/app/photos.db", "table": "photos"}],
    "job_cleanup_once": [],
}
OURS = "sha256sum /etc/evenkeel/job_cleanup.json /etc/cron.d/evenkeel-job-cleanup"


@pytest.fixture
def album(ansible_playbook):
    """Runs the play of the other project."""
    return lambda **options: ansible_playbook(PLAYBOOK, "--extra-vars", json.dumps({**ALBUM, **options}))


def test_another_project_leaves_our_configuration_and_schedule_as_they_are(host, sql, album):
    before = host.check_output(OURS)
    sql("photos", "CREATE TABLE photos (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT)")
    assert album()["changed"]
    assert host.check_output(OURS) == before
    which = host.run("%s --dry-run", SCRIPT)
    assert (which.rc, which.stdout) == (1, "")
    assert "/etc/evenkeel/job_cleanup.album.json, /etc/evenkeel/job_cleanup.json" in which.stderr


def test_cron_runs_it_for_each_project_as_the_owner_and_logs_to_the_journal(server, sql, stick, wait_for):
    begun, owner = server.now(), server.check_output("id -u app")
    sql("photos", "INSERT INTO photos VALUES ('dead0005', 'processing', datetime('now', '-1 hour'))")
    stick("dead0005")
    status = "SELECT status FROM {} WHERE id = 'dead0005'"
    its = ("SYSLOG_IDENTIFIER=evenkeel-job-cleanup", f"_UID={owner}")
    for name in ("jobs", "photos"):
        wait_for(lambda name=name: sql(name, status.format(name)) == "pending", f"cron to run it for {name}")
        told = f" in {name} reset to pending"
        wait_for(
            lambda told=told: told in server.journal(*its, since=begun), f"its message about {name} in the journal"
        )


def test_another_project_removes_only_its_own(host, album):
    before = host.check_output(OURS)
    assert album(job_cleanup_state="absent")["changed"]
    assert host.check_output(OURS) == before
    assert not host.run("ls /etc/evenkeel /etc/cron.d | grep album").stdout
    assert host.run("%s --dry-run --database batches", SCRIPT).stdout == "batches: nothing is stuck.\n"


def test_absent_removes_everything_but_the_records(host, ansible_playbook):
    absent = ("--extra-vars", "job_cleanup_state=absent")
    ansible_playbook(PLAYBOOK, *absent)
    for path in (SCRIPT, "/usr/local/lib/evenkeel/_engine", "/etc/evenkeel/job_cleanup.json"):
        assert not host.file(path).exists
    assert not host.file("/etc/cron.d/evenkeel-job-cleanup").exists
    assert host.run("ls %s/*.jsonl", RECORDS).rc == 0
    assert ansible_playbook(PLAYBOOK, *absent)["changed"] == 0
