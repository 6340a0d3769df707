"""What the workers do: slideshows, their variations, and batches of links."""

import slideshow
import store
from celery_app import app
from image_executor import executor


@app.task
def make_slideshow(job_id):
    _make("jobs", job_id)


@app.task
def make_variation(job_id):
    """A variation is a job like any other; it only waits in a queue of its own."""
    _make("jobs", job_id)


@app.task
def run_batch(batch_id):
    if store.start("batches", batch_id):
        for link in store.links(batch_id):
            make_link.delay(link["id"], batch_id)


@app.task
def make_link(link_id, batch_id):
    try:
        _make("links", link_id)
    finally:
        store.close_batch(batch_id)


def _make(table, row_id):
    row = store.start(table, row_id)
    if row is None:  # deleted or completed in the meantime
        return
    try:
        frames = executor().make(row["images"], slideshow.frame)
        slideshow.write(row_id, frames)
    except Exception as error:
        store.finish(table, row_id, "failed", str(error))
        raise
    store.finish(table, row_id, "completed")
