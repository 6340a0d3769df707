"""What is wrong with tables, columns, values, rights and roles is said before anything is changed."""

from __future__ import annotations

import pytest

JOBS = """
CREATE TYPE state AS ENUM ('processing', 'pending', 'done');
CREATE TABLE jobs (id integer PRIMARY KEY, status text NOT NULL, state state, code varchar(4), made date,
    number integer, twice integer GENERATED ALWAYS AS (number * 2) STORED, updated_at timestamptz DEFAULT '2026-01-18');
CREATE TABLE links (id integer PRIMARY KEY, job integer, name text, at date);
INSERT INTO jobs (id, status, state) VALUES (1, 'processing', 'processing');
"""


@pytest.fixture
def jobs(app):
    app.sql(JOBS)
    yield app
    assert app.sql("SELECT status FROM jobs") == [("processing",)]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"table": "jbs"}, "there is no table 'jbs'. Did you mean 'jobs'?"),
        ({"time_column": "update_at"}, "time_column: table jobs has no column 'update_at'. Did you mean 'updated_at'?"),
        ({"id_column": "number"}, "id_column: jobs.number is not unique. Set one of: id."),
        ({"time_column": "made"}, "time_column: jobs.made is of type date, no point in time."),
        ({"reset_set": {"twice": 1}}, "reset_set: jobs.twice is a generated column."),
        (
            {"status_column": "state", "reset_to": "pendin"},
            "reset_to: public.state has no label 'pendin'. Did you mean 'pending'?",
        ),
        ({"status_column": "state", "stuck_statuses": ["busy"]}, "stuck_statuses: public.state has no label 'busy'."),
        ({"status_column": "state", "action": "fail"}, "fail_to: public.state has no label 'failed'."),
        (
            {"status_column": "number"},
            "stuck_statuses: 'processing' does not fit number, integer: invalid input syntax",
        ),
        ({"reset_to": None}, "reset_to: status is NOT NULL."),
        ({"reset_set": {"number": "many"}}, "reset_set: number: 'many' does not fit number, integer"),
        ({"reset_set": {"number": 2**40}}, "reset_set: number: '1099511627776' does not fit number, integer"),
        ({"reset_set": {"code": "12345"}}, "reset_set: code: '12345' is too long for code, character varying(4)."),
        (
            {"reset_set": {"updated_at": "soon"}},
            "reset_set: updated_at: 'soon' does not fit updated_at, timestamp with",
        ),
        (
            {"reset_set": {"number": "{now}"}},
            "reset_set: number: {now} is written like updated_at, timestamp with time zone, but number is integer.",
        ),
        ({"action": "fail", "error_column": "number"}, "error_column: 'Stuck in {status}"),
        ({"attempts_column": "made"}, "attempts_column: '1' does not fit made, date"),
        (
            {"children": [{"table": "links", "foreign_key": "at", "status_column": "name"}]},
            "foreign_key: links.at is date, but jobs.id is integer.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_says_what_is_wrong(jobs, options, error):
    report = jobs.run(**options)
    assert error in report.error
    assert report.error.endswith("Nothing was changed.")
    assert jobs.run(dry_run=True, **options).error == report.error


def test_a_default_of_an_action_that_is_not_used_need_not_fit(jobs):
    assert jobs.run(status_column="state", dry_run=True).changed


def test_only_ordinary_tables_are_cleaned_up(jobs):
    jobs.sql("""
        CREATE VIEW seen AS SELECT * FROM jobs;
        CREATE TABLE ruled (LIKE jobs INCLUDING ALL);
        CREATE RULE nothing AS ON UPDATE TO ruled DO INSTEAD NOTHING;
        CREATE TABLE parents (LIKE jobs INCLUDING ALL);
        CREATE TABLE heirs () INHERITS (parents);
        CREATE SCHEMA more;
        CREATE TABLE more.jobs (LIKE jobs INCLUDING ALL);
        CREATE TABLE "more.jobs" (LIKE jobs INCLUDING ALL);
    """)
    for table, error in (
        ("seen", "seen is a view. Set the table behind it."),
        ("ruled", "ruled has rules"),
        ("parents", "parents has tables that inherit from it"),
        ("more.jobs", "'more.jobs' is the name of several tables"),
    ):
        assert error in jobs.run(table=table).error


def test_a_key_that_the_action_itself_changes_is_refused(jobs):
    jobs.sql("""
        CREATE TABLE parts (id integer, status text, updated_at timestamptz, PRIMARY KEY (id, status))
            PARTITION BY LIST (status);
        CREATE TABLE open PARTITION OF parts FOR VALUES IN ('processing');
        CREATE TABLE rest PARTITION OF parts DEFAULT;
        INSERT INTO parts VALUES (1, 'processing', '2026-01-18');
    """)
    error = "id_column: parts.status would be changed itself. Set columns that stay as they are."
    assert error in jobs.run(table="parts", id_column=["id", "status"]).error
    assert jobs.sql("SELECT * FROM open") != []
    deleted = jobs.run(table="parts", id_column=["id", "status"], action="delete")
    assert deleted.counts == {"parts": {"delete": 1}}


def test_a_partitioned_table_is_cleaned_up_with_all_foreign_keys_to_it(jobs):
    jobs.sql("""
        CREATE TABLE parts (id integer PRIMARY KEY, status text, updated_at timestamptz) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (3);
        CREATE TABLE high PARTITION OF parts FOR VALUES FROM (3) TO (9);
        INSERT INTO parts SELECT i, 'processing', '2026-01-18' FROM generate_series(1, 4) AS i;
        CREATE TABLE of_all (part integer REFERENCES parts);
        CREATE TABLE of_low (part integer REFERENCES low ON DELETE CASCADE);
        INSERT INTO of_all VALUES (4);
        INSERT INTO of_low VALUES (1);
    """)
    assert [row.id for row in jobs.run(table="parts", dry_run=True).rows] == list("1234")
    for table in ("parts", "low"):
        left = {note.id for note in jobs.run(table=table, action="delete", dry_run=True).skipped}
        assert left == ({"1", "4"} if table == "parts" else {"1"})
    report = jobs.run(table="parts", action="delete")
    assert report.counts == {"parts": {"delete": 2}}
    assert jobs.undo(report).back == 2


# Rights and roles


@pytest.fixture
def role(postgresql):
    """A role of the test's own. Others have databases too."""
    name = f"role_of_{postgresql.login['login_db']}"
    postgresql.sql(f"CREATE ROLE {name} LOGIN", user="postgres")
    yield name
    postgresql.sql(f"DROP OWNED BY {name}; DROP ROLE {name}", user="postgres")


def test_missing_rights_are_named(jobs, role):
    def error(**more):
        return jobs.run(login_user=role, **more).error

    assert (
        "the role has no right SELECT (id), SELECT (status), SELECT (updated_at), UPDATE (status) on jobs." in error()
    )
    jobs.sql(f"GRANT SELECT ON jobs TO {role}")
    assert "the role has no right UPDATE (status) on jobs. GRANT it, or log in as its owner, app." in error()
    assert "the role has no right UPDATE (number), UPDATE (status) on jobs." in error(attempts_column="number")
    assert "the role has no right UPDATE, DELETE on jobs." in error(action="delete")
    jobs.sql("CREATE TABLE strangers (job integer REFERENCES jobs)")
    jobs.sql(f"GRANT UPDATE, DELETE ON jobs TO {role}")
    assert "the role has no right SELECT on strangers, which refers to jobs. GRANT it." in error(action="delete")


def test_a_role_that_has_the_rights_need_not_own_the_table(jobs, role):
    jobs.sql(f"GRANT SELECT, UPDATE (status) ON jobs TO {role}")
    report = jobs.run(login_user=role)
    assert report.counts == {"jobs": {"reset": 1}}
    assert jobs.undo(report).back == 1


def test_a_schema_that_may_not_be_used_is_named(jobs, role):
    jobs.sql("CREATE SCHEMA shop; CREATE TABLE shop.jobs (LIKE jobs INCLUDING ALL)")
    assert (
        "the role has no right to the schema shop. GRANT USAGE on it."
        in jobs.run(login_user=role, table="shop.jobs").error
    )


TRAP = """
CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('role', 'none', true); ALTER ROLE app SUPERUSER; RETURN NEW; END $$;
CREATE TRIGGER trap BEFORE UPDATE ON jobs EXECUTE FUNCTION trap();
"""
REFUSED = (
    "the role postgres has SUPERUSER, and the application's triggers and checks would run with these rights. Set"
    " login_user to the application's own role"
)


@pytest.mark.parametrize("owner", ["app", "postgres"])
def test_no_code_of_the_applications_gets_the_rights_of_a_superuser(jobs, postgresql, owner):
    postgresql.sql(f"ALTER TABLE jobs OWNER TO {owner}; GRANT SELECT, TRIGGER ON jobs TO app", user="postgres")
    jobs.sql(TRAP)
    for dry_run in (True, False):
        assert REFUSED in jobs.run(login_user="postgres", dry_run=dry_run).error
    assert jobs.sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'app'") == [(False,)]


def test_a_role_is_refused_before_a_check_of_the_applications_runs(app):
    app.sql("""
        CREATE FUNCTION trap(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'as %', session_user; END $$;
        CREATE DOMAIN state AS text CHECK (trap(VALUE));
        CREATE TABLE jobs (id integer PRIMARY KEY, status state, updated_at timestamptz)
    """)
    assert "as app" in app.run().error
    refused = app.run(login_user="postgres").error
    assert REFUSED in refused
    assert "as postgres" not in refused


def test_an_undo_is_refused_to_a_superuser_too(jobs, role, postgresql):
    jobs.sql(f"GRANT SELECT, UPDATE ON jobs TO {role}")
    report = jobs.run(login_user=role)
    postgresql.sql(f"ALTER ROLE {role} SUPERUSER", user="postgres")
    for dry_run in (True, False):
        with pytest.raises(jobs.api.StuckJobsError, match=f"the role {role} has SUPERUSER"):
            jobs.undo(report, dry_run=dry_run)
    postgresql.sql(f"ALTER ROLE {role} NOSUPERUSER", user="postgres")
    assert jobs.undo(report).back == 1


@pytest.mark.parametrize("power", ["CREATEROLE", "REPLICATION", "BYPASSRLS", "pg_write_server_files"])
def test_a_role_that_can_do_more_than_write_to_tables_is_refused(jobs, role, power, postgresql):
    jobs.sql(f"GRANT ALL ON jobs TO {role}")
    postgresql.sql(f"GRANT {power} TO {role}" if "_" in power else f"ALTER ROLE {role} {power}", user="postgres")
    assert f"the role {role} has {power}, and" in jobs.run(login_user=role).error


def test_a_role_may_look_at_the_server(jobs, role, postgresql):
    jobs.sql(f"GRANT ALL ON jobs TO {role}")
    postgresql.sql(f"GRANT pg_monitor TO {role}", user="postgres")
    assert jobs.run(login_user=role, dry_run=True).changed


def test_row_level_security_that_would_hide_rows_is_refused(jobs, role):
    jobs.sql("ALTER TABLE jobs ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON jobs USING (id > 5)")
    jobs.sql(f"GRANT ALL ON jobs TO {role}")
    assert jobs.run(dry_run=True).changed, "the owner sees all rows"
    assert "jobs has row-level security that hides rows from this role." in jobs.run(login_user=role).error
    jobs.sql("ALTER TABLE jobs FORCE ROW LEVEL SECURITY")
    assert "jobs has row-level security" in jobs.run().error
    jobs.sql("ALTER TABLE jobs NO FORCE ROW LEVEL SECURITY")


def test_nothing_is_written_where_the_administrator_wants_it_read_only(jobs, postgresql):
    database = postgresql.login["login_db"]
    postgresql.sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on", user="postgres")
    assert "default_transaction_read_only is on" in jobs.run().error
    assert jobs.run(dry_run=True).changed


def test_a_name_that_hides_one_of_postgresqls_own_is_not_used(jobs):
    """Functions and operators of public would run as us."""
    jobs.sql(
        """
        CREATE FUNCTION public.octet_length(text) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'ours'; END $$;
        CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'ours'; END $$;
        ALTER ROLE app IN DATABASE {} SET search_path = public, pg_catalog;
    """.format(jobs.login["login_db"])
    )
    assert jobs.run(dry_run=True).changed
