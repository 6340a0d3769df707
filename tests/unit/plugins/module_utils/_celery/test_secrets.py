"""The values of the environment are masked in what users see."""

import json

from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import complete
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.secrets import without_secrets
from workers import worker


def test_secrets_are_masked():
    workers = [complete({**worker(), "environment": json.dumps({"URL": "redis://:pass word@host/0", "HOUR": 3})})]
    assert without_secrets("failed: redis://:pass word@host/0 at 3", workers) == "failed: ******** at 3"


def test_the_password_of_a_url_is_masked_by_itself_too():
    workers = [complete({**worker(), "environment": json.dumps({"URL": "amqp://me:geheim-geheim@host/0"})})]
    assert without_secrets("geheim-geheim was refused", workers) == "******** was refused"
