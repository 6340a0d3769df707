"""Starts processes with command lines of 6 MB, each of whose characters takes four bytes in Python, and waits."""

import resource
import subprocess
import sys

_soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))
arguments = ["\U0001f600" + "x" * 131000] * 45
processes = [
    subprocess.Popen(["/bin/sh", "-c", "read line", "sh", *arguments], stdin=subprocess.PIPE)
    for _ in range(int(sys.argv[1]))
]
print("started", flush=True)
for process in processes:
    process.wait()
