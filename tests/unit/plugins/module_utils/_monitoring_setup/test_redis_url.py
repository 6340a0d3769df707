"""Celery's URL becomes the exporter's settings, and no message shows its password."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.redis_url import parse


@pytest.mark.parametrize(
    ("url", "server", "database", "address"),
    [
        ("redis://", "127.0.0.1:6379", 0, "redis://127.0.0.1:6379"),
        ("redis://localhost/3", "127.0.0.1:6379", 3, "redis://127.0.0.1:6379"),
        ("redis://:s3cr%26t@10.0.0.5:6380/1", "10.0.0.5:6380", 1, "redis://:s3cr%26t@10.0.0.5:6380"),
        ("redis://:a+b:c/@h", "h:6379", 0, None),  # a password that is not encoded: no host
        (
            "redis://app:p%40ss@broker.example.com",
            "broker.example.com:6379",
            0,
            "redis://app:p%40ss@broker.example.com:6379",
        ),
        ("rediss://:pw@h:1/0?ssl_cert_reqs=required", "h:1", 0, "rediss://:pw@h:1"),
        ("redis://[fd00::5]:6380/0", "[fd00::5]:6380", 0, "redis://[fd00::5]:6380"),
        ("redis://a/1;redis://b/2", "a:6379", 1, "redis://a:6379"),
    ],
)
def test_a_url_of_celerys(url, server, database, address):
    if address is None:
        with pytest.raises(ValueError, match="monitoring_redis_url"):
            parse(url)
        return
    redis = parse(url)
    assert (redis.server, redis.database, redis.environment()["REDIS_ADDR"]) == (server, database, address)


def test_the_options_of_tls_are_taken_over():
    url = "rediss://h?ssl_cert_reqs=CERT_NONE&ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem"
    assert parse(url).environment() == {
        "REDIS_ADDR": "rediss://h:6379",
        "REDIS_EXPORTER_SKIP_TLS_VERIFICATION": "true",
        "REDIS_EXPORTER_TLS_CA_CERT_FILE": "/ca.pem",
        "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE": "/c.pem",
        "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE": "/k.pem",
    }


@pytest.mark.parametrize(
    "url",
    [
        "amqp://user:s3cret@rabbit//",
        "redis+socket:///run/redis.sock",
        "sentinel://:s3cret@h:26379",
        "redis://:s3cret@h/one",
        "redis://:s3cret@h:port/0",
        "redis://:s3cret/abc@h:6379/0",
        "redis://:1/s3cret@h:6379/0",
        "redis://:[s3cret@h",
        "user:s3cret@h",
    ],
)
def test_another_url_is_refused_without_showing_its_password(url):
    with pytest.raises(ValueError, match="monitoring_redis_url") as refused:
        parse(url)
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(parse("redis://:s3cret@h"))
