"""Batches analyze photos while workers are killed and two clean-ups run at once, again and again."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

WORKER = "photo-album-celery-worker"
SCRIPT = "/usr/local/lib/evenkeel/cleanup_stuck_jobs.py"
PHOTOS, BATCHES = 200, 3
AGAIN_AND_AGAIN = f"until test -e /tmp/enough; do {SCRIPT} --quiet || exit; done"
# Of the worker: its last statements may outlive it.
ACTIVE = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'album' AND application_name = '' AND state <> 'idle'"


@pytest.fixture
def by_script(server):
    """As the schedule runs it, but without pauses."""
    server.check_output("rm -f /tmp/enough")
    server.check_output("systemd-run --unit=cleaner --uid=www-data --remain-after-exit sh -c %s", AGAIN_AND_AGAIN)
    yield lambda: server.show("cleaner", "SubState") == {"SubState": "running"}
    server.check_output("touch /tmp/enough")
    server.wait_for(lambda: server.show("cleaner", "SubState")["SubState"] in ("exited", "failed"), "its last run")
    assert server.show("cleaner", "Result") == {"Result": "success"}, server.journal("cleaner")
    server.check_output("systemctl stop cleaner")


@pytest.fixture
def by_module(ansible_playbook):
    enough = Event()

    def again_and_again():
        while not enough.is_set():
            ansible_playbook("molecule/postgresql/clean_up.yml")

    with ThreadPoolExecutor() as pool:
        running = pool.submit(again_and_again)
        try:
            yield
        finally:
            enough.set()
        running.result()


def kill(server, album):
    """Ends the worker with all its children at once, as the kernel does, and lets an hour pass."""
    server.check_output(f"systemctl kill --signal=KILL {WORKER} && systemctl stop {WORKER}")
    server.wait_for(lambda: album.sql(ACTIVE) == "0", "its statements to end")
    left = album.sql(
        "UPDATE album_photo SET updated_at = now() - interval '1 hour'"
        " WHERE processing_status = 'processing' RETURNING file"
    )
    server.check_output(f"systemctl start {WORKER}")
    return left.split()


@pytest.mark.usefixtures("by_module")
def test_no_photo_is_lost_and_none_is_analyzed_twice(server, album, by_script):
    names = [f"{turn}-{server.now():.0f}" for turn in ("first", "second")]
    for name in names:
        album.upload(name, photos=PHOTOS)
        for _ in range(BATCHES):
            album.send("process_pending_photos_batch")
        held = f"SELECT processing_status FROM album_photo WHERE file = '{name}-held'"
        server.wait_for(lambda held=held: album.sql(held) == "processing", f"a batch to get to {name}-held")
        assert f"{name}-held" in kill(server, album)
        album.release(name)

    ours = " OR ".join(f"file LIKE '{name}-%'" for name in names)
    completed = f"SELECT count(*) FROM album_photo WHERE processing_status = 'completed' AND ({ours})"

    def done():
        assert by_script(), server.journal("cleaner")
        album.send("process_pending_photos_batch")
        return int(album.sql(completed)) == len(names) * (PHOTOS + 1)

    server.wait_for(done, "all photos to be analyzed")
    log = server.journal(WORKER)
    times = Counter(re.findall(r"(\S+) completed", log))
    assert set(times.values()) == {1}
    assert not re.findall(r".*(?:ERROR|CRITICAL|Traceback).*", log)
