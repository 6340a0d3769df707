"""Creates the virtual environments that environments.json lists: {"shop/venv": ["celery==5.7.0", …], …}, below /opt."""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def make(path, requirements, cache):
    environment = f"/opt/{path}"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    subprocess.run([f"{environment}/bin/pip", "install", "--quiet", "--cache-dir", cache, *requirements], check=True)


environments = json.loads(Path(__file__).with_name("environments.json").read_text())
with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(os.cpu_count()) as pool:
    for made in [pool.submit(make, path, requirements, cache) for path, requirements in environments.items()]:
        made.result()
