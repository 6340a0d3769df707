"""The server as its document sets it up, on which site.yml runs in check mode."""

from pathlib import Path

import pytest

UNITS = Path(__file__).parents[3] / "examples/photo_album/systemd"


@pytest.mark.parametrize("unit", ["photo-album-celery-worker", "photo-album-celery-beat"])
def test_the_documents_unit_does_not_come_up_and_check_mode_leaves_it_alone(server, wait_for, unit):
    wait_for(lambda: int(server.show(unit, "NRestarts")["NRestarts"]) > 1, "systemd to start it again")
    assert (
        server.host.file(f"/etc/systemd/system/{unit}.service").content_string
        == (UNITS / f"{unit}.service").read_text()
    )


def test_check_mode_says_what_is_in_order_and_changes_nothing(server, album, ansible_output):
    said = " ".join(ansible_output("molecule/photo_album/converge.yml", "--check").split())
    for line in (
        "user www-data can run /var/www/photo_album/venv/bin/celery in /var/www/photo_album, and it loads photo_album",
        "user www-data can write to /var/www/photo_album/data, /var/www/photo_album/media",
        "photo-album-celery-worker: the result backend redis://localhost:6379/0 answers",
        "photos: album.tasks.process_pending_photos_batch to queue celery",
        "videos: album.tasks.process_pending_videos_batch to queue celery",
        "02:00 Europe/Berlin",
        "02:30 Europe/Berlin",
        "photos: 2 in album_photo would be reset to pending",
    ):
        assert line in said
    for path in ("/etc/evenkeel", "/var/lib/evenkeel", "/usr/local/lib/evenkeel", "/etc/cron.d/evenkeel-job-cleanup"):
        assert not server.host.file(path).exists
    assert album.statistics() == {
        "Photo": {"pending": 7, "processing": 2, "completed": 0, "failed": 0},
        "Video": {"pending": 3, "processing": 1, "completed": 0, "failed": 0},
    }
