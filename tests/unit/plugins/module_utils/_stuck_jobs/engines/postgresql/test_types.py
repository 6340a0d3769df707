"""What PostgreSQL's types need: each value is found, written and restored as it was."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines.postgresql.times import parse_time
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.times import parse_zone

NOON = datetime(2026, 1, 18, 12, tzinfo=timezone.utc).timestamp()
UPLOADS = """
CREATE TYPE state AS ENUM ('PENDING', 'PROCESSING', 'FAILED', 'DONE');
CREATE DOMAIN amount AS numeric(10, 2) CHECK (VALUE >= 0);
CREATE TABLE uploads (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, status varchar(20) NOT NULL,
    error_message text NOT NULL DEFAULT '', retries integer NOT NULL DEFAULT 0, payload jsonb, doc json,
    price amount, ratio double precision, tags text[], code char(4), span interval, paid money, is_new boolean,
    updated_at timestamptz NOT NULL, twice integer GENERATED ALWAYS AS (retries * 2) STORED);
CREATE TABLE frames (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), status state NOT NULL,
    upload_id bigint NOT NULL REFERENCES uploads DEFERRABLE INITIALLY DEFERRED, shot bytea, taken timestamp);
INSERT INTO uploads (status, payload, doc, price, ratio, tags, code, span, paid, is_new, updated_at)
    SELECT CASE WHEN i % 3 = 0 THEN 'DONE' ELSE 'PROCESSING' END, '{"a": 1.50}', '{"b":  [1, 2]}', 1.5, 1 / 3.0::float8,
        ARRAY['x', NULL, 'ä"'], 'ab', '1 day 02:03', 7, TRUE, now() - i * interval '10 minutes'
    FROM generate_series(1, 6) AS i;
INSERT INTO frames (status, upload_id, shot, taken)
    SELECT (CASE WHEN i % 2 = 0 THEN 'PROCESSING' ELSE 'DONE' END)::state, 1 + i % 6, '\\x00ff', now()
    FROM generate_series(1, 12) AS i;
"""
STATES = {"stuck_statuses": ["PROCESSING"], "reset_to": "PENDING", "fail_to": "FAILED"}
CELERY = {"app": "shop", "directory": "/nowhere", "python": "/nowhere/python"}
TASKS = {**CELERY, "task_id_column": "task", "unreachable": "ignore"}
FRAMES = {"children": [{"table": "frames", "foreign_key": "upload_id"}]}


@pytest.mark.parametrize(
    "more",
    [
        {"action": "reset", "attempts_column": "retries", "reset_set": {"price": 2, "is_new": False, "payload": "{}"}},
        {"action": "fail", "error_column": "error_message", "fail_set": {"code": "x", "tags": "{}", "span": "1h"}},
        {"action": "delete"},
    ],
    ids=lambda more: more["action"],
)
def test_rows_with_values_of_any_type_are_changed_and_restored(app, driver, more):
    app.sql(UPLOADS)
    before = app.rows("uploads"), app.rows("frames")
    planned = app.run(table="uploads", dry_run=True, **STATES, **FRAMES, **more)
    assert (app.rows("uploads"), app.rows("frames")) == before

    report = app.run(table="uploads", **STATES, **FRAMES, **more)
    assert not report.error
    assert report.counts == planned.counts == {"uploads": {more["action"]: 2}, "frames": report.counts["frames"]}
    assert app.sql("SELECT count(*) FROM uploads WHERE status = 'PROCESSING'") == [(2,)], "those that are too young"
    undone = app.undo(report)
    assert (undone.back, undone.left) == (report.count, 0)
    assert (app.rows("uploads"), app.rows("frames")) == before


def test_a_restored_row_has_its_identity_although_the_server_always_generates_it(app):
    app.sql(UPLOADS)
    report = app.run(table="uploads", action="delete", **STATES, **FRAMES)
    app.undo(report)
    assert app.sql("SELECT count(*), max(id) FROM uploads") == [(6, 6)]
    app.sql("INSERT INTO uploads (status, updated_at) VALUES ('DONE', now())")
    assert app.sql("SELECT max(id) FROM uploads") == [(7,)]


def test_a_uuid_is_found_by_its_beginning_and_without_hyphens(app):
    app.sql("CREATE TABLE jobs (id uuid PRIMARY KEY, status text, updated_at timestamptz)")
    app.sql(
        "INSERT INTO jobs SELECT i::uuid, 'processing', now() FROM unnest(ARRAY["
        "'11111111-0000-4000-8000-00000000000a', '11112222-0000-4000-8000-00000000000a']) AS i"
    )
    assert "is the beginning of several ids" in app.run(dry_run=True, jobs=["1111"]).error
    for job in ("11111", "11111111-0000-4000-8000-00000000000A", "1111111100004000800000000000000a"):
        report = app.run(dry_run=True, jobs=[job])
        assert [row.id for row in report.rows] == ["11111111-0000-4000-8000-00000000000a"], job
    assert app.run(dry_run=True, jobs=["x", "22"]).unknown == ["x", "22"]


@pytest.mark.parametrize(
    ("kind", "value", "given", "not_given"),
    [
        ("integer", "7", "7", "07"),
        ("text", "'7'", "7", "07"),
        ("numeric", "7", "7", "7.0"),
        ("varchar(8)", "'a%s'", "a%", "%"),
    ],
)
def test_a_job_is_found_by_its_id_only_as_it_is_written(app, kind, value, given, not_given):
    app.sql(f"CREATE TABLE jobs (id {kind} PRIMARY KEY, status text, updated_at timestamptz)")
    app.sql(f"INSERT INTO jobs VALUES ({value}, 'processing', now())")
    report = app.run(jobs=[given, not_given])
    assert report.unknown == [not_given]
    assert report.counts == {"jobs": {"reset": 1}}


# A type that, like citext, has no operators in pg_catalog.
OWN_TYPE = """
CREATE TYPE own;
CREATE FUNCTION own_in(cstring) RETURNS own LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION own_out(own) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE own (INPUT = own_in, OUTPUT = own_out);
"""


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        (
            "bytea",
            {},
            "id_column: jobs.id is of type bytea, but ids are compared as text. Set a column of another type.",
        ),
        (
            "text",
            {"celery": TASKS},
            "task_id_column: jobs.task is of type bytea, but ids are compared as text.",
        ),
        (
            "vector(2)",
            {},
            "id_column: jobs.id is of type public.vector(2), which an extension or the application defines",
        ),
    ],
)
def test_an_id_of_a_type_that_is_not_compared_rightly_is_refused(app, postgresql, kind, options, error):
    postgresql.sql("CREATE EXTENSION vector", user="postgres")
    app.sql(f"CREATE TABLE jobs (id {kind} PRIMARY KEY, task bytea, status text, updated_at timestamptz)")
    for dry_run in (True, False):
        assert error in app.run(dry_run=dry_run, **options).error


def test_a_status_may_be_of_a_type_of_an_extension(app, postgresql):
    postgresql.sql(OWN_TYPE, user="postgres")
    app.sql("""
        CREATE TABLE jobs (id integer PRIMARY KEY, status own, updated_at timestamptz);
        INSERT INTO jobs VALUES (1, 'processing', '2026-01-18'), (2, 'Processing', '2026-01-18');
        CREATE TABLE links (id integer PRIMARY KEY, job integer, status own);
        INSERT INTO links VALUES (1, 1, 'processing'), (2, 1, 'done');
    """)
    report = app.run(children=[{"table": "links", "foreign_key": "job"}])
    assert report.counts == {"jobs": {"reset": 1}, "links": {"reset": 1}}
    assert app.run(jobs=["2"], dry_run=True).count == 0
    assert app.undo(report).back == 2


def test_names_may_contain_what_has_a_meaning_in_sql(app, driver):
    app.sql("""
        CREATE SCHEMA "the shop";
        CREATE TYPE "the shop"."50% done" AS ENUM ('processing', 'pending', '%s');
        CREATE TABLE "the shop"."odd ""jobs"".%s"
            ("id%" text PRIMARY KEY, "a ""status"" of" "the shop"."50% done", "At" timestamptz);
        CREATE TABLE "Links" ("%(id)s" integer PRIMARY KEY, "of job" text, status text);
        INSERT INTO "the shop"."odd ""jobs"".%s"
            VALUES ('100%', 'processing', '2026-01-18'), ('50%', '%s', '2026-01-18');
        INSERT INTO "Links" VALUES (1, '100%', 'processing'), (2, '50%', 'processing');
    """)
    odd = {
        **{
            "table": 'the shop.odd "jobs".%s',
            "id_column": "id%",
            "status_column": 'a "status" of',
            "time_column": "At",
        },
        "children": [{"table": "Links", "id_column": "%(id)s", "foreign_key": "of job"}],
    }
    for action in ("reset", "delete"):
        report = app.run(action=action, **odd)
        assert not report.error
        assert report.count == 2
        assert app.undo(report).back == 2
    assert app.run(jobs=["100"], **odd).count == 2


# Times


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "bigint", "numeric", "double precision", "text"])
def test_a_time_is_read_whatever_the_type_of_its_column(app, kind):
    now = "extract(epoch FROM now())" if kind in ("bigint", "numeric", "double precision") else "now()"
    hour = 3600 if "epoch" in now else "interval '1 hour'"
    app.sql(f"CREATE TABLE jobs (id serial PRIMARY KEY, status text, updated_at {kind})")
    app.sql(
        "INSERT INTO jobs (status, updated_at)"
        f" VALUES ('processing', {now} - {hour}), ('processing', {now} - {hour} / 60)"
    )
    report = app.run(threshold="50min", dry_run=True)
    assert [row.id for row in report.rows] == ["1"]
    assert not report.skipped


def test_times_that_no_job_has_are_told(app):
    app.sql("CREATE TABLE jobs (id serial PRIMARY KEY, status text, updated_at timestamp)")
    app.sql(
        "INSERT INTO jobs (status, updated_at) SELECT 'processing', t::timestamp"
        " FROM unnest(ARRAY['infinity', '-infinity', '0044-03-15 BC', NULL, '12026-01-18']) t"
    )
    assert [note.why for note in app.run().skipped] == [
        f"updated_at is {value}, which is not a known time format"
        for value in ("'infinity'", "'-infinity'", "'0044-03-15 00:00:00 BC'", "NULL", "'12026-01-18 00:00:00'")
    ]


def test_times_without_an_offset_are_in_the_zone(app):
    app.sql("CREATE TABLE jobs (id serial PRIMARY KEY, status text, updated_at timestamp)")
    app.sql("INSERT INTO jobs (status, updated_at) VALUES ('processing', '2026-01-18 13:00')")
    for zone, is_old in (("Europe/Berlin", True), ("UTC", False)):
        assert app.run(now=NOON + 1800, time_zone=zone, dry_run=True).changed is is_old


def test_ages_are_counted_from_the_servers_clock(app, monkeypatch):
    app.sql("CREATE TABLE jobs (id serial PRIMARY KEY, status text, updated_at timestamptz)")
    app.sql("INSERT INTO jobs (status, updated_at) VALUES ('processing', now() - interval '1 hour')")
    monkeypatch.setattr("time.time", lambda: NOON)
    assert app.run(dry_run=True).rows[0].why.startswith("processing for 1 h")


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz"])
@pytest.mark.parametrize("at", ["'2026-01-18 10:00'", "NULL"])
def test_now_is_the_same_moment_whatever_the_zones_of_application_and_server(app, kind, at):
    app.sql(f"ALTER ROLE app IN DATABASE {app.login['login_db']} SET TimeZone = 'Asia/Tokyo'")
    app.sql(f"CREATE TABLE jobs (id integer PRIMARY KEY, status text, updated_at {kind}, ended {kind})")
    app.sql(f"INSERT INTO jobs VALUES (1, 'processing', {at})")
    report = app.run(jobs=["1"], now=NOON, time_zone="Europe/Berlin", reset_set={"ended": "{now}"})
    assert not report.error
    moment = "ended AT TIME ZONE 'Europe/Berlin'" if kind == "timestamp" else "ended"
    assert app.sql(f"SELECT extract(epoch FROM {moment})::integer FROM jobs") == [(int(NOON),)]
    assert app.undo(report).back == 1


def test_a_history_of_errors_may_be_jsonb(app):
    app.sql("CREATE TABLE jobs (id integer PRIMARY KEY, status text, updated_at timestamptz, errors jsonb)")
    app.sql(
        """INSERT INTO jobs SELECT i, 'processing', '2026-01-18', CASE i WHEN 2 THEN '[{"a": 1}]'::jsonb END
        FROM generate_series(1, 2) i"""
    )
    before = app.rows()
    report = app.run(action="fail", error_column="errors", error_mode="json", error_message="gone")
    assert report.count == 2
    assert app.sql("SELECT id, errors #>> '{-1,error}', jsonb_array_length(errors) FROM jobs ORDER BY id") == [
        (1, "gone", 1),
        (2, "gone", 2),
    ]
    assert app.undo(report).back == 2
    assert app.rows() == before


@pytest.mark.parametrize(
    "value",
    [
        *("2026-01-18 12:00:00+00", "2026-01-18 12:00:00.000+00", "2026-01-18 12:00:00", 1768737600, "1768737600"),
        *("1768737600.000", "1.7687376e+15", "1768737600000"),
    ],
)
def test_a_time_is_parsed_as_postgresql_writes_it(value):
    assert parse_time(value) == NOON


@pytest.mark.parametrize("value", ["infinity", "-infinity", "2026-01-18 12:00:00+00 BC", "NaN", None, "2026-01-18", ""])
def test_a_value_that_is_no_time_is_none(value):
    assert parse_time(value, parse_zone("Europe/Berlin")) is None
