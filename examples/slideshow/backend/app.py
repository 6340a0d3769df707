"""The web front end: accepts jobs and batches, and shows their status."""

import slideshow
import store
import tasks
from flask import Flask, abort, jsonify, request, send_file

MOST_IMAGES = 30

app = Flask(__name__)
store.initialise()


@app.post("/api/jobs")
def create():
    """{"images": 5, "variations": 2} makes a job; {"links": ["https://…", …], "images": 3} a batch."""
    order = request.get_json()
    images, variations, links = order.get("images", 5), order.get("variations", 0), order.get("links")
    if images not in range(1, MOST_IMAGES + 1):
        abort(400, f"images: {images!r} is not a number from 1 to {MOST_IMAGES}")
    if links is not None:
        if not links or not all(isinstance(link, str) for link in links):
            abort(400, f"links: {links!r} is not a list of addresses")
        return _create_batch(links, images), 202
    if variations not in range(11):
        abort(400, f"variations: {variations!r} is not a number from 0 to 10")
    return _create_job(images, variations), 202


def _create_job(images, variations):
    job = store.add("jobs", images=images)
    tasks.make_slideshow.delay(job)
    for _ in range(variations):
        tasks.make_variation.delay(store.add("jobs", images=images, variation_of=job))
    return store.get("jobs", job)


def _create_batch(links, images):
    batch = store.add("batches")
    for url in links:
        store.add("links", batch_id=batch, url=url, images=images)
    tasks.run_batch.delay(batch)
    return _batch(batch)


@app.get("/api/jobs")
@app.get("/api/batches")
def latest():
    table = request.path.rsplit("/", 1)[1]
    return jsonify(store.latest(table, request.args.get("limit", 10, int)))


@app.get("/api/jobs/<row_id>")
def job(row_id):
    return store.get("jobs", row_id) or abort(404, "no such job")


@app.get("/api/batches/<row_id>")
def batch(row_id):
    return _batch(row_id) or abort(404, "no such batch")


@app.get("/api/jobs/<row_id>/slideshow")
def show(row_id):
    path = slideshow.file(row_id)
    return send_file(path) if store.get("jobs", row_id) and path.exists() else abort(404, "no slideshow (yet)")


@app.errorhandler(400)
@app.errorhandler(404)
def as_json(error):
    return {"error": error.description}, error.code


def _batch(batch_id):
    row = store.get("batches", batch_id)
    return row and {**row, "links": store.links(batch_id)}
