"""As the application's user: lets its database be the real file and a link to the given file in turn, very often."""

import ctypes
import sys
import time
from pathlib import Path

RENAME_EXCHANGE = 2
HERE = -100  # AT_FDCWD
DATABASE, LINK = Path("/srv/shop/data/jobs.db"), Path("/srv/shop/data/link")

exchange = ctypes.CDLL(None).renameat2
LINK.unlink(missing_ok=True)
LINK.symlink_to(sys.argv[1])
names = str(DATABASE).encode(), str(LINK).encode()
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    for _round in range(1000):
        exchange(HERE, names[0], HERE, names[1], RENAME_EXCHANGE)
