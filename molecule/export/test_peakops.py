"""PeakOps in Debian 12's compose: a video, a stop in the midst of one, one that is too large, and hangs."""

import json
import threading
import time

import pytest

testinfra_hosts = ["export-debian12"]
SYSTEM = "peakops"
WORKER, BEAT = "peakops-worker", "peakops-beat"
HOLD_GIL, HANG = "RTMIN+1", "RTMIN+2"  # files/sitecustomize.py
LIMIT, LOOK_EVERY = 10, 5  # seconds; override.yaml.j2, django-celery-beat's longest wait
MANAGE = "venv/bin/python -B manage.py"
QUERY = "import json, sqlite3; print(json.dumps(sqlite3.connect('data/db.sqlite3').execute({!r}).fetchone()[0]))"
SHORT, LONG = "--seconds=25 --size-mb=50", "--seconds=180 --size-mb=100"
IN_8K = f"{LONG} --height=4320"  # 20 frames of 95 MiB


class Uploads:
    """The uploads, as their owners see them. They are added and looked up beside beat, which is always there."""

    def __init__(self, system):
        self.system = system

    def add(self, video):
        return int(self.system.execute(BEAT, f"{MANAGE} upload site {video}"))

    def status(self, upload):
        query = QUERY.format(f"SELECT status FROM uploads_upload WHERE id = {upload}")
        return json.loads(self.system.execute(BEAT, f'venv/bin/python -c "{query}"'))

    def wait_until(self, status, upload):
        self.system.wait_for(lambda: self.status(upload) == status, f"{upload} to be {status}")


@pytest.fixture(scope="module")
def uploads(system):
    return Uploads(system)


def test_a_video_is_completed(uploads):
    uploads.wait_until("COMPLETED", uploads.add(SHORT))


def test_a_stop_waits_for_the_video(uploads, system, wait_for):
    """The child is held until the worker has begun to stop."""

    def held():
        upload = uploads.add(LONG)
        wait_for(lambda: uploads.status(upload) != "PENDING", "the video to be taken")
        to_the_child("STOP")
        return upload if uploads.status(upload) == "PROCESSING" else to_the_child("CONT")

    def to_the_child(name):
        """After a large video there is none for a moment: it is replaced."""
        system.execute(WORKER, f"pkill -{name} --parent {system.main(WORKER)} || true")

    upload = wait_for(held, "a video that is being processed")
    stop = threading.Thread(target=system.compose, args=[f"stop {WORKER}"])
    stop.start()
    wait_for(lambda: "Warm shutdown" in system.log(WORKER), "the worker to stop")
    to_the_child("CONT")
    stop.join()
    assert system.run_of(WORKER).exit_code == 0
    assert uploads.status(upload) == "COMPLETED"
    system.compose(f"start {WORKER}")
    system.wait_until_healthy(WORKER)


def test_a_video_that_is_too_large_costs_its_child_alone(uploads, system):
    before = system.run_of(WORKER)
    uploads.add(IN_8K)
    system.wait_for(lambda: "WorkerLostError" in system.log(WORKER), "the end of the child")
    uploads.wait_until("COMPLETED", uploads.add(SHORT))
    assert system.run_of(WORKER).began == before.began


def test_a_worker_and_a_beat_that_hang_are_started_again(uploads, system, recovered):
    before, moment = system.runs(), time.time()
    system.signal(WORKER, HOLD_GIL)
    system.signal(BEAT, HANG)
    worker, beat = (system.next_run(service, before[service]) for service in (WORKER, BEAT))
    recovered("export: GIL held (Debian 12's compose)", worker.began - moment)
    recovered("export: beat hung (Debian 12's compose)", beat.began - moment)
    assert worker.previous_ended - moment <= LIMIT + LIMIT / 4 + system.seconds_to_start
    assert beat.previous_ended - moment <= LOOK_EVERY + LIMIT + LIMIT / 4 + system.seconds_to_start
    assert "evenkeel_beat: ending beat: the next tick is " in system.log(BEAT)
    uploads.wait_until("COMPLETED", uploads.add(SHORT))
