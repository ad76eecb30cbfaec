"""Markdown: right marks, and no text that could become markup."""

import re
from pathlib import Path
from typing import Any

from tests.report.samples import ARABIC, results, row
from xlrank.report.board import Source, board_of
from xlrank.report.markdown import escaped, markdown
from xlrank.report.reading import checked


def made(value: dict[str, Any]) -> str:
    return markdown(board_of([Source(Path("a"), checked(value), "small")]), [("plot-pairs.svg", "MAP", "The best | 20.")])


def test_marks() -> None:
    text = made(results())
    kyrgyz = text.split("## ")[2].splitlines()
    assert kyrgyz[0] == "Kyrgyz → English (ky → en, 3 topics)"
    split = "| SPLIT | `split(language/ky,language/en)+ranking/en` | **0.530**\\* | **0.900** | +0.130 | 0.049 | +0.50 | 2/1/0 |"
    assert kyrgyz[4] == f"{split} 0.555\\* | -0.025 | 20.0 | 30.0 | [run](./runs/mini/ky-en.split.trec) |"
    assert kyrgyz[5].startswith("| DENSE (baseline) | – | 0.400 | **0.900** | – | – | – | – | – | – | 1.3 | – |")
    assert kyrgyz[6].startswith("| BM25 | – | 0.300\\* | **0.900** | -0.100 | \\<0.001 |")
    persian = text.split("## ")[4]
    assert "| **0.410** |" in persian and "0.410**\\*" not in persian  # p = 0.05 is not below 0.05
    assert "against the baseline **DENSE**." in text
    assert "![MAP](plot-pairs.svg)\n\nThe best \\| 20.\n" in text
    assert text.endswith(f"## Notes\n\n- First \\| note\n- {ARABIC}\n")


def test_overview() -> None:
    overview = made(results()).split("## ")[1].splitlines()
    assert overview[2:5] == ["| System | KY-EN | UG-FA | FA-EN | AVG |", "| --- | ---: | ---: | ---: | ---: |",
                             "| DENSE | 0.400 | 0.400 | 0.400 | **0.400** |"]  # fmt: skip
    assert "| SPLIT | **0.530**\\* | **0.450** | – | – |" in overview


def test_hostile_text_stays_text() -> None:
    text = made(results(title="# <b>x</b>\n\n# y", notes=["`code` [a](b) ![c](d)"]))
    assert text.startswith("# Leaderboard: \\# \\<b\\>x\\</b\\> \\# y\n")
    assert "\n# y" not in text
    assert not re.search(r"(?<!\\)[<|]img", text) and "\\<img src=x onerror=alert(1)\\> \\| \\$x\\$" in text
    assert "\\`code\\` \\[a\\](b) \\!\\[c\\](d)" in text
    assert escaped("a\n| b_c") == "a \\| b\\_c"


def test_a_link_stays_relative_and_no_baseline_is_no_test() -> None:
    value = results(rows=[row("dense", "ky-en", 0.4, run="javascript:alert(1)", composition="a`|b")])
    value["tests"]["baseline"] = None
    text = made(value)
    assert "[run](./javascript%3Aalert%281%29)" in text and "`a \\|b`" in text
    assert "against the baseline" not in text and "AVG" not in text
