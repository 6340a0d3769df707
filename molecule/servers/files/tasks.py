"""The shop, in a directory that also has a celery.py and a json.py."""

import sys

sys.path.append("/opt/shop")

from shop import app

__all__ = ["app"]
