"""Builds the documentation site from the READMEs, docs/ and the collection, without a network."""

import re
import shutil
import sys
from functools import partial
from pathlib import Path

import yaml
from setup import run

SITE = Path("docs/site")
SOURCE = Path(".cache/docs/source")
OUTPUT = Path(".cache/docs/html")
# Pages keep their paths, so that links between them work.
PAGES = [
    "*.md",
    "*.rst",
    "docs/*.md",
    "docs/*.svg",
    "docs/*.png",
    "roles/*/README.md",
    "[!.]*/README.md",
    "examples/*/README.md",
]
# A link's target, if it is a path: [text](path) or [text](path#heading)
PATH = re.compile(r"(?<=\]\()(?!\w+:)[^)#]+")


def main() -> None:
    galaxy = yaml.safe_load(Path("galaxy.yml").read_text())
    name = f"{galaxy['namespace']}.{galaxy['name']}"
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(SITE, SOURCE)
    lay_out(Path.cwd(), SOURCE, f"{galaxy['repository']}/blob/main")
    reference = SOURCE / "reference"
    reference.mkdir(mode=0o755)  # antsibull-docs refuses one that others can write to
    antsibull = ["antsibull-docs", "--config-file", SITE / "antsibull-docs.cfg", "collection", "--use-current"]
    run(*antsibull, "--squash-hierarchy", "--fail-on-error", "--dest-dir", reference, name)
    sphinx = ["sphinx-build", "--quiet", "--fresh-env", "--fail-on-warning", "--keep-going"]
    run(*sphinx, "--define", f"release={galaxy['version']}", SOURCE, OUTPUT)
    print(f"{OUTPUT}/index.html")


def lay_out(checkout: Path, source: Path, repository: str) -> None:
    """Copies the pages. Links to other files are replaced by links to the repository."""
    pages = {page for pattern in PAGES for page in checkout.glob(pattern)}
    for page in pages:
        copy = source / page.relative_to(checkout)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix == ".md":
            copy.write_text(PATH.sub(partial(aim, page, pages, checkout, repository), page.read_text()))
        else:
            shutil.copy(page, copy)


def aim(page: Path, pages: set[Path], checkout: Path, repository: str, link: re.Match) -> str:
    target = (page.parent / link[0]).resolve()
    if target in pages:
        return link[0]
    if not target.exists():
        sys.exit(f"{page.relative_to(checkout)}: the link to {link[0]} is broken: there is no such file.")
    return f"{repository}/{target.relative_to(checkout)}"


if __name__ == "__main__":
    main()
