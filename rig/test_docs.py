"""The pages of the site, and the links between them."""

import pytest

import docs


@pytest.fixture
def checkout(tmp_path):
    checkout = tmp_path / "checkout"
    (checkout / "docs").mkdir(parents=True)
    (checkout / "docs/memory.md").write_text("# Memory\n")
    (checkout / "site.yml").touch()
    return checkout


def laid_out(checkout, text):
    (checkout / "README.md").write_text(text)
    source = checkout.parent / "source"
    docs.lay_out(checkout, source, "https://example.com/blob/main")
    return (source / "README.md").read_text()


@pytest.mark.parametrize("link", ["docs/memory.md", "docs/memory.md#limits", "#limits", "https://example.com/x"])
def test_links_to_pages_headings_and_the_web_stay(checkout, link):
    assert laid_out(checkout, f"[text]({link})") == f"[text]({link})"


@pytest.mark.parametrize("link", ["site.yml", "docs"])
def test_links_to_other_files_lead_to_the_repository(checkout, link):
    assert laid_out(checkout, f"[text]({link})") == f"[text](https://example.com/blob/main/{link})"


def test_a_broken_link_is_refused(checkout):
    with pytest.raises(SystemExit, match=r"README.md: the link to docs/memry.md is broken"):
        laid_out(checkout, "[text](docs/memry.md)")
