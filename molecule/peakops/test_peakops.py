"""PeakOps at work: what its document promises, videos that run out of memory, stuck uploads, and the way back."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CONVERGE = "molecule/peakops/converge.yml"
WORKER, BEAT = "peakops-worker", "peakops-beat"
UNITS = {unit: f"examples/peakops/systemd/{unit}.service" for unit in (WORKER, BEAT)}
DATA = "/opt/peakops/data"
DATABASE = f"{DATA}/db.sqlite3"
MESSAGE = "Timed out - please retry"
MANAGE = "cd /opt/peakops && sudo -u peakops venv/bin/python -B manage.py"
SHORT, LONG = "--seconds=25 --size-mb=50", "--seconds=180 --size-mb=100"
# As large as the document allows, and still too large for the worker: 20 frames of 95 MiB.
IN_8K = f"{LONG} --height=4320"
# It may just be replaced by another one.
STOP_THE_CHILD = 'until pkill -STOP --parent $1 && ps -o stat= --ppid $1 | grep -q "^T"; do sleep 0.1; done'
# For manage.py shell, as an operator may do it in Django's admin.
CLEAN_UP_EVERY = """
from django_celery_beat.models import IntervalSchedule, PeriodicTask
task = PeriodicTask.objects.get(name="Clean up expired inspections")
task.interval, _ = IntervalSchedule.objects.get_or_create(every=1, period="{}")
task.save()
"""
EXPIRE = """
from datetime import timedelta
from django.utils import timezone
from uploads.models import Inspection
Inspection.objects.filter(upload={}).update(expires_at=timezone.now() - timedelta(days=1))
"""


class Uploads:
    """The uploads, as their owners see them."""

    def __init__(self, server, sqlite):
        self.server, self.sqlite = server, sqlite

    def add(self, video):
        """Uploads a video of a site of its own; returns its id."""
        site = f"site {self.server.check_output('date +%N')}"
        return int(self.server.check_output(f"{MANAGE} upload '{site}' {video}"))

    def column(self, name, upload):
        return self.sqlite(DATABASE, f"SELECT {name} FROM uploads_upload WHERE id = {upload}")

    def wait_until(self, status, upload):
        self.server.wait_for(lambda: self.column("status", upload) == status, f"{upload} to be {status}")

    def set_to(self, status, upload):
        """As if nothing had happened to it for an hour."""
        change = f"status = '{status}', updated_at = datetime('now', '-1 hour')"
        self.sqlite(DATABASE, f"UPDATE uploads_upload SET {change} WHERE id = {upload}", user="peakops")


@pytest.fixture
def uploads(server, sqlite):
    return Uploads(server, sqlite)


@pytest.fixture
def clean_up(server):
    """What cron does every ten minutes; returns the output."""
    return lambda: server.run("/usr/local/lib/evenkeel/cleanup_stuck_jobs.py").stdout


@pytest.fixture
def cleaned_up_each_second(server):
    server.check_output(f"{MANAGE} shell -c %s", CLEAN_UP_EVERY.format("seconds"))
    yield
    server.check_output(f"{MANAGE} shell -c %s", CLEAN_UP_EVERY.format("hours"))


def _done_by(server):
    """The children that completed tasks in this run: ForkPoolWorker-1, ForkPoolWorker-1, ForkPoolWorker-2, …"""
    this_run = f"_SYSTEMD_INVOCATION_ID={server.run_of(WORKER).id}"
    return re.findall(r"(ForkPoolWorker-\d+)\] Task \S+ succeeded", server.journal(this_run))


def test_the_units_are_what_the_document_asks_for(server, show):
    assert show(WORKER, "ActiveState", "User", "MemoryMax", "TimeoutStopUSec") == {
        "ActiveState": "active",
        "User": "peakops",
        "MemoryMax": str(800 << 20),
        "TimeoutStopUSec": "20min 30s",
    }
    main = show(WORKER, "MainPID")["MainPID"]
    command = server.check_output("tr '\\0' ' ' < /proc/%s/cmdline", main)
    assert {"--concurrency=1", "--max-tasks-per-child=5", "--max-memory-per-child=400000"} <= set(command.split())
    assert show(BEAT, "ActiveState", "User", "Type") == {"ActiveState": "active", "User": "peakops", "Type": "notify"}


def test_short_videos_keep_their_child_for_five_tasks(server, uploads, wait_for):
    """Each is two tasks: the frames, and what they show. Neither is as large as the child's limit."""
    before, videos = len(_done_by(server)), [uploads.add(SHORT) for _ in range(4)]
    for each in videos:
        uploads.wait_until("COMPLETED", each)
        wait_for(lambda each=each: uploads.column("labels", each) == '["roof", "sky"]', "the labels")
        assert uploads.column("frames", each) == "8"
    wait_for(lambda: len(_done_by(server)) >= before + 8, "the journal")
    done_by = _done_by(server)
    assert 2 <= len(set(done_by[before:])) <= 3
    assert max(map(done_by.count, done_by)) <= 5


def test_a_long_video_is_completed_and_then_its_child_is_replaced(server, uploads, wait_for):
    before, run = len(_done_by(server)), server.run_of(WORKER)
    long = uploads.add(LONG)
    uploads.wait_until("COMPLETED", long)
    assert uploads.column("frames", long) == "20"
    wait_for(lambda: len(_done_by(server)) >= before + 2, "the labels")
    extracted, labelled = _done_by(server)[before : before + 2]
    assert extracted != labelled
    assert server.run_of(WORKER) == run
    assert "SIGKILL" not in server.journal(WORKER)


def test_a_video_that_is_too_large_costs_only_itself_and_is_failed(server, uploads, clean_up):
    run = server.run_of(WORKER)
    server.keep_out_of_swap(WORKER)
    huge, next_one = uploads.add(IN_8K), uploads.add(SHORT)
    uploads.wait_until("COMPLETED", next_one)
    server.wait_for(lambda: "exited prematurely: signal 9" in server.journal(WORKER), "the loss of the large one")
    assert server.run_of(WORKER) == run
    assert uploads.column("status", huge) == "PROCESSING", "nobody has said that it failed"
    uploads.set_to("PROCESSING", huge)
    assert "1 in uploads_upload set to FAILED" in clean_up()
    assert uploads.column("status || ': ' || error_message", huge) == f"FAILED: {MESSAGE}"


def test_an_upload_that_a_worker_has_is_not_failed_however_long_it_takes(server, uploads, clean_up):
    """The document's own `stuck.update(…)` fails it."""
    main = server.show(WORKER, "MainPID")["MainPID"]
    server.check_output("sh -c %s - %s", STOP_THE_CHILD, main)
    try:
        slow = uploads.add(SHORT)
        uploads.set_to("PROCESSING", slow)
        assert "peakops-worker@" in clean_up()
        assert uploads.column("status", slow) == "PROCESSING"
        uploads.set_to("PENDING", slow)
    finally:
        server.check_output("pkill -CONT --parent %s", main)
    uploads.wait_until("COMPLETED", slow)


def test_uploads_that_were_stuck_for_days_are_failed_and_can_be_retried(server, sqlite, uploads):
    stuck = "SELECT u.id FROM uploads_upload u JOIN uploads_inspection i ON i.id = inspection_id"
    old = [int(upload) for upload in sqlite(DATABASE, f"{stuck} WHERE site = 'Church tower'").split()]
    assert [uploads.column("status || ': ' || error_message", upload) for upload in old] == [f"FAILED: {MESSAGE}"] * 3
    server.check_output(f"{MANAGE} retry {old[0]}")
    uploads.wait_until("COMPLETED", old[0])
    assert uploads.column("error_message", old[0]) == ""
    assert server.run(f"{MANAGE} retry {old[0]}").rc != 0, "it has not failed"


def test_a_file_that_is_too_large_is_refused_when_it_is_uploaded(server):
    refused = server.run(f"{MANAGE} upload roof --size-mb=101")
    assert refused.rc != 0
    assert "A video of 101 MB is too large: MAX_VIDEO_SIZE_MB is 100." in refused.stderr


def test_beat_cleans_up_expired_inspections_as_the_database_says(server, uploads, cleaned_up_each_second, wait_for):
    run, video = server.run_of(BEAT), uploads.add(SHORT)
    uploads.wait_until("COMPLETED", video)
    server.check_output(f"{MANAGE} shell -c %s", EXPIRE.format(video))
    wait_for(lambda: not uploads.column("id", video), "the inspection to be deleted, with its uploads")
    wait_for(lambda: not server.host.file(f"{DATA}/bucket/{video}.mov").exists, "its video to be deleted")
    assert server.run_of(BEAT) == run, "beat reads its schedule again without a restart"


def test_check_mode_says_what_would_change_and_changes_nothing(server, ansible_output):
    runs = [server.run_of(unit) for unit in UNITS]
    output = ansible_output(CONVERGE, "--check", "--diff", "--extra-vars=peakops_max_frames=10")
    assert "MAX_FRAMES_PER_VIDEO" in output
    assert "uploads.tasks.cleanup_expired_inspections" in output
    assert "failed=0" in output
    assert [server.run_of(unit) for unit in UNITS] == runs


def test_the_documents_own_units_are_restored_and_run(host, show, ansible_playbook):
    original = ("--extra-vars=celery_worker_rollback_to=original", "--extra-vars=celery_beat_rollback_to=original")
    assert ansible_playbook("playbooks/rollback.yml", *original)["changed"]
    for unit, source in UNITS.items():
        assert host.file(f"/etc/systemd/system/{unit}.service").content_string == (PROJECT / source).read_text()
        assert show(unit, "ActiveState", "Type") == {"ActiveState": "active", "Type": "simple"}
