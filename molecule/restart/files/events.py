#!/opt/shop/venv/bin/python
"""Restarts or kills each worker in the middle of its tasks, in different ways. Prints when."""

import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, "/opt/shop")
from shop import app

CHILDREN = 10  # converge.yml
# Kills a worker each time that it is ready.
KILLER = """
while ! systemctl is-failed --quiet dying; do
  systemctl is-active --quiet dying && systemctl kill --kill-who=main --signal=KILL dying
  sleep 0.2
done
"""


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main(worker):
    return run("systemctl", "show", "--value", "--property=MainPID", worker)


def begun(task):
    return f"begun-{task}" in Path("/opt/shop/data/done.log").read_text().split()


def kill_a_full_one(worker, port):
    """Not while it takes a message, which would be lost: Celery has not recorded it yet (restart.md)."""
    pid = main(worker)
    for _ in range(200):
        run("kill", "-STOP", pid)
        if run("redis-cli", "-p", port, "hlen", "unacked") == str(CHILDREN):
            break
        run("kill", "-CONT", pid)
        time.sleep(0.05)
    else:
        raise RuntimeError(f"{worker} was never seen with a task for each child")
    run("kill", "-KILL", pid)


run("systemd-run", "--unit=killer", "sh", "-c", KILLER)

loads = [
    subprocess.Popen(["/opt/shop/load.py", worker, worker], env={"BROKER": f"redis://127.0.0.1:{port}/0"})
    for worker, port in (("restarted", 6380), ("childless", 6380), ("killed", 6381))
]
assert not any(load.wait() for load in loads)
app.send_task("shop.sleep", ["long", None], queue="bounded", connection=app.connection("redis://127.0.0.1:6381/1"))
while not begun("long"):
    time.sleep(0.1)

moment = time.time()
run("systemctl", "restart", "--no-block", "restarted", "bounded")
children = run("pgrep", "--parent", main("childless")).split()
run("kill", "-KILL", *children[:3])
kill_a_full_one("killed", "6381")

directory = Path("/run/systemd/system/crashing.service.d")
directory.mkdir(parents=True)
(directory / "broken.conf").write_text("[Service]\nEnvironment=SHOP_IS_BROKEN=1\n")
run("systemctl", "daemon-reload")
run("kill", "-KILL", main("crashing"))

print(json.dumps({"moment": moment}))
