"""A stand-in for the AI models: it takes long to load, and then says which colours a picture has.

Pictures are PPM files. A video is a PPM file with several pictures, one after another.
"""

import re
import time

HEADER = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s")
COLOURS = ("red", "green", "blue")


class NotAPicture(ValueError):
    """The file can't be analyzed."""


class Model:
    def __init__(self):
        time.sleep(1)
        self.weights = bytearray(32 * 2**20)  # zeros: most of it is never really there

    def describe(self, content):
        """A description and tags."""
        pictures = list(frames(content))
        brightness = [sum(sum(picture[channel::3]) for picture in pictures) for channel in range(3)]
        colour = COLOURS[brightness.index(max(brightness))]
        light = "bright" if sum(brightness) > 127 * sum(map(len, pictures)) else "dark"
        what = "photo" if len(pictures) == 1 else f"video of {len(pictures)} pictures"
        return f"A {light} {what}, mostly {colour}.", f"{light},{colour}"


def frames(content):
    start = 0
    while start < len(content) or not start:
        header = HEADER.match(content, start)
        end = header and header.end() + 3 * int(header[1]) * int(header[2])
        if not header or end > len(content):
            raise NotAPicture(f"no picture at byte {start}")
        yield content[header.end() : end]
        start = end


def sample(colour, pictures=1, side=32):
    """A file with pictures of a colour, for the demo and the tests."""
    return b"".join(b"P6 %d %d 255\n" % (side, side) + bytes(colour) * side * side for _ in range(pictures))
