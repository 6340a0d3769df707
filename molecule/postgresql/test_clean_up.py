"""Clean-ups that are killed, undone, run through PgBouncer or on a standby, and refused."""

import json
import re

import pytest

CONVERGE, CLEAN_UP = "molecule/postgresql/converge.yml", "molecule/postgresql/clean_up.yml"
SCRIPT = "/usr/local/lib/evenkeel/cleanup_stuck_jobs.py"
CONFIG, OTHER_CONFIG = "/etc/evenkeel/job_cleanup.json", "/root/job_cleanup.json"
ENVIRONMENT = "/var/www/photo_album/.env"
WRONG = "/var/www/photo_album/data/wrong.env"
RECORDS = "/var/lib/evenkeel/job_cleanup/www-data"
SLOWLY = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN new; END';
CREATE TRIGGER slowly BEFORE UPDATE ON album_video FOR EACH ROW EXECUTE FUNCTION slowly()
"""
# What a session may leave behind on a connection that others use after it.
LEFT_BEHIND = """
SELECT (SELECT json_object_agg(name, setting ORDER BY name) FROM pg_settings WHERE source = 'session'),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM pg_prepared_statements),
    (SELECT count(*) FROM pg_cursors), pg_backend_pid()
"""


@pytest.fixture
def records(server):
    """The records of the runs since the test began, the oldest first."""
    listing = f"ls -tr {RECORDS}/*.jsonl"
    before = server.run(listing).stdout.split()
    return lambda: [record for record in server.check_output(listing).split() if record not in before]


@pytest.fixture
def elsewhere(server):
    """Runs the script with the videos' options and these."""

    def run(*arguments, **options):
        config = json.loads(server.check_output(f"cat {CONFIG}"))
        (videos,) = [database for database in config["databases"] if database["name"] == "videos"]
        server.check_output(f"echo %s > {OTHER_CONFIG}", json.dumps({"databases": [{**videos, **options}]}))
        return server.run(f"{SCRIPT} --config {OTHER_CONFIG} {' '.join(arguments)}")

    return run


@pytest.fixture
def slowly(album):
    """A trigger of the application's makes each change of a video take two milliseconds."""
    album.sql(SLOWLY)
    yield
    album.sql("DROP FUNCTION IF EXISTS slowly CASCADE")


@pytest.fixture
def password(server):
    return re.search(r"//album:(\w+)@", server.check_output(f"grep ^DATABASE_URL= {ENVIRONMENT}"))[1]


def test_a_killed_run_is_finished_by_the_next_and_both_can_be_undone(server, album, records, slowly, password):
    album.stick(5000)
    server.check_output(f"systemd-run --collect --unit=killed {SCRIPT} --database videos")
    server.wait_for(lambda: album.videos("pending"), "the first batch")
    assert password not in server.check_output("ps -eww -o args")
    server.check_output("systemctl kill --signal=KILL killed")
    server.wait_for(lambda: not server.run("pgrep --full [c]leanup_stuck_jobs.py").stdout, "its end")
    done = album.videos("pending")
    assert 0 < done < 5000, "killed too late"
    album.sql("DROP FUNCTION slowly CASCADE")

    assert server.run(f"{SCRIPT} --database videos").rc == 0
    assert album.videos("pending") == 5000
    for record in reversed(records()):
        # Jobs that the killed run has recorded, but not changed, are left alone.
        assert "rows restored" in server.run(f"{SCRIPT} --undo {record}").stdout
    assert album.videos("processing") == 5000


def test_pgbouncer_may_give_the_connection_to_others_after_each_transaction(
    server, album, elsewhere, records, password
):
    through = f"PGPASSWORD={password} psql -qAt -h 127.0.0.1 -p 6432 -U album -d album -c %s"
    album.stick(3000)
    before = server.check_output(through, LEFT_BEHIND)
    assert elsewhere(login_port=6432).rc == 0
    assert album.videos("pending") == 3000
    (record,) = records()
    undone = elsewhere("--undo", record, login_port=6432)
    assert "3000 rows restored" in undone.stdout, undone.stderr
    assert album.videos("processing") == 3000
    assert server.check_output(through, LEFT_BEHIND) == before


def test_a_standby_is_only_read(server, album, elsewhere):
    album.stick(3)
    same = "SELECT pg_current_wal_lsn() <= (SELECT min(replay_lsn) FROM pg_stat_replication)"
    server.wait_for(lambda: album.sql(same) == "t", "the standby to have caught up")
    dry = elsewhere("--dry-run", login_port=5433)
    assert "videos: 3 in album_video would be reset to pending" in dry.stdout, dry.stderr
    refused = elsewhere(login_port=5433)
    assert refused.rc == 1
    assert "the server is a standby. Log in to the primary server." in refused.stderr
    assert album.videos("processing") == 3


def test_what_is_wrong_is_said_before_anything_is_changed(server, album, ansible_output):
    url = "DATABASE_URL=postgres://album:wrong@127.0.0.1/album"
    server.check_output(f"echo {url} > {WRONG} && chown www-data {WRONG} && chmod 600 {WRONG}")
    wrong = {
        "stranger": {"environment_file": WRONG},
        "down": {"login_port": 5999},
        "reader": {"login_user": "reader"},
        "movies": {"table": "album_movie"},
    }
    databases = [{"name": name, "table": "album_photo", **options} for name, options in wrong.items()]
    album.stick(3)
    said = " ".join(
        ansible_output(
            CLEAN_UP, "--extra-vars", json.dumps({"job_cleanup_databases": databases, "job_cleanup_once": []})
        ).split()
    )
    for sentence in (
        r'stranger \(.*? password authentication failed for user "album".*?Correct the login',
        r"down \(.*? port 5999 failed: Connection refused.*?start the server",
        r"reader \(.*?\): the role has no right UPDATE \(processing_status\) on album_photo. GRANT it",
        r"movies \(.*?\): there is no table 'album_movie'",
    ):
        assert re.search(sentence, said), said


def test_check_mode_and_diff_say_what_a_run_then_does_once(server, album, ansible_output, ansible_playbook):
    album.stick(3)
    dry = ansible_output(CLEAN_UP, "--check", "--diff")
    assert "videos: 3 in album_video would be reset to pending" in dry
    assert len(re.findall(r"^\+album_video \d+: pending", dry, re.MULTILINE)) == 3
    assert album.videos("processing") == 3
    assert ansible_playbook(CLEAN_UP)["changed"] == 1
    assert album.videos("pending") == 3
    assert ansible_playbook(CLEAN_UP)["changed"] == 0


def test_metrics_tell_of_the_last_run(server, album):
    album.stick(3)
    server.check_output(f"{SCRIPT} --quiet")
    metrics = server.check_output("cat /var/www/photo_album/data/job_cleanup.prom")
    assert re.search(r'database="videos".* 3$', metrics, re.MULTILINE)


def test_the_password_is_only_in_the_applications_own_file(server, password):
    server.check_output("journalctl --sync")
    shown = server.check_output("journalctl --no-pager")
    assert password not in shown
    where = server.run(
        "grep --recursive --files-with-matches --fixed-strings %s /etc /var/lib/evenkeel /usr/local", password
    )
    assert where.stdout.split() == ["/etc/pgbouncer/userlist.txt"], "prepare.yml has put it there"
    assert server.check_output(f"stat --format='%U:%G %a' {ENVIRONMENT}") == "root:www-data 640"
