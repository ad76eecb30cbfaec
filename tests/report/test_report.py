"""The report: right marks, escaped text, one self-contained page, and nothing written from bad input."""

import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from xlrank.errors import XlrankError
from xlrank.report import write_report
from xlrank.report.markdown import escaped
from xlrank.report.plot import interval
from xlrank.report.table import console_table, p_value, read_results, signed

NAMES = ["leaderboard.md", "leaderboard.html", "map.svg", "map.png"]
ARABIC = "إعادة الترتيب"
EVIL = "<script>alert(1)</script> | $x$ \"&'"
VOID = {"meta", "link", "br", "input", "img", "hr"}


def row(system: str, language: str, score: float, p_holm: float | None = None, **other: Any) -> dict[str, Any]:  # noqa: ANN401
    """One row; without ``p_holm`` it is the baseline."""
    comparison = {"difference": score - 0.4, "p_value": p_holm, "p_holm": p_holm, "wins": 2, "losses": 1, "ties": 0, "topics": 3}
    return {
        "system": system, "label": system.upper(), "composition": None, "language": language, "documents": "en",
        "metrics": {"map": score, "recall@100": 0.9}, "comparison": None if p_holm is None else comparison,
        "per_topic": {"map": {"9": score - 0.1, "10": score, "11": score + 0.1}}, "seconds": 1.26, "pairs_per_second": None,
        "run": f"runs/{language}-en.{system}.trec", "note": "",
    } | other  # fmt: skip


def results(**other: Any) -> dict[str, Any]:  # noqa: ANN401
    """Two languages; ``split`` is best and better by more than chance in Kyrgyz only."""
    return {
        "xlrank": "0.1.0", "date": "2026-11-23T17:00:00+00:00", "collection": "mini", "documents": "en", "fields": "title",
        "depth": 50, "baseline": "dense", "metrics": ["map", "recall@100"], "notes": ["First | note", ARABIC],
        "rows": [
            row("dense", "ky", 0.4), row("bm25", "ky", 0.3, 0.0004),
            row("split", "ky", 0.53, 0.049, composition="split(ky,en)+rank", pairs_per_second=24.54),
            row("dense", "fa", 0.4), row("split", "fa", 0.41, 0.05, label=ARABIC), row("evil", "fa", 0.39996, 0.5, label=EVIL),
        ],
    } | other  # fmt: skip


def written(folder: Path, value: object) -> Path:
    (folder / "results.json").write_text(json.dumps(value), encoding="utf-8")
    return folder


class Page(HTMLParser):
    """A page's elements and attributes, and a check that every element that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), list(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), list(self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]


def test_files_are_written_and_the_same_again(tmp_path: Path) -> None:
    folder = written(tmp_path, results())
    paths = write_report(folder)
    assert paths == [folder / name for name in NAMES]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*NAMES, "results.json"])
    assert (folder / "map.png").read_bytes().startswith(b"\x89PNG")
    first = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_report(folder)] == first


def test_markdown_marks(tmp_path: Path) -> None:
    write_report(written(tmp_path, results()))
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    kyrgyz = text.split("## ")[1].splitlines()
    assert kyrgyz[0] == "Kyrgyz → English (ky → en, 3 topics)"
    split = "| SPLIT | `split(ky,en)+rank` | **0.530**\\* | **0.900** | +0.130 | 0.049 | 2/1/0 | 1.3 | 24.5 |"
    assert kyrgyz[4] == f"{split} [run](./runs/ky-en.split.trec) |"
    assert kyrgyz[5].startswith("| DENSE (baseline) | – | 0.400 | **0.900** | – | – | – | 1.3 | – |")
    assert kyrgyz[6].startswith("| BM25 | – | 0.300\\* | **0.900** | -0.100 | <0.001 |")
    persian = text.split("## ")[2]
    assert "| **0.410** |" in persian and "0.410**\\*" not in persian  # p = 0.05 is not below 0.05
    assert "| \\<script\\>alert(1)\\</script\\> \\| $x$ \"\\&' |" in persian
    assert "against the baseline **DENSE**." in text
    assert text.endswith(f"## Notes\n\n- First \\| note\n- {ARABIC}\n")


def test_page_is_well_formed_accessible_and_alone(tmp_path: Path) -> None:
    write_report(written(tmp_path, results()))
    text = (tmp_path / "leaderboard.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert not re.search(r"https?://|url\((?!#)|@import", text)
    for tag, attributes, _ in page.elements:
        assert tag not in {"link", "img", "iframe"} and "src" not in attributes
        assert not re.match(r"[a-z]+:|//", attributes.get("href") or "", re.IGNORECASE)
    assert len(page.all("table")) == len(page.all("caption")) == 1 + 6
    assert all("scope" in attributes for attributes in page.all("th"))
    assert len(page.all("details")) == 6
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("svg")) == 1 and page.all("svg")[0]["role"] == "img"
    assert {"./runs/ky-en.split.trec", "map.svg", "leaderboard.md"} <= {attributes.get("href") for attributes in page.all("a")}


def test_page_escapes_and_leaves_the_direction_to_the_text(tmp_path: Path) -> None:
    value = results(collection=EVIL, notes=[EVIL, ARABIC], fields=EVIL, date="yesterday")
    value["rows"][1] |= {"run": "javascript:alert(1)", "note": EVIL, "composition": EVIL}
    write_report(written(tmp_path, value))
    text = (tmp_path / "leaderboard.html").read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.all("script")) == 1
    assert "<script>alert" not in text and "javascript:" not in text
    assert ("th", EVIL) in page.texts
    assert [attributes["dir"] for attributes in page.all("th") if attributes.get("data-value") == ARABIC] == ["auto"]
    assert {attributes.get("dir") for attributes in page.all("li")} == {"auto"}
    assert "<script>" not in (tmp_path / "map.svg").read_text(encoding="utf-8")


def test_topics_with_their_difference_to_the_baseline(tmp_path: Path) -> None:
    write_report(written(tmp_path, results()))
    text = (tmp_path / "leaderboard.html").read_text(encoding="utf-8")
    drill = text[text.index("Topics of SPLIT, Kyrgyz") :]
    cells = re.findall(r"<(?:th|td)[^>]*>([^<]*)<", drill[drill.index("<tbody>") : drill.index("</tbody>")])
    assert cells[:5] == ["9", "0.430", "0.300", "+0.130", ""]
    assert [cells[0], cells[5], cells[10]] == ["9", "10", "11"]


def test_console_table(tmp_path: Path) -> None:
    table = console_table(read_results(written(tmp_path, results())))
    assert table[0] == ("language", "system", "MAP", "R@100", "difference", "p (Holm)", "seconds")
    assert table[1] == ("ky", "SPLIT", "0.530*", "0.900", "+0.130", "0.049", "1.3")
    assert table[2] == ("ky", "DENSE", "0.400", "0.900", "–", "–", "1.3")
    assert [cells[:3] for cells in table[4:]] == [("fa", ARABIC, "0.410"), ("fa", "DENSE", "0.400"), ("fa", EVIL, "0.400")]


def test_numbers_as_text() -> None:
    assert [signed(value) for value in (0.0004, -0.0004, -0.02, 1.0)] == ["0.000", "0.000", "-0.020", "+1.000"]
    assert [p_value(value) for value in (None, 0.0, 0.00099, 0.04951, 1.0)] == ["–", "<0.001", "<0.001", "0.050", "1.000"]
    assert escaped("a\n| b_c") == "a \\| b\\_c"


def test_interval_holds_the_mean_and_is_repeatable() -> None:
    values = [0.1, 0.2, 0.4, 0.9, 0.5, 0.3]
    low, high = interval(values)
    assert 0.1 < low < sum(values) / 6 < high < 0.9
    assert interval(values) == (low, high)
    assert interval([0.5]) == (0.5, 0.5)


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(XlrankError, match="jinja2.*xlrank.eval"):
        write_report(written(tmp_path, results()))
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def without(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def remove(value: Any) -> None:  # noqa: ANN401
        for step in path[:-1]:
            value = value[step]
        del value[path[-1]]

    return remove


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("baseline"), "lacks 'baseline'"),
        (without("rows", 1, "per_topic"), r"rows\[1\] lacks 'per_topic'"),
        (without("rows", 2, "metrics", "map"), r"rows\[2\].metrics lacks 'map'"),
        (without("rows", 2, "comparison", "p_holm"), r"rows\[2\].comparison lacks 'p_holm'"),
        (lambda value: value["rows"][0]["metrics"].update(map=float("nan")), r"rows\[0\].metrics: 'map' has the wrong type"),
        (lambda value: value["rows"][0]["per_topic"].update(map={}), "has no topics"),
        (lambda value: value["rows"][0]["per_topic"]["map"].update({"9": "high"}), "'9' has the wrong type"),
        (lambda value: value.update(rows=[]), "no rows"),
        (lambda value: value.update(rows=["dense"]), r"rows\[0\] is not an object"),
        (lambda value: value.update(metrics=["mrr"]), "'map' one of the metrics"),
    ],
)
def test_malformed_results_are_refused_and_nothing_is_written(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    value = results()
    spoil(value)
    with pytest.raises(XlrankError, match=message) as caught:
        write_report(written(tmp_path, value))
    assert "xlrank eval" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("text", [None, "{", "[]", "null"])
def test_missing_or_broken_files_are_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "results.json").write_text(text, encoding="utf-8")
    with pytest.raises(XlrankError, match=r"results\.json"):
        write_report(tmp_path)
    assert len(list(tmp_path.iterdir())) == (text is not None)
