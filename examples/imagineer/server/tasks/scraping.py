import re
import urllib.request
from urllib.parse import urljoin

from server import config
from server.celery_app import celery

IMAGE = re.compile(r'<img src="([^"]+)" alt="([^"]*)"')
TIMEOUT = 30


@celery.task
def scrape_gallery(dataset, url):
    """Downloads a page's images, with their captions, into a dataset. Returns how many there are."""
    directory = config.datasets() / dataset
    directory.mkdir(parents=True, exist_ok=True)
    found = IMAGE.findall(_get(url).decode())
    for number, (source, caption) in enumerate(found):
        (directory / f"{number:04}.ppm").write_bytes(_get(urljoin(url, source)))
        (directory / f"{number:04}.txt").write_text(caption)
    return len(found)


def _get(url):
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"not an address on the web: {url!r}")
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 (see above)
        return answer.read()
