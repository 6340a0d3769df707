#!/bin/sh
# start_stale_workers.sh N: starts N workers that no unit manages, as if somebody had started them by hand and logged out.
set -eu
options="--loglevel=warning --concurrency=1 -Q variations"
# Only main processes have init as their parent; pool children are not counted.
running=$(pgrep --count --parent 1 --full -- "$options" || true)
cd /opt/slideshow/backend
while [ "$running" -lt "$1" ]; do
    setsid sh -c "exec /opt/slideshow/venv/bin/celery -A celery_app worker $options" </dev/null >/dev/null 2>&1 &
    running=$((running + 1))
    echo started
done
