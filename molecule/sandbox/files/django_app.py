"""A Django application with a database that its worker can't write, and one that is down (down/base.py)."""

from celery import Celery
from django.conf import settings

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/opt/slideshow/elsewhere/django.db"},
    "reports": {"ENGINE": "down"},
    "writable": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/opt/slideshow/data/django.db"},
}
settings.configure(DATABASES=DATABASES)
app = Celery("django_app")
