"""Slideshows as animated PNG files, which any browser displays.

Frames are kept uncompressed, 8 MiB each, until the slideshow is written. They are most of a busy worker's memory.
"""

import struct
import zlib

import store

WIDTH, HEIGHT, SECONDS = 1080, 1920, 2
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def frame(png):
    """The image in the slideshow's size. The API's images are one pixel, which fills the frame."""
    start = png.index(b"IDAT")
    (length,) = struct.unpack_from(">I", png, start - 4)
    pixel = zlib.decompress(png[start + 4 : start + 4 + length])[1:4] + b"\xff"
    return (b"\0" + pixel * WIDTH) * HEIGHT


def write(name, frames):
    """Write the slideshow atomically, even if another user has written one of this name before."""
    path = file(name)
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(b"".join(_apng(frames)))
    draft.replace(path)


def file(name):
    return store.DATA / "slideshows" / f"{name}.png"


def _apng(frames):
    yield SIGNATURE
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 6, 0, 0, 0))
    yield _chunk(b"acTL", struct.pack(">II", len(frames), 0))
    for number, pixels in enumerate(frames):
        sequence = max(0, 2 * number - 1)
        yield _chunk(b"fcTL", struct.pack(">IIIIIHHBB", sequence, WIDTH, HEIGHT, 0, 0, SECONDS, 1, 0, 0))
        data = zlib.compress(pixels, 1)
        yield _chunk(b"IDAT", data) if number == 0 else _chunk(b"fdAT", struct.pack(">I", sequence + 1) + data)
    yield _chunk(b"IEND", b"")


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
