#!/bin/sh
# Prints what check mode must not change: files with owner, mode and content; processes; swap; kernel settings; rows.
find /etc /usr/local /var/lib/evenkeel /var/spool/cron /opt -type f \
    ! -name '*.pyc' ! -name '*-wal' ! -name '*-shm' -exec stat --format '%n %U %a' {} + -exec sha256sum {} + 2>/dev/null | sort
ps -eo pid,user:20,args | grep '[c]elery' | sort
cat /proc/sys/vm/swappiness
grep /mnt/swap/"$(hostname)" /proc/swaps
for database in /opt/slideshow/data/*.db; do sqlite3 -readonly -cmd '.timeout 30000' "$database" .dump; done
