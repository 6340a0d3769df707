"""Lets the unit tests import this checkout as ansible_collections.evenkeel.celery, as Ansible itself does."""

from pathlib import Path

from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

COLLECTIONS = Path(__file__).parents[2] / ".ansible" / "collections"

_AnsibleCollectionFinder(paths=[str(COLLECTIONS)])._install()
