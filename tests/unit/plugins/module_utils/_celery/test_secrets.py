"""The secrets of environments are hidden in what users see, and nothing else is."""

import base64
import json
import shlex
import urllib.parse

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.secrets import shown, without_secrets
from hypothesis import example, given
from hypothesis import strategies as st
from workers import worker

FORMS = {
    "plain": str,
    "repr": repr,
    "bytes": lambda text: repr(text.encode()),
    "JSON": json.dumps,
    "upper case": str.upper,
    "URL": lambda text: urllib.parse.quote(text, safe=""),
    "form": urllib.parse.quote_plus,
    "decoded": urllib.parse.unquote,
    "shell": shlex.quote,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "within base64": lambda text: base64.b64encode(f"me:{text}:x".encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "cut off": lambda text: text[: len(text) * 3 // 4],
    "end": lambda text: text[len(text) // 4 :],
}
SECRETS = ["hunter2hunter2", 'gäh"eim\\w/ö+rt 4711%2F', "sk_live_0123456789abcdef"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_hidden_in_every_form(form, secret):
    text = FORMS[form](secret)
    for name in ("THE_SECRET", "STRIPE"):
        hidden = without_secrets(f"ValueError: {text} at 3", [worker(environment={name: secret})])
        assert hidden.startswith("ValueError: ")
        assert hidden.endswith(" at 3")
        assert "********" in hidden
        assert not [start for start in range(len(text) - 7) if text[start : start + 8] in hidden]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=60), st.sampled_from(sorted(FORMS)))
@example("00000000", "hex")
def test_no_long_part_of_any_secret_is_shown(secret, form):
    text = FORMS[form](secret)
    hidden = without_secrets(f"<{text}>", [worker(environment={"PASSWORD": secret}, name="w", app="a", directory="/")])
    if form in ("plain", "repr", "JSON", "URL"):
        assert hidden == "<********>" or text not in hidden


def test_the_lines_of_a_key_are_hidden_each():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQC7\n-----END KEY-----"
    hidden = without_secrets("bad: EFAASCBKcwggSjAgEAAoIBAQC7", [worker(environment={"TLS": key})])
    assert hidden == "bad: ********"


@pytest.mark.parametrize(
    ("environment", "text", "hidden"),
    [
        ({"URL": "redis://:pass word@host/0"}, "redis://:pass word@host/0 at 3", "redis://:********@host/0 at 3"),
        ({"URL": "amqp://me:geheim-geheim@host/0"}, "geheim-geheim was refused", "******** was refused"),
        ({"SENTRY": "https://0123456789abcdef@o1.sentry.io/2"}, "0123456789abcdef", "********"),
        ({"DB": "postgresql://h/d?sslmode=x&password=geheim"}, "no geheim", "no ********"),
        ({"PASSWORD": "geheim"}, "geheim: insgeheim", "********: insgeheim"),
    ],
)
def test_parts_of_values_and_short_ones(environment, text, hidden):
    assert without_secrets(text, [worker(environment=environment)]) == hidden


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DJANGO_SETTINGS_MODULE", "bakery.settings.prod"),
        ("SITE_ROOT", "/opt/shop"),
        ("PASSWORD_FILE", "/run/secrets/db"),
        ("CELERY_BROKER_URL", "redis://127.0.0.1:6390/0"),
        ("HOST", "redis-1.internal.example.com:6379"),
        ("ALLOWED_HOSTS", "www.example.com,example.com"),
        ("STAGE", "production"),
        ("LANG", "en_US.UTF-8"),
        ("HOUR", 3),
        ("DB_PASSWORD", "shop-shop"),  # the application's own name stays readable
    ],
)
def test_what_a_message_needs_stays_readable(name, value):
    text = f"app 'shop-shop' can't be loaded in /srv/shop: No module named '{value}'"
    assert without_secrets(text, [worker(app="shop-shop", environment={name: value})]) == text


def test_a_message_is_printable_too():
    assert shown("a\x1b]0;b\nc", [worker()]) == "a\\x1b]0;b\nc"
