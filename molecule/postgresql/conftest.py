"""The photo album with its data in PostgreSQL, and clean-ups of it."""

import pytest

HOME = "/var/www/photo_album"
PICTURE = r"P6 1 1 255\n\001\002\003"
# $1 photos, of which every third has been stuck for an hour, and one that can't be read before it is released.
UPLOAD = f"""
cd {HOME}/media
for number in $(seq "$1"); do printf '{PICTURE}' > "$2-$number"; done
mkfifo "$2-held"
"""
ROWS = """
INSERT INTO album_{table} (file, processing_status, description, tags, error, uploaded_at, updated_at)
SELECT '{name}-' || number, {status}, '', '', '', now() - interval '1 day', now() - interval '1 hour'
FROM {source} AS number
"""
STUCK = "CASE WHEN number % 3 = 0 THEN 'processing' ELSE 'pending' END"


class Album:
    def __init__(self, server):
        self.server, self.check_output, self.wait_for = server, server.check_output, server.wait_for

    def sql(self, query, port=5432):
        """Executes SQL as the superuser."""
        return self.check_output(
            f"cd / && runuser -u postgres -- psql -qAt -v ON_ERROR_STOP=1 -p {port} -d album -c %s", query
        )

    def as_application(self, shell, *arguments):
        words = " ".join(["%s"] * len(arguments))
        return self.check_output(f"runuser -u www-data -- sh -euc %s - {words}", shell, *arguments)

    def upload(self, name, photos):
        """So many photos, every third stuck for an hour, and first one that can't be read before its release."""
        self.as_application(UPLOAD, str(photos), name)
        self.sql(ROWS.format(table="photo", name=name, status="'pending'", source="unnest(ARRAY['held'])"))
        self.sql(ROWS.format(table="photo", name=name, status=STUCK, source=f"generate_series(1, {photos})"))

    def release(self, name):
        self.as_application(f"cd {HOME}/media && printf '{PICTURE}' > $1-new && mv $1-new $1-held", name)

    def stick(self, videos):
        """So many videos that have been stuck for an hour, and no others."""
        source = f"generate_series(1, {videos})"
        self.sql(
            "TRUNCATE album_video;" + ROWS.format(table="video", name="stuck", status="'processing'", source=source)
        )

    def videos(self, status):
        """How many have this status."""
        return int(self.sql(f"SELECT count(*) FROM album_video WHERE processing_status = '{status}'"))

    def send(self, task):
        self.check_output(
            f"cd {HOME} && runuser -u www-data -- env PYTHONDONTWRITEBYTECODE=1"
            f" venv/bin/celery -A photo_album call album.tasks.{task}"
        )


@pytest.fixture(scope="module")
def album(server):
    return Album(server)
