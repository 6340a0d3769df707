"""Rolled back to the document's unit, which is then mended by hand so that it stays up, and taken over at work."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

WORKER, BEAT = "photo-album-celery-worker", "photo-album-celery-beat"
UNIT = f"/etc/systemd/system/{WORKER}.service"
DOCUMENT = Path(__file__).parents[3] / "examples/photo_album/systemd"
ORIGINAL = "--extra-vars=celery_worker_rollback_to=original celery_beat_rollback_to=original"
# A PID file, so that systemd knows the main process, and a log that root has not made.
MEND = f"""
systemctl stop {WORKER} && rm -f /var/log/celery/worker.log
sed -i '/^Standard/d; s,^Type=forking,&\\nPIDFile=/run/celery/worker.pid,' {UNIT}
systemctl daemon-reload && systemctl start {WORKER}
"""
# Of the same broker. `celery control shutdown`, the ExecStop= of the document's unit, ends it, too.
OTHER = """
systemd-run --unit=other-worker --property=User=www-data --working-directory=/var/www/photo_album \
    /var/www/photo_album/venv/bin/celery -A photo_album worker --hostname other@%h --queues other --concurrency 1
"""


def test_the_documents_units_are_back_byte_by_byte(server, ansible_playbook):
    assert ansible_playbook("playbooks/rollback.yml", ORIGINAL)["changed"]
    for unit in (WORKER, BEAT):
        text = server.host.file(f"/etc/systemd/system/{unit}.service").content_string
        assert text == (DOCUMENT / f"{unit}.service").read_text()
        assert server.show(unit, "UnitFileState") == {"UnitFileState": "enabled"}


@pytest.fixture
def forking(server, album):
    """The document's worker, which forks and stays up, and another one on the same broker."""
    server.check_output("sh -ec %s", MEND)
    server.check_output(OTHER)
    server.wait_for(lambda: album.nodes() == {"celery", "other"}, "both workers to answer")
    yield server.run_of("other-worker")
    server.check_output("systemctl stop other-worker")


def test_a_forking_worker_is_taken_over_at_work_and_given_back_and_no_other_is_stopped(
    server, album, forking, ansible_playbook
):
    photo = album.upload("held.ppm", "held")
    album.send("process_photo_ai", photo)
    album.becomes("held.ppm", "processing")
    with ThreadPoolExecutor() as pool:
        converged = pool.submit(ansible_playbook, "molecule/photo_album/converge.yml")
        try:
            server.wait_for(lambda: server.run_of(WORKER).state == "deactivating", "the forking worker to be stopped")
            assert album.look("held.ppm") == "processing"
        finally:
            album.release("held.ppm")
        converged.result()
    assert album.look("held.ppm") == "completed"
    assert server.show(WORKER, "Type", "ActiveState") == {"Type": "notify", "ActiveState": "active"}
    assert server.run_of("other-worker") == forking

    ansible_playbook("playbooks/rollback.yml", ORIGINAL)
    assert server.show(WORKER, "Type", "ActiveState") == {"Type": "forking", "ActiveState": "active"}
    assert server.run_of("other-worker") == forking
