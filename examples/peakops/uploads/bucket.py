"""A stand-in for the bucket on S3: a directory. A video takes no space in it, but memory when it is downloaded."""

from django.conf import settings


def path(upload_id):
    return settings.DATA / "bucket" / f"{upload_id}.mov"


def put(upload_id, size_mb):
    path(upload_id).parent.mkdir(exist_ok=True)
    with path(upload_id).open("wb") as file:
        file.truncate(size_mb << 20)


def download(upload_id):
    return path(upload_id).read_bytes()
