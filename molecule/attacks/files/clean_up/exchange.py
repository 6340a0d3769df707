"""As the application's user: makes its database the real file and a link to another in turn, until it is killed."""

import ctypes
import sys
from pathlib import Path

RENAME_EXCHANGE = 2
HERE = -100  # AT_FDCWD
DATABASE, LINK = Path("/srv/shop/data/jobs.db"), Path("/srv/shop/data/link")

exchange = ctypes.CDLL(None).renameat2
LINK.unlink(missing_ok=True)
LINK.symlink_to(sys.argv[1])
names = str(DATABASE).encode(), str(LINK).encode()
while True:
    exchange(HERE, names[0], HERE, names[1], RENAME_EXCHANGE)
