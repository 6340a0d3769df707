"""The photo album at work: batches, damaged and slow photos, and a worker that is killed."""

import re

import pytest

BEAT = "photo-album-celery-beat"
WORKER = "photo-album-celery-worker"
# As cron runs it.
CLEAN_UP = "runuser -u www-data -- /usr/local/lib/evenkeel/cleanup_stuck_jobs.py --quiet"


def test_the_worker_runs_as_the_document_wants_it(server, show, album):
    unit = show(WORKER, "Type", "User", "MemoryMax", "UnitFileState", "ActiveState", "WatchdogUSec")
    assert unit == {
        "Type": "notify",
        "User": "www-data",
        "MemoryMax": str(800 * 2**20),
        "UnitFileState": "enabled",
        "ActiveState": "active",
        "WatchdogUSec": "30s",
    }
    assert show(WORKER, "TimeoutStopUSec") == {"TimeoutStopUSec": "11min 30s"}, "the application's limit, and 30 s"
    concurrency = int(re.search(r"--concurrency=(\d+)", show(WORKER, "ExecStart")["ExecStart"])[1])
    assert concurrency in (1, 2, 4), "as the document has it for the machine"
    main = show(WORKER, "MainPID")["MainPID"]
    server.wait_for(lambda: len(server.children(main)) == concurrency, "the worker's children")
    assert album.nodes() == {"celery"}


def test_beat_runs_beside_it_and_needs_no_directory_below_run(server, show):
    assert show(BEAT, "Type", "User", "UnitFileState", "ActiveState") == {
        "Type": "notify",
        "User": "www-data",
        "UnitFileState": "enabled",
        "ActiveState": "active",
    }
    assert server.check_output("find /run/celery -type f") == ""


def test_batches_complete_everything_and_a_damaged_photo_is_tried_again(album, wait_for):
    damaged = "damaged.ppm"
    album.upload(damaged, "damaged")
    for task in ("process_pending_photos_batch", "process_pending_videos_batch"):
        album.send(task)

    def done():
        return all(not kind["pending"] and not kind["processing"] for kind in album.statistics().values())

    wait_for(done, "the batches, also of what had been stuck before")
    assert album.statistics()["Video"] == {"pending": 0, "processing": 0, "completed": 4, "failed": 0}
    assert (album.look(damaged), album.look(damaged, "error")) == ("failed", "no picture at byte 0")

    album.release(damaged)
    album.send("process_pending_photos_batch")
    album.becomes(damaged, "completed")
    assert album.look(damaged, "description") == "A dark photo, mostly blue."


def test_what_is_logged_is_in_a_file_and_in_the_journal(server):
    for service, line in ((WORKER, "process_pending_photos_batch"), (BEAT, "beat: Starting...")):
        assert line in server.host.file(f"/var/log/evenkeel/{service}/{service}.log").content_string
        assert line in server.journal(service)


def test_a_batch_that_the_ai_is_too_slow_for_ends_by_itself(server, album):
    before = server.run_of(WORKER)
    album.upload("slow.ppm", "held")
    album.upload("behind-slow.ppm")
    album.send("process_pending_photos_batch", soft_time_limit=10)
    album.becomes("slow.ppm", "processing")
    album.becomes("slow.ppm", "pending")
    assert album.look("behind-slow.ppm") == "pending"
    album.release("slow.ppm")
    album.send("process_pending_photos_batch")
    for name in ("slow.ppm", "behind-slow.ppm"):
        album.becomes(name, "completed")
    assert server.run_of(WORKER) == before


def test_a_photo_whose_worker_was_killed_is_put_back_and_analyzed(server, album):
    album.upload("killed.ppm", "held")
    album.send("process_pending_photos_batch")
    album.becomes("killed.ppm", "processing")
    server.check_output("pkill -KILL --parent %s", server.show(WORKER, "MainPID")["MainPID"])
    server.wait_for(lambda: "WorkerLostError" in server.journal(WORKER), "the end of the batch")
    album.release("killed.ppm")

    server.check_output(CLEAN_UP)
    assert album.look("killed.ppm") == "processing", "it might still be worked on"
    album.not_touched_for_an_hour("killed.ppm")
    server.check_output(CLEAN_UP)
    assert album.look("killed.ppm") == "pending"
    album.send("process_pending_photos_batch")
    album.becomes("killed.ppm", "completed")


def test_statistics_say_how_many_have_each_status(album):
    assert re.search(r"Photos - Pending: \d+, Processing: \d+, Completed: \d+, Failed: \d+", album.manage("statistics"))


@pytest.fixture(scope="module")
def first_start(server):
    """Since when beat has known its schedule. It makes up for what was due later."""
    return server.run_of(BEAT).ready


@pytest.mark.parametrize("batch", [("photo", 0), ("video", 30)], ids=["photos", "videos"])
def test_beat_sends_each_batch_at_its_time(server, album, ansible_playbook, first_start, batch):
    """The schedule is moved to the current minute, and beat is late, as after a restart at two o'clock."""
    kind, minutes = batch
    before = server.run_of(WORKER)
    album.upload(f"scheduled.{kind}", kind=kind)
    server.wait_for(lambda: server.now() // 60 > first_start // 60, "the minute after beat's first start")
    at = server.check_output("TZ=Europe/Berlin date --date=%s +%%H:%%M", f"{minutes} minutes ago")
    ansible_playbook("molecule/photo_album/schedule.yml", f"--extra-vars=photo_album_batches_at={at}")
    album.becomes(f"scheduled.{kind}", "completed", kind=kind)
    assert server.run_of(WORKER) == before, "only beat is restarted"
