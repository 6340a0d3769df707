#!/opt/shop/venv/bin/python
"""load.py QUEUE LOAD [HELD]: sends 200 tasks of 0.2 to 5 s, and returns when the first are completed: LOAD-0, LOAD-1, …

With HELD, so many of them end only when the test releases them; it returns when these have begun.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, "/opt/shop")
from shop import app

queue, load, *held = sys.argv[1:]
held = int(*held)
for number in range(200):
    # Most are short.
    seconds = 0.2 + 4.8 * (number * 37 % 200 / 199) ** 3
    app.send_task("shop.sleep", [f"{load}-{number}", None if number < held else seconds], queue=queue)
first, count = (f"begun-{load}-", held) if held else (f"{load}-", 10)
while Path("/opt/shop/data/done.log").read_text().count(f"\n{first}") < count:
    time.sleep(0.1)
