"""A stand-in for FFmpeg: each frame is as large as FFmpeg's, but of one grey.

A frame of 4K video takes 24 MiB, so 25 seconds of it take about 200 MiB, and MAX_FRAMES_PER_VIDEO of them 475 MiB.
"""

import shutil

from django.conf import settings

SECONDS_BETWEEN = 3
THUMBNAIL = (16, 9)


def extract(data, seconds, height):
    """The frames, each a bytearray of its pixels in RGB."""
    if not data:
        raise ValueError("the video is empty")
    pixels = height * height * 16 // 9
    number = min(max(1, seconds // SECONDS_BETWEEN), settings.MAX_FRAMES_PER_VIDEO)
    return [bytearray([20 * index % 256]) * (3 * pixels) for index in range(number)]


def save(upload_id, frames):
    """Keeps a thumbnail of each frame."""
    shutil.rmtree(directory(upload_id), ignore_errors=True)
    directory(upload_id).mkdir(parents=True)
    width, height = THUMBNAIL
    for number, frame in enumerate(frames):
        thumbnail = b"P5 %d %d 255\n" % THUMBNAIL + bytes(frame[: width * height])
        (directory(upload_id) / f"{number:03}.pgm").write_bytes(thumbnail)


def saved(upload_id):
    """The thumbnails, one after another."""
    for path in sorted(directory(upload_id).glob("*.pgm")):
        yield path.read_bytes()


def directory(upload_id):
    return settings.DATA / "frames" / str(upload_id)
