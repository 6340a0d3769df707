"""The shop, in a directory that also has a celery.py and a json.py. Only a worker of the pool gevent may import it."""

import sys

from gevent import monkey

if "worker" not in sys.argv or not monkey.is_module_patched("socket"):
    raise ImportError("start a worker with -P gevent")

sys.path.append("/opt/shop")

from shop import app

__all__ = ["app"]
