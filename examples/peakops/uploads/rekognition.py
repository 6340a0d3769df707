"""A stand-in for Amazon Rekognition. It takes as much memory for a frame: 50 MB."""

FRAME = 50 << 20


def labels(thumbnail):
    """What a frame shows."""
    tensor = bytearray(thumbnail[-1:]) * FRAME
    return ["sky" if tensor[-1] > 127 else "roof"]
