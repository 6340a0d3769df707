"""The photo album on a host."""

import json
import re

import pytest

HOME = "/var/www/photo_album"
DATABASE = f"{HOME}/data/db.sqlite3"
SEND = """
import json, sys
from photo_album import celery_app
name, arguments, options = sys.argv[1], *map(json.loads, sys.argv[2:])
print(celery_app.send_task(f"album.tasks.{name}", arguments, **options).id)
"""


class Album:
    """Photos are named by the tests; an item's status is looked up by that name."""

    def __init__(self, server, sqlite):
        self.server, self.sql, self.wait_for = server, sqlite, server.wait_for

    def run(self, program, *arguments):
        command = ["runuser -u www-data -- env PYTHONDONTWRITEBYTECODE=1", f"{HOME}/venv/bin/{program}"]
        return self.server.check_output(
            f"cd {HOME} && {' '.join(command)} {' '.join(['%s'] * len(arguments))}", *arguments
        )

    def manage(self, *arguments):
        return self.run("python", "manage.py", *arguments)

    def statistics(self):
        return json.loads(self.manage("statistics", "--json"))

    def send(self, task, *arguments, **options):
        return self.run("python", "-c", SEND, task, json.dumps(arguments), json.dumps(options))

    def nodes(self):
        """The names of the workers that answer."""
        replies = self.run("python", "-c", "from photo_album import celery_app as app; print(app.control.ping())")
        return set(re.findall(r"'(\w+)@", replies))

    def upload(self, name, content="photo", kind="photo"):
        """A photo whose file holds a picture, is damaged, or can't be read before it is released."""
        make = {
            "photo": f"printf 'P6 1 1 255\\n\\001\\002\\003' > media/{name}",
            "damaged": f"printf 'P6 1 1 255\\n' > media/{name}",
            "held": f"mkfifo media/{name}",
        }[content]
        self.server.check_output("cd %s && runuser -u www-data -- sh -c %s", HOME, make)
        row = f"('{name}', 'pending', '', '', '', datetime('now'), datetime('now'))"
        columns = "file, processing_status, description, tags, error, uploaded_at, updated_at"
        self.sql(DATABASE, f"INSERT INTO album_{kind} ({columns}) VALUES {row}", user="www-data")
        return int(self.sql(DATABASE, f"SELECT id FROM album_{kind} WHERE file = '{name}'"))

    def release(self, name):
        """Whoever reads the file gets the picture, now and later."""
        picture = f"printf 'P6 1 1 255\\n\\001\\002\\003' > media/{name}.new"
        self.server.check_output(
            "cd %s && runuser -u www-data -- sh -c %s",
            HOME,
            f"{picture} && {{ timeout 5 dd if=media/{name}.new of=media/{name} status=none || true; }}"
            f" && mv media/{name}.new media/{name}",
        )

    def not_touched_for_an_hour(self, name):
        self.sql(
            DATABASE,
            f"UPDATE album_photo SET updated_at = datetime('now', '-1 hour') WHERE file = '{name}'",
            user="www-data",
        )

    def look(self, name, column="processing_status", kind="photo"):
        return self.sql(DATABASE, f"SELECT {column} FROM album_{kind} WHERE file = '{name}'")

    def becomes(self, name, status, kind="photo"):
        self.wait_for(lambda: self.look(name, kind=kind) == status, f"{name} to be {status}")


@pytest.fixture
def album(server, sqlite):
    return Album(server, sqlite)
