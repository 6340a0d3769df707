"""rig/release.py, in a small test collection."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

RIG = Path(__file__).parent
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    **{f"GIT_{who}_{what}": "somebody@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
FRAGMENT = "changelogs/fragments/watchdog.yml"


@pytest.fixture
def collection(tmp_path):
    """Version 0.1.0 is released; one change came after it."""
    for name in ("galaxy.yml", "README.md", "CHANGELOG.rst", ".gitignore", "meta", "changelogs"):
        copy = shutil.copytree if (RIG.parent / name).is_dir() else shutil.copy
        copy(RIG.parent / name, tmp_path / name)
    galaxy = (tmp_path / "galaxy.yml").read_text()
    last = yaml.safe_load(galaxy)["version"]
    (tmp_path / "galaxy.yml").write_text(galaxy.replace(f"version: {last}", "version: 0.1.0"))
    changes = {"releases": {"0.1.0": {"changes": {"release_summary": "The first."}, "release_date": "2026-11-21"}}}
    (tmp_path / "changelogs/changelog.yaml").write_text(yaml.safe_dump({"ancestor": None, **changes}))
    for fragment in (tmp_path / "changelogs/fragments").glob("*.yml"):
        fragment.unlink()
    (tmp_path / FRAGMENT).write_text("bugfixes:\n  - watchdog - it barks.\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "feat: one change")
    return tmp_path


def git(collection, *words):
    command = ["git", "-C", str(collection), *words]
    return subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout


def release(collection, version):
    command = [sys.executable, str(RIG / "release.py"), version]
    return subprocess.run(command, cwd=collection, env=ENVIRONMENT, check=False, capture_output=True, text=True)


def state(collection):
    return git(collection, "rev-parse", "HEAD"), git(collection, "status", "--porcelain"), git(collection, "tag")


def test_a_release_makes_a_version_a_changelog_a_tarball_a_commit_and_a_tag(collection):
    (collection / "notes.tar.gz").write_text("ignored by git, and no part of a release")
    result = release(collection, "0.2.0")
    assert result.returncode == 0, result.stderr
    assert yaml.safe_load((collection / "galaxy.yml").read_text())["version"] == "0.2.0"
    assert (
        "v0.2.0\n======\n\nBugfixes\n--------\n\n- watchdog - it barks." in (collection / "CHANGELOG.rst").read_text()
    )
    assert not (collection / FRAGMENT).exists()
    assert git(collection, "status", "--porcelain") == ""
    assert git(collection, "rev-list", "--count", "HEAD").strip() == "2"
    assert git(collection, "rev-parse", "0.2.0^{commit}") == git(collection, "rev-parse", "HEAD")
    with tarfile.open(collection / "evenkeel-celery-0.2.0.tar.gz") as tarball:
        names = tarball.getnames()
    assert "CHANGELOG.rst" in names
    assert "notes.tar.gz" not in names


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("", "not a version"),
        ("0.2", "not a version"),
        ("v0.2.0", "not a version"),
        ("0.02.0", "not a version"),
        ("0.2.0-rc1", "not a version"),
        ("0.1.0", "not greater than 0.1.0"),
        ("0.0.10", "not greater than 0.1.0"),
    ],
)
def test_a_version_that_is_invalid_or_not_greater_than_the_last_is_refused(collection, version, reason):
    before = state(collection)
    result = release(collection, version)
    assert result.returncode == 1
    assert reason in result.stderr
    assert state(collection) == before


def test_versions_are_compared_as_numbers(collection):
    galaxy = collection / "galaxy.yml"
    galaxy.write_text(galaxy.read_text().replace("version: 0.1.0", "version: 0.9.0"))
    git(collection, "commit", "--quiet", "--all", "--message", "0.9.0 was the last")
    assert release(collection, "0.10.0").returncode == 0


@pytest.mark.parametrize("name", ["README.md", "a_new_file"])
def test_a_tree_with_changes_is_refused_and_they_are_listed(collection, name):
    (collection / name).write_text("not committed yet")
    before = state(collection)
    result = release(collection, "0.2.0")
    assert result.returncode == 1
    assert name in result.stderr
    assert state(collection) == before
    assert (collection / name).read_text() == "not committed yet"


def test_a_branch_without_fragments_is_refused(collection):
    git(collection, "rm", "--quiet", FRAGMENT)
    git(collection, "commit", "--quiet", "--message", "nothing to tell")
    before = state(collection)
    result = release(collection, "0.2.0")
    assert result.returncode == 1
    assert "nothing to release" in result.stderr
    assert state(collection) == before


def test_a_version_whose_tag_exists_is_refused(collection):
    git(collection, "tag", "0.2.0")
    before = state(collection)
    result = release(collection, "0.2.0")
    assert result.returncode == 1
    assert "the tag 0.2.0 exists already" in result.stderr
    assert state(collection) == before


def test_a_release_that_fails_midway_changes_nothing(collection):
    hook = collection / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    before = state(collection)
    result = release(collection, "0.2.0")
    assert result.returncode == 1
    assert "Nothing was changed" in result.stderr
    assert state(collection) == before


def test_the_tarball_holds_the_collection_and_not_what_it_is_developed_with(tmp_path):
    for name in git(RIG.parent, "ls-files").splitlines():
        (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(RIG.parent / name, tmp_path / "checkout" / name)
    build = ["ansible-galaxy", "collection", "build", "--output-path", str(tmp_path), str(tmp_path / "checkout")]
    subprocess.run(build, env=ENVIRONMENT, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as tarball:
        names = {name.split("/")[0] for name in tarball.getnames()}
    assert names - {"FILES.json", "MANIFEST.json"} == {
        "CHANGELOG.rst",
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "changelogs",
        "docs",
        "meta",
        "playbooks",
        "plugins",
        "roles",
    }
