"""The API's stand-in: python -m server.api scrape NAME URL | label NAME | train NAME | run NAME | call TASK

Each but `run` sends tasks. All but `train` wait for them; --seconds is how long.
"""

import argparse
import json
import sys

from celery import group

from server import config, runs
from server.celery_app import celery
from server.tasks.labeling import label_image
from server.tasks.scraping import scrape_gallery
from server.tasks.training import train_lora


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["scrape", "label", "train", "run", "call"])
    parser.add_argument("name")
    parser.add_argument("url", nargs="?")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two steps")
    parser.add_argument("--checkpoint-mb", type=int)
    options = parser.parse_args()
    result = globals()[f"_{options.what}"](options)
    print(json.dumps(result, indent=2))


def _scrape(options):
    return scrape_gallery.delay(options.name, options.url).get(timeout=options.seconds)


def _label(options):
    images = sorted(path.stem for path in (config.datasets() / options.name).glob("*.ppm"))
    if not images:
        sys.exit(f"There is no dataset {options.name}, or no image in it.")
    labels = group(label_image.s(options.name, image) for image in images).delay().get(timeout=options.seconds)
    return dict(zip(images, labels))


def _train(options):
    captions = [path.read_text() for path in sorted((config.datasets() / options.name).glob("*.txt"))]
    runs.update(options.name, status="queued", starts=0)
    settings = {"steps": options.steps, "pause": options.pause, "checkpoint_mb": options.checkpoint_mb}
    train_lora.delay(options.name, captions, **settings)
    return runs.get(options.name)


def _run(options):
    return runs.get(options.name)


def _call(options):
    return celery.send_task(f"server.tasks.{options.name}").get(timeout=options.seconds)


if __name__ == "__main__":
    main()
