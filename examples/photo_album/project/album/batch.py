"""Analyzes many items at once, because the model takes longer to load than an item to be analyzed."""

import logging

from celery.exceptions import SoftTimeLimitExceeded

from . import ai

logger = logging.getLogger(__name__)
WAITING = ("pending", "failed")


def analyze(kind, limit=None):
    """Analyzes at most so many items, pending ones first. Returns how many were completed and how many failed."""
    # "pending" comes before "failed" when sorted downwards.
    waiting = kind.objects.filter(processing_status__in=WAITING).order_by("-processing_status", "pk")[:limit]
    counts = {"completed": 0, "failed": 0}
    if not waiting:
        return counts
    try:
        model = ai.Model()
        for item in waiting:
            if item.claim():
                counts[analyze_one(item, model)] += 1
    except SoftTimeLimitExceeded:
        logger.warning("AI_PROCESSING_TIMEOUT is over. The next batch continues.")
    return counts


def analyze_one(item, model):
    """Returns the item's new status. Whatever else goes wrong, the item is pending again."""
    try:
        description, tags = model.describe(item.path.read_bytes())
    except (ai.NotAPicture, OSError) as error:
        logger.warning("%s failed: %s", item.file, error)
        item.become("failed", error=str(error))
        return "failed"
    except BaseException:
        item.become("pending")
        raise
    item.become("completed", description=description, tags=tags, error="")
    logger.info("%s completed", item.file)
    return "completed"
