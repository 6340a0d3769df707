"""An application under load: workers take jobs from SQLite, and leave every third one stuck at its first attempt.

Prints how many jobs are left, how many were done twice, and every error of SQLite. Connections have Python's default
busy timeout of 5 s.
"""

import json
import sqlite3
import sys
import threading
import time

PATH, JOBS, WORKERS, SECONDS = sys.argv[1], 1000, 3, 300
OPEN = "SELECT count(*) FROM work WHERE status <> 'completed'"
errors = []


def connect():
    return sqlite3.connect(PATH, isolation_level=None)


def prepare():
    db = connect()
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE IF NOT EXISTS done (id INTEGER)")
    db.executemany("INSERT INTO work (id, status) VALUES (?, 'pending')", [(number,) for number in range(JOBS)])


def work(end):
    """Works until all jobs are done."""
    db, is_open = connect(), True
    while is_open and time.monotonic() < end:
        try:
            db.execute("BEGIN IMMEDIATE")
            job = db.execute("SELECT id, tries FROM work WHERE status = 'pending' LIMIT 1").fetchone()
            if job:
                number, tries = job
                crashes = tries == 0 and number % 3 == 0
                when = "datetime('now', '-1 hour')" if crashes else "datetime('now')"
                db.execute(f"UPDATE work SET status = 'processing', updated_at = {when} WHERE id = ?", (number,))
            db.execute("COMMIT")
            if job and not crashes:
                db.execute("INSERT INTO done VALUES (?)", (number,))
                db.execute("UPDATE work SET status = 'completed' WHERE id = ?", (number,))
            is_open = job or db.execute(OPEN).fetchone()[0]
        except sqlite3.Error as error:
            errors.append(str(error))
        time.sleep(0.002)


prepare()
threads = [threading.Thread(target=work, args=[time.monotonic() + SECONDS]) for _ in range(WORKERS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
left = connect().execute(OPEN).fetchone()[0]
twice = connect().execute("SELECT count(*) FROM (SELECT id FROM done GROUP BY id HAVING count(*) > 1)").fetchone()[0]
print(json.dumps({"left": left, "twice": twice, "errors": errors}))
