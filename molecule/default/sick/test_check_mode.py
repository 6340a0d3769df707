"""The site's playbook ran in check mode on the sick server: nothing on it may have changed."""

STUCK = (("jobs", "jobs", 2), ("batch_processing", "batches", 4), ("batch_processing", "links", 12))


def test_check_mode_touches_nothing(host):
    host.check_output("/root/look.sh > /root/look.after")
    difference = host.run("diff /root/look.before /root/look.after")
    assert difference.rc == 0, difference.stdout


def test_the_server_is_sick_indeed(host, show):
    unit = show("celery-worker", "ActiveState", "User", "MemoryMax", "Type")
    assert unit == {"ActiveState": "active", "User": "root", "MemoryMax": "infinity", "Type": "simple"}
    assert host.run("pgrep -fc 'celery -A celery_app worker'").stdout.strip() != "6", "no leftovers"
    for database, table, count in STUCK:
        query = f"SELECT count(*) FROM {table} WHERE status = 'processing'"
        assert host.check_output("sqlite3 /opt/slideshow/data/%s.db %s", database, query) == str(count)
