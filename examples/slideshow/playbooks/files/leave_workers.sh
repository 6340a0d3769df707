#!/bin/sh
# leave_workers.sh N: as if somebody had started N workers by hand days ago and logged out.
# A session of its own (setsid) and the root of systemd's cgroups: no unit holds them.
set -eu
command="/opt/slideshow/venv/bin/celery -A celery_app worker --loglevel=warning --concurrency=1 -Q variations"
# Main processes are those whose parent is init: their pool children are not counted.
running=$(pgrep --count --parent 1 --full -- '--loglevel=warning --concurrency=1 -Q variations' || true)
cd /opt/slideshow/backend
while [ "$running" -lt "$1" ]; do
    setsid sh -c '
        for group in /sys/fs/cgroup/systemd /sys/fs/cgroup; do
            [ -w "$group/cgroup.procs" ] && echo $$ > "$group/cgroup.procs" && break
        done
        exec '"$command" </dev/null >/dev/null 2>&1 &
    running=$((running + 1))
    echo started
done
