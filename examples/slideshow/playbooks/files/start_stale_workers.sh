#!/bin/sh
# start_stale_workers.sh N: as if somebody had started N workers by hand days ago and logged out. No unit holds them.
set -eu
options="--loglevel=warning --concurrency=1 -Q variations"
# Main processes are those whose parent is init: their pool children are not counted.
running=$(pgrep --count --parent 1 --full -- "$options" || true)
cd /opt/slideshow/backend
while [ "$running" -lt "$1" ]; do
    setsid sh -c "exec /opt/slideshow/venv/bin/celery -A celery_app worker $options" </dev/null >/dev/null 2>&1 &
    running=$((running + 1))
    echo started
done
