#!/opt/shop/venv/bin/python
"""load.py QUEUE LOAD: sends 200 tasks of 0.2 to 5 s, and returns when the first are completed: LOAD-0, LOAD-1, …"""

import sys
import time
from pathlib import Path

sys.path.insert(0, "/opt/shop")
from shop import app

queue, load = sys.argv[1:]
for number in range(200):
    # Most are short.
    seconds = 0.2 + 4.8 * (number * 37 % 200 / 199) ** 3
    app.send_task("shop.sleep", [f"{load}-{number}", seconds], queue=queue)
while Path("/opt/shop/data/done.log").read_text().count(f"\n{load}-") < 10:
    time.sleep(0.1)
