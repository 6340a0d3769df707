"""Names that say that a value is secret, and units without their secrets."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.secrets import (
    HIDDEN,
    assigned_secrets,
    line_without_secrets,
    says_secret,
    unit_without_secrets,
)


@pytest.mark.parametrize(
    "name",
    [
        *("DB_PASSWORD", "redis_backend_password", "s3_secret_access_key", "aws_access_key", "AccountKey", "apiKey"),
        *("API_KEY", "SharedAccessKey", "auth_token", "PGPASS", "smtp-pwd", "--token", "secret", "SECRET_KEY"),
        *("GOOGLE_CREDENTIALS", "privateKey", "passphrase", "HTTP_AUTH"),
    ],
)
def test_a_name_that_says_secret(name):
    assert says_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("task_default_routing_key", "partition_key", "DB_PASSWORD_FILE", "SECRET_PATH", "token_url", "api_key_id"),
        *(
            "worker_concurrency",
            "DJANGO_SETTINGS_MODULE",
            "queues",
            "",
            "passive",
            "security_key",
            "author",
            "KeyringMode",
        ),
    ],
)
def test_a_name_that_does_not(name):
    assert not says_secret(name)


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("redis://:geheim@h/0;redis://me:other@h/1", ["geheim", "other"]),
        ("azureblockblob://DefaultEndpointsProtocol=https;AccountKey=geheim==", ["geheim=="]),
        ("postgresql://h/db?user=me&password=geheim", ["geheim"]),
        ("host=h password=geheim", ["geheim"]),
        ("redis://h:6379/0", []),
        ("routing_key=a.b", []),
    ],
)
def test_secrets_that_are_assigned_within_a_text(text, secrets):
    assert assigned_secrets(text) == secrets


@pytest.mark.parametrize(
    "line",
    [
        "401 for Authorization: Bearer geheim",
        "KeyError: {'api_key': 'geheim', 'name': 'shop'}",
        '{"password": "geheim"}',
        "can't reach redis://me:geh@eim/geheim@host:6379",
        "redis://:geheim@host",
        "DB_PASSWORD=geheim",
    ],
)
def test_a_line_without_its_secrets(line):
    shown = line_without_secrets(line)
    assert HIDDEN in shown
    assert "geheim" not in shown and "eim/" not in shown


def test_a_line_without_secrets_is_as_it_was():
    line = "ValueError: {'queue': 'a', 'routing_key': 'b'} at https://example.com:443/x"
    assert line_without_secrets(line) == line


UNIT = r"""[Service]
User=shop
Environment=A=geheim1 "B=geheim two" 'C=geheim3'
Environment="D=gehe\"im4" \
  # a comment
  E=geheim5
# Environment=F=geheim6
Environment="unfinished geheim7
SetCredential=id:geheim8
ExecStart=celery -A shop worker --broker=redis://me:geheim9@h/0 --api-key geheim10 -e TOKEN=geheim11 STRIPE=geheim12
EnvironmentFile=/etc/shop.env
LoadCredential=id:/etc/credential
WatchdogSec=30
"""


def test_a_unit_without_its_secrets():
    shown = unit_without_secrets(UNIT)
    assert "geheim" not in shown
    assert "gehe" not in shown
    for kept in (
        *("User=shop\n", f"Environment=A={HIDDEN} B={HIDDEN} C={HIDDEN}\n", f"# Environment=F={HIDDEN}\n"),
        *(
            "--broker=redis://me:",
            "EnvironmentFile=/etc/shop.env\n",
            "LoadCredential=id:/etc/credential\n",
            "WatchdogSec=30",
        ),
    ):
        assert kept in shown
