#!/bin/sh
# start_by_hand.sh OPTIONS…: starts a worker that no unit manages, as the current user in the current directory.
setsid /opt/shop/venv/bin/celery "$@" --loglevel=warning --concurrency=1 >/dev/null 2>&1 </dev/null &
