"""The page as a file: well-formed, alone, safe, and readable without its script."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.report.samples import ARABIC, EVIL, results, with_evidence, written
from xlrank.report import write_report
from xlrank.report.html import script_hash

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Page(HTMLParser):
    """A page's elements and texts, and a check that every element that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(folder: Path, value: dict[str, Any], **options: Any) -> str:  # noqa: ANN401
    write_report(written(folder, value), **options)
    return (folder / "leaderboard.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = with_evidence(tmp_path_factory.mktemp("page"), results())
    write_report(folder)
    return (folder / "leaderboard.html").read_text(encoding="utf-8")


def test_well_formed_and_alone(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert not re.search(r"https?://|url\((?!#)|@import", text)
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "base", "form"} and "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert not re.match(r"[a-z]+:|//", attributes.get("href") or "", re.IGNORECASE)
    assert page.all("html") == [{"lang": "en"}]
    assert all("scope" in attributes for attributes in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_only_the_script_of_the_page_may_run(text: str) -> None:
    policy = next(str(a["content"]) for a in Page(text).all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    assert f"script-src '{script_hash(scripts[0])}'" in policy and "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_hostile_texts_stay_texts(text: str) -> None:
    page = Page(text)
    assert len(page.all("script")) == 2 + 3  # data, script, three pieces
    assert "<img" not in text
    assert EVIL in [words for tag, words in page.texts if tag == "th"]  # without JavaScript
    assert "\\u003c/script\\u003e" in text


def test_a_plain_table_without_javascript(text: str) -> None:
    plain = text[text.index("<noscript>") : text.index("</noscript>")]
    rows = re.findall(r"<tr>(.*?)</tr>", plain)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    assert cells[0] == ["System", "KY-EN", "UG-FA", "FA-EN", "AVG"]
    assert ["DENSE", "0.400", "0.400", "0.400", "0.400"] in cells
    assert ["SPLIT", "<strong>0.530*</strong>", "<strong>0.450</strong>", "–", "–"] in cells
    assert ["BM25", "0.300*", "0.350", "–", "–"] in cells


def test_direction_is_left_to_the_text(text: str) -> None:
    page = Page(text)
    assert {attributes.get("dir") for attributes in page.all("li")} == {"auto"}
    assert ("li", ARABIC) in page.texts


def test_titles_and_provenance(tmp_path: Path) -> None:
    value = results(title=EVIL, command="xlrank run '<a>.yaml'", date="yesterday")
    text = page_of(tmp_path, value)
    page = Page(text)
    assert ("h1", EVIL) in page.texts
    assert ("code", "xlrank run '<a>.yaml'") in page.texts
    assert any("python 3.11.2 · cpu a CPU" in words for _, words in page.texts)
    assert ("dd", "yesterday") in page.texts


def test_without_drill_down_there_are_no_pieces(tmp_path: Path) -> None:
    text = page_of(tmp_path, results(), drill_down=False)
    assert 'id="pair-0"' not in text and "left out on request" in text
