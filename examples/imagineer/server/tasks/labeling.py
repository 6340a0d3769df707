from server import config
from server.celery_app import celery

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255), "black": (0, 0, 0)}


@celery.task
def label_image(dataset, name):
    """Adds the image's main colour to its caption. Returns the colour. It may be run twice."""
    directory = config.datasets() / dataset
    pixels = (directory / f"{name}.ppm").read_bytes().split(b"\n", 3)[3]
    average = [sum(pixels[channel::3]) * 3 // len(pixels) for channel in range(3)]
    colour = min(COLOURS, key=lambda known: sum(abs(a - b) for a, b in zip(COLOURS[known], average)))
    caption = directory / f"{name}.txt"
    words = [word for word in caption.read_text().split() if word not in COLOURS]
    caption.write_text(" ".join([*words, colour]))
    return colour
