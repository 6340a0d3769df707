#!/opt/shop/venv/bin/python
"""Causes a different fault in each beat around one full minute. Prints what happened, as JSON."""

import json
import subprocess
import time
from pathlib import Path

BEATS = [environment.stem for environment in Path("/etc/evenkeel").glob("*.env")]
OUTAGE = 30  # seconds at least, three times WatchdogSec=
ENDS_AFTER = 8  # seconds after the full minute at which the brokers are back at the earliest
STOPPED = ["broker@6381", "broker@6383", "broker@6384", "broker@6385"]
SCHEDULE = "/var/lib/evenkeel/beat/{}/schedule.pickle"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def each(prop):
    return {beat: run("systemctl", "show", "--value", f"--property={prop}", beat) for beat in BEATS}


def status(beat):
    return [run("systemctl", "show", "--value", f"--property={prop}", beat) for prop in ("ActiveState", "StatusText")]


def wait_until(moment):
    time.sleep(max(0, moment - time.time()))


def kill(beat, signal):
    run("systemctl", "kill", "--kill-whom=main", f"--signal={signal}", beat)


def change_stored(beat, *command):
    run("systemctl", "stop", beat)
    run(*command, SCHEDULE.format(beat))
    run("systemctl", "start", beat)


runs = each("InvocationID")
minute = (time.time() // 60 + 1) * 60  # a full minute: "minute" of clock.py is due
if minute - time.time() < OUTAGE:
    minute += 60
wait_until(minute - OUTAGE + ENDS_AFTER)

began = time.time()
run("systemctl", "stop", "broker-absent")
run("systemctl", "stop", *STOPPED)
run("systemctl", "kill", "--signal=STOP", "broker@6382")
run("systemctl", "start", "--no-block", "broker-absent")
change_stored("damaged", "sh", "-c", 'head -c 500 /dev/urandom > "$0"')
as_shop = ("runuser", "-u", "shop", "--", "env", "-C", "/opt/shop", "BROKER=-", "QUEUE=-")
change_stored("ahead", *as_shop, "venv/bin/python", "set_back.py")
run("systemctl", "kill", "--signal=USR1", "proxy@7001")
half_open = time.time()
wait_until(minute - 5)
hung = time.time()
kill("hung", "STOP")
wait_until(minute + 4)
killed = time.time()
kill("killed", "KILL")
kill("killed-meanwhile", "KILL")
run("systemctl", "stop", "stopped-meanwhile")
waiting = status("broker-absent")
wait_until(max(minute + ENDS_AFTER, began + OUTAGE))

over, now = time.time(), each("InvocationID")
run("systemctl", "start", *STOPPED)
run("systemctl", "kill", "--signal=CONT", "broker@6382")
run("systemctl", "start", "stopped-meanwhile")
print(
    json.dumps(
        {
            **{"minute": minute, "began": began, "over": over, "half_open": half_open, "hung": hung},
            **{"killed": killed, "runs": runs},
            "outlived": [beat for beat in BEATS if now[beat] == runs[beat]],
            "waiting": waiting,
        }
    )
)
