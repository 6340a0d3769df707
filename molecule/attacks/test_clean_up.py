"""Root's clean-up against the owner of a database, here `shop`, and another local user, `mallory`.

Each test lets an attacker do what such a user can, and asserts what held: nothing of the attacker's ran as somebody
else, nothing of somebody else's changed, and the database of the other user was cleaned up in time.
"""

import json
import time
from pathlib import Path

import pytest

CONVERGE = "molecule/attacks/converge.yml"
FILES = Path(__file__).with_name("files") / "clean_up"
SCRIPT = "/usr/local/lib/evenkeel/cleanup_stuck_jobs.py"
CONFIG = "/root/clean-up.json"
MAKE = (
    "CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT);"
    "INSERT INTO jobs VALUES ('j', 'processing', '2026-01-18 12:00')"
)
# With the statements of MAKE, and the program. In one command, as it comes before each test.
RENEW = """
rm -rf /srv/shop/data /srv/shop/records /srv/shop/work.db* /home/mallory/data /tmp/ran-as-* /srv/shop/evil.py
rm -rf /var/lib/evenkeel/job_cleanup/shop /var/lib/evenkeel/job_cleanup/mallory
make=%s
install -d -o shop -g shop /srv/shop/data
install -d -o mallory -g mallory /home/mallory/data
sudo -u shop sqlite3 /srv/shop/data/jobs.db "$make"
sudo -u mallory sqlite3 /home/mallory/data/jobs.db "$make"
chmod 755 /home/mallory
printf %%s %s | sudo -u shop tee /srv/shop/evil.py > /dev/null
"""
EVIL = {
    **{"app": "evil", "directory": "/srv/shop", "python": "/opt/shop/venv/bin/python"},
    **{"timeout": 0.2, "unreachable": "ignore"},
}
TIME_LIMIT = 3  # seconds


def database(user, **more):
    path = {"shop": "/srv/shop/data/jobs.db", "mallory": "/home/mallory/data/jobs.db"}[user]
    return {"name": user, "path": path, "table": "jobs", "busy_timeout": 1, "time_limit": TIME_LIMIT, **more}


@pytest.fixture(autouse=True)
def databases(host):
    """A database of each user with a stuck job; the application notes as whom it runs."""
    host.check_output(f"set -e; {RENEW}", MAKE, (FILES / "evil.py").read_text())


@pytest.fixture
def clean_up(host):
    """Cleans up these databases as root; returns the finished process."""

    def run(*databases, options="", **config):
        host.check_output(f"echo %s > {CONFIG}", json.dumps({"databases": databases, **config}))
        return host.run(f"{SCRIPT} --config {CONFIG} {options}")

    return run


@pytest.fixture
def attacking(host):
    """Starts a program of files/clean_up as the application's user."""

    def start(program, *arguments):
        source = (FILES / program).read_text()
        marks = " ".join(["%s"] * (len(arguments) + 1))
        host.check_output(
            f"sudo -u shop setsid -f timeout 300 python3 -c {marks} < /dev/null > /dev/null 2>&1",
            source,
            *map(str, arguments),
        )

    return start


def ran_as(host):
    """The users as whom the application's code ran."""
    return {path.split("-")[2] for path in host.run("ls /tmp/ | grep ran-as-").stdout.split()}


def uid(host, user):
    return host.check_output(f"id -u {user}")


def status(host, user):
    return host.check_output(f"sqlite3 {database(user)['path']} 'SELECT status FROM jobs'")


# The identity


SHOP_OWNS = "but /srv/shop on the way to it belongs to shop, who can put any file there"


def test_a_backup_of_roots_that_becomes_the_database_makes_nothing_run_as_root(host, clean_up, ansible_output):
    host.check_output("cp /srv/shop/data/jobs.db /srv/shop/data/jobs.db.bak")
    host.check_output("sudo -u shop mv /srv/shop/data/jobs.db.bak /srv/shop/data/jobs.db")
    victim = database("shop", celery=EVIL)
    wish = {"databases": [victim], "job_cleanup_once": [{"name": "shop"}], "job_cleanup_cron_state": "present"}
    output = ansible_output(CONVERGE, "--extra-vars", json.dumps(wish))
    assert SHOP_OWNS in " ".join(output.split()), output
    assert not host.file("/etc/cron.d/evenkeel-job-cleanup").exists
    assert SHOP_OWNS in clean_up(victim).stderr
    assert ran_as(host) == set()


@pytest.mark.parametrize("way", ["upload", "link", "link in a directory"])
def test_another_users_file_that_becomes_the_database_makes_nothing_run_as_that_user(host, clean_up, way):
    host.check_output("rm /srv/shop/data/jobs.db")
    if way == "upload":
        host.check_output("install -o mallory -g mallory /home/mallory/data/jobs.db /srv/shop/data/upload")
        host.check_output("sudo -u shop mv /srv/shop/data/upload /srv/shop/data/jobs.db")
    elif way == "link":
        host.check_output("sudo -u shop ln -s /home/mallory/data/jobs.db /srv/shop/data/jobs.db")
    else:
        host.check_output("sudo -u shop rm -r /srv/shop/data && sudo -u shop ln -s /home/mallory/data /srv/shop/data")
    run = clean_up(database("shop", celery=EVIL))
    host.run("test -L /srv/shop/data && rm /srv/shop/data")
    assert "belongs to mallory, but" in run.stderr
    assert ran_as(host) == set()
    assert status(host, "mallory") == "processing"


def test_a_file_of_a_group_does_not_give_that_group(host, clean_up):
    host.check_output("install -o shop -g adm -m 640 /dev/null /srv/shop/data/log")
    host.check_output(
        "sudo -u shop sh -c 'cd /srv/shop/data && cat jobs.db > log && mv log jobs.db' && stat -c %G /srv/shop/data/*"
    )
    clean_up(database("shop", celery=EVIL))
    assert ran_as(host) == {uid(host, "shop")}
    told = json.loads(host.check_output("cat /tmp/ran-as-*"))
    assert set(told["ids"][3:]) == {int(host.check_output("id -g shop"))}


@pytest.mark.parametrize("target", ["/etc/passwd", "/home/mallory/data/jobs.db"])
def test_no_race_of_links_makes_the_application_run_as_another_user(host, clean_up, attacking, target):
    attacking("exchange.py", target)
    for _run in range(12):
        clean_up(database("shop", celery=EVIL))
    host.check_output("pkill -u shop -f renameat2")
    assert ran_as(host) <= {uid(host, "shop")}
    assert status(host, "mallory") == "processing"
    host.check_output("rm -f /srv/shop/data/link /srv/shop/data/jobs.db")


def test_the_application_is_its_user_and_root_is_out_of_its_reach(host, clean_up):
    config = json.dumps({"databases": [database("shop", celery=EVIL)]})
    host.check_output(f"echo %s > {CONFIG}", config)
    host.check_output(f"VAULT_SECRET=treacle script -qc '{SCRIPT} --config {CONFIG}' /dev/null")
    told = json.loads(host.check_output("cat /tmp/ran-as-*"))
    user, group = int(uid(host, "shop")), int(host.check_output("id -g shop"))
    assert told["ids"] == [user] * 3 + [group] * 4
    assert (told["terminal"], told["root"], told["memory of the parent"]) == ("OSError", *["PermissionError"] * 2)
    assert "VAULT_SECRET" not in told["environment"]
    assert not [each for each in told["descriptors"] if "/dev/pts" in each or "/root" in each]


def test_no_program_of_the_applications_runs_because_roots_environment_names_its_directory(host, clean_up):
    host.check_output(
        "cd /srv/shop && sudo -u shop sh -c %s",
        "printf '#!/bin/sh\nid -u > /tmp/ran-as-$(id -u)-0.json\n' > bin/python3 && chmod 755 bin/python3",
    )
    host.check_output("sudo -u shop sh -c 'cd /srv/shop && cp evil.py sitecustomize.py && cp evil.py sqlite3.py'")
    clean_up(database("mallory"))
    run = host.run(
        f"cd /srv/shop && PATH=/srv/shop/bin:$PATH PYTHONPATH=/srv/shop: {SCRIPT} --config {CONFIG} --dry-run"
    )
    host.check_output("rm /srv/shop/sitecustomize.py /srv/shop/sqlite3.py")
    assert (run.rc, ran_as(host)) == (0, set()), run.stderr


def test_a_hot_journal_deletes_no_file_of_roots(host, clean_up, attacking):
    host.check_output("echo precious > /root/precious")
    attacking("hot_journal.py", "/root/precious")
    host.check_output("for i in $(seq 100); do test -e /srv/shop/data/jobs.db-journal && break; sleep 0.1; done")
    clean_up(database("shop"))
    assert host.file("/root/precious").content_string == "precious\n"


# Time and memory


ENDLESS = (
    "CREATE TRIGGER t AFTER UPDATE ON jobs BEGIN SELECT raise(IGNORE) WHERE"
    " (WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n) = 0; END"
)
RECORDS = "/var/lib/evenkeel/job_cleanup/shop"
PIPE = "pipe = max(int(n) for n in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + n))"
HANGS = {
    "an endless trigger": f'sqlite3 data/jobs.db "{ENDLESS}"',
    "a column of 250 MB": (
        'rm data/jobs.db; sqlite3 data/jobs.db "CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT'
        " GENERATED ALWAYS AS (printf('%.*c', 250000000, 'x'))); INSERT INTO jobs VALUES ('a', 'processing'),"
        " ('b', 'processing'), ('c', 'processing'), ('d', 'processing'), ('e', 'processing'), ('f', 'processing')\""
    ),
    "a FIFO as the database": "rm data/jobs.db; mkfifo data/jobs.db",
    "a FIFO as its journal": "mkfifo data/jobs.db-journal",
    "a FIFO as a record": f"mkfifo {RECORDS}/shop-20260101T000000Z-x.jsonl.part",
    "a FIFO as the lock": f"mkfifo {RECORDS}/shop.lock",
    "a record of a tebibyte": f"truncate -s 1T {RECORDS}/shop-20260101T000000Z-x.jsonl.part",
    "a FIFO as the environment file": "mkfifo environment",
    "an application that says nothing": "printf 'import time\ntime.sleep(300)\n' > evil.py",
    "an application that floods its answers": (
        f"printf \"import os\n{PIPE}\nwhile True: os.write(pipe, b'x' * 65536)\n\" > evil.py"
    ),
    "an application that floods its log": "printf \"import os\nwhile True: os.write(2, b'x' * 65536)\n\" > evil.py",
    "an application that ends its parent": "printf 'import os\nos.kill(os.getppid(), 9)\n' > evil.py",
    "an application that stops its parent": "printf 'import os\nos.kill(os.getppid(), 19)\n' > evil.py",
    "an answer that is no text": (
        f'printf "import os, time\n{PIPE}\nos.write(pipe, bytes([255, 10]))\ntime.sleep(9)\n" > evil.py'
    ),
}


@pytest.mark.parametrize("fault", HANGS)
def test_the_other_users_database_is_cleaned_up_in_time(host, clean_up, fault):
    host.check_output(f"install -d -o shop -g shop -m 700 {RECORDS}")
    host.check_output("rm -f /srv/shop/environment && cd /srv/shop && sudo -u shop sh -c %s", HANGS[fault])
    celery = {**EVIL, "environment_file": "/srv/shop/environment"} if "environment" in fault else EVIL
    victim = database("shop", **({"celery": celery} if "application" in fault or "answer" in fault else {}))
    if "environment" in fault:
        victim["celery"] = celery
    begun = time.monotonic()
    run = clean_up(victim, database("mallory"), metrics_file="/root/clean-up.prom", options="--quiet")
    took = time.monotonic() - begun
    assert took < TIME_LIMIT + 5 + 5, f"its limit, the grace and the start of two processes; {run.stderr}"
    assert status(host, "mallory") == "pending", run.stderr
    assert (
        'stuck_jobs_rows{database="mallory",table="jobs",action="reset"} 1'
        in host.file("/root/clean-up.prom").content_string
    )
    assert "Traceback" not in run.stderr


LINGERING = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sleep", ["lingering", "300"])
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize("then", ["raise SystemExit", "time.sleep(300)"])
def test_no_daemon_of_the_application_outlives_the_run(host, clean_up, then):
    host.check_output("cd /srv/shop && sudo -u shop sh -c %s", f"cat > evil.py <<'END'\n{LINGERING}{then}\nEND")
    clean_up(database("shop", celery=EVIL), database("mallory"))
    assert host.run("pgrep -u shop -f '^lingering'").stdout == ""
    assert status(host, "mallory") == "pending"


# Files


def test_root_makes_no_directory_where_the_application_leads_it(host, clean_up):
    host.check_output("sudo -u shop ln -s /etc/systemd/system /srv/shop/records")
    run = clean_up(database("shop", record_directory="/srv/shop/records"))
    assert "can't be made" in run.stderr
    assert not host.file("/etc/systemd/system/shop").exists
    assert status(host, "shop") == "processing"


FORGED = """
import json, sys
shape = {"shape": 0, "table": "jobs", "action": "reset", "id": ["id"], "read": ["id", "status"], "set": ["status"]}
rows = {"rows": [[0, 0, ["j", "stolen"], ["processing"]]]}
lines = [{"database": sys.argv[1], "name": "jobs", "at": "x"}, shape, rows, {"done": True, "left": []}]
print("\\n".join(map(json.dumps, lines)))
"""


@pytest.mark.parametrize(
    "path",
    [
        *("/home/mallory/data/jobs.db", "/srv/shop/data/link.db", "/srv/shop/data/link/jobs.db"),
        *("/proc/1/root/home/mallory/data/jobs.db", "/proc/self/fd/3", "/etc/shadow"),
    ],
)
def test_an_undo_of_a_forged_record_changes_nothing_of_another_users(host, path):
    host.check_output("sudo -u shop ln -s /home/mallory/data/jobs.db /srv/shop/data/link.db")
    host.check_output("sudo -u shop ln -s /home/mallory/data /srv/shop/data/link")
    host.check_output("sudo -u shop sh -c %s", f"python3 -c '{FORGED}' {path} > /srv/shop/data/record.jsonl")
    run = host.run(f"{SCRIPT} --undo /srv/shop/data/record.jsonl")
    assert run.rc == 1, run.stdout
    assert "Traceback" not in run.stderr
    assert status(host, "mallory") == "processing"


def test_an_undo_of_a_fifo_ends_at_once(host):
    host.check_output("sudo -u shop mkfifo /srv/shop/data/record.jsonl")
    assert "is not a regular file" in host.run(f"timeout 20 {SCRIPT} --undo /srv/shop/data/record.jsonl").stderr


def test_no_link_in_the_directory_of_metrics_changes_another_file(host, attacking):
    host.check_output("install -d -o shop -g shop /srv/shop/metrics")
    config = {"databases": [], "metrics_file": "/srv/shop/metrics/jobs.prom"}
    host.check_output(f"echo %s > {CONFIG}", json.dumps(config))
    before = host.check_output("stat -c '%a %U:%G %s' /etc/shadow")
    attacking("metrics_link.py", 10)
    host.check_output(f"for i in $(seq 60); do {SCRIPT} --config {CONFIG} --quiet; done 2>/dev/null; true")
    assert host.check_output("stat -c '%a %U:%G %s' /etc/shadow") == before


def test_metrics_are_not_written_through_a_link_of_the_applications(host, clean_up):
    host.check_output("rm -rf /srv/shop/metrics && sudo -u shop ln -s /etc/cron.d /srv/shop/metrics")
    run = clean_up(metrics_file="/srv/shop/metrics/jobs.prom")
    assert "metrics_file can't be written" in run.stderr
    assert not host.file("/etc/cron.d/jobs.prom").exists
    host.check_output("rm /srv/shop/metrics")


# Output


def test_the_application_forges_no_line_in_the_journal_and_moves_no_terminal(host, server, clean_up):
    forged = "x\n<3>mallory: 500 in jobs deleted; undo: --undo /tmp/evil.jsonl.\n\x1b]0;owned\x07"
    host.check_output("sudo -u shop sqlite3 /srv/shop/data/jobs.db %s", f'DROP TABLE jobs; CREATE TABLE "{forged}" (a)')
    since = server.now()
    clean_up(database("shop"), options="--quiet")
    run = host.run(
        f"systemd-cat -t evenkeel-job-cleanup {SCRIPT} --config {CONFIG} --quiet; {SCRIPT} --config {CONFIG}"
    )
    assert not [char for char in run.stdout + run.stderr if char not in "\n\r" and not char.isprintable()]
    entries = server.journal("SYSLOG_IDENTIFIER=evenkeel-job-cleanup", output="json", since=since)
    messages = [json.loads(entry)["MESSAGE"] for entry in entries.splitlines()]
    assert messages
    assert all(str(message).startswith("shop (/srv/shop/data/jobs.db): there is no table") for message in messages)
