from celery import shared_task
from django.apps import apps
from log import write


@shared_task(name="shop.sleep")
def sleep(name, seconds):
    """Fails unless Django has been set up."""
    assert apps.is_installed("orders")
    write(name, seconds)
