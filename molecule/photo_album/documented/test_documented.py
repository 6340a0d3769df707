"""The server as its document sets it up, after site.yml ran there in check mode."""

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


def test_check_mode_changes_nothing(server, album):
    for path in ("/etc/evenkeel", "/var/lib/evenkeel", "/usr/local/lib/evenkeel", "/etc/cron.d/evenkeel-job-cleanup"):
        assert not server.host.file(path).exists
    assert album.statistics() == {
        "Photo": {"pending": 7, "processing": 2, "completed": 0, "failed": 0},
        "Video": {"pending": 3, "processing": 1, "completed": 0, "failed": 0},
    }
