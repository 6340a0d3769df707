#!/bin/sh
# start_by_hand.sh OPTIONS…: starts a worker by hand, as whoever calls it and where he stands, and leaves it behind.
setsid /opt/shop/venv/bin/celery "$@" --loglevel=warning --concurrency=1 >/dev/null 2>&1 </dev/null &
