"""site.yml ran in check mode on the broken server, and must have changed nothing."""

import json

STUCK = (("jobs", "jobs", 2), ("batch_processing", "batches", 4), ("batch_processing", "links", 12))


def test_check_mode_touches_nothing(host):
    host.check_output("/root/snapshot.sh > /root/snapshot.after")
    difference = host.run("diff /root/snapshot.before /root/snapshot.after")
    assert difference.rc == 0, difference.stdout


def test_the_server_is_in_its_original_state(sqlite, show):
    unit = show("celery-worker", "ActiveState", "User", "MemoryMax", "Type")
    assert unit == {"ActiveState": "active", "User": "root", "MemoryMax": "infinity", "Type": "simple"}
    for database, table, count in STUCK:
        query = f"SELECT count(*) FROM {table} WHERE status = 'processing'"
        assert sqlite(f"/opt/slideshow/data/{database}.db", query) == str(count)


def test_the_report_counts_stale_workers_and_works_without_the_image_api(host, wait_for):
    # The unit: a main process and five children. The stale workers: two main processes with a child each.
    wait_for(lambda: _report(host)["Worker processes"] == "10", "the stale workers' children")
    host.check_output("systemctl stop image-api")
    try:
        state = _report(host)
    finally:
        host.check_output("systemctl start image-api")
    assert state["of these outside the unit"] == "4"
    assert state["Image API: refused (429)"] == "no answer"


def _report(host):
    return json.loads(host.check_output("python3 -B /opt/slideshow/report.py"))
