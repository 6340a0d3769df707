"""The path of this checkout."""

from pathlib import Path

PROJECT = Path(__file__).parents[2]
