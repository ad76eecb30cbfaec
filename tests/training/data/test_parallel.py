"""Sentence pairs: what is wrong with them is counted and named, the rest is weighted and split without leaks."""

import gzip
import logging
import lzma
import re
from pathlib import Path

import pytest

from xlrank.bases import Base
from xlrank.collections.parallel import read_pairs
from xlrank.errors import XlrankError
from xlrank.training.data.parallel import Pairs, open_pairs

GOOD = [(f"дарыя жана көпүрө {number}", f"river and bridge {number}") for number in range(40)]


def written(path: Path, rows: list[tuple[str, ...]]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def opened(base: Base, path: Path, **weights: float) -> Pairs:
    return open_pairs([path], "ky", "en", base, {name.replace("_", "*"): weight for name, weight in weights.items()})


@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
def test_both_widths_are_read_packed_or_not(tmp_path: Path, ending: str) -> None:
    opener = {"": open, ".gz": gzip.open, ".xz": lzma.open}[ending]
    for name, text, source in (("two", "# ky\ten\nсуу \twater\n", "two"), ("three", "wiki\tсуу\twater\n", "wiki")):
        path = tmp_path / f"{name}.tsv{ending}"
        with opener(path, "wt", encoding="utf-8") as stream:  # type: ignore[operator]
            stream.write(text)
        [pair] = read_pairs(path)
        assert tuple(pair) == (text.count("\n"), source, "суу", "water")


def test_sides_are_cleaned(tmp_path: Path) -> None:
    [pair] = read_pairs(written(tmp_path / "a.tsv", [("кыи\u0306ын\u200d", " soft\u00adware\u200b")]))
    assert pair[2:] == ("кыйын", "software")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("суу\n", r"line 1: 1 columns; expected text TAB translation"),
        ("суу\twater\na\tсуу\twater\n", r"line 2: 3 columns, but 2 in line 1"),
        ("a\tb\tc\td\n", r"line 1: 4 columns"),
    ],
)
def test_other_widths_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.tsv").write_text(text, encoding="utf-8")
    with pytest.raises(XlrankError, match=r"p\.tsv, " + message):
        list(read_pairs(tmp_path / "p.tsv"))


def test_every_bad_kind_is_counted_and_named(tiny_base: Base, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad: list[tuple[str, ...]] = [
        ("суу", ""),
        ("", "water"),
        ("Water 12", "water 12"),
        ("river and water", "дарыя жана суу"),
        ("het water", "the water"),
        ("суу менен", "дарыя"),
        GOOD[0],
        ("—", "doctor"),
    ]
    path = written(tmp_path / "bad.tsv", [*GOOD, *bad])
    with caplog.at_level(logging.WARNING, "xlrank"):
        pairs = opened(tiny_base, path)
    assert sum(pairs.skipped.values()) == len(bad)
    unknown, line = caplog.messages  # the tiny vocabulary has no numbers of two digits
    assert re.fullmatch(rf"{path}: \d+ % of \d+ word pieces are unknown to the tokenizer of base '.*'", unknown)
    assert line.startswith(f"{path}: 8 of 48 pairs skipped: ")
    for part in (
        "2 with an empty side (line 41)",
        "1 untranslated (both sides equal) (line 43)",
        "1 with the sides swapped (line 44)",
        "1 with a text not in Cyrillic script (line 45)",
        "1 with a translation not in Latin script (line 46)",
        "1 that repeat an earlier pair (line 47)",
        "1 without any word on one side (line 48)",
    ):
        assert part in line
    assert pairs.sources == {"bad": 40}


def test_nothing_usable_is_an_error_that_says_why(tiny_base: Base, tmp_path: Path) -> None:
    path = written(tmp_path / "turned.tsv", [(pivot, text) for text, pivot in GOOD])
    with pytest.raises(XlrankError, match=r"turned\.tsv: 0 usable pairs \(40 with the sides swapped\)"):
        opened(tiny_base, path)
    with pytest.raises(XlrankError, match="both sides are 'ky'"):
        open_pairs([path], "ky", "ky", tiny_base)


def test_weights(tiny_base: Base, tmp_path: Path) -> None:
    rows = [(source, f"суу {source} {i}", "water " * words + str(i)) for i in range(20) for source, words in SOURCES.items()]
    path = written(tmp_path / "ky.tsv", rows)  # type: ignore[arg-type]
    pairs = opened(tiny_base, path, news=4, ui_=0.5, uixy=2, uiz=0)
    found = {pair.source: pair.weight for pair in pairs.train}
    assert found == {"news": 4.0, "uia": 0.5 * 2 / 8, "uixy": 2 * 4 / 8, "other": 2 / 8}
    assert "uiz" not in pairs.sources
    with pytest.raises(XlrankError, match="weight nwes=4: no such source; expected one of news, other"):
        opened(tiny_base, path, nwes=4)
    with pytest.raises(XlrankError, match="expected a number from 0 on"):
        opened(tiny_base, path, news=-1)


SOURCES = {"news": 20, "uia": 1, "uixy": 3, "uiz": 9, "other": 1}
"""Words of a translation, but for a number behind them, by source."""


def test_no_sentence_is_on_both_sides(tiny_base: Base, tmp_path: Path) -> None:
    rows = [(f"суу {i % 30}", f"water {i % 50}") for i in range(150)]
    pairs = opened(tiny_base, written(tmp_path / "p.tsv", rows))  # type: ignore[arg-type]
    assert pairs.train
    assert pairs.heldout
    for side in ("text", "pivot"):
        held = [getattr(pair, side) for pair in pairs.heldout]
        assert len(set(held)) == len(held)
        assert not set(held) & {getattr(pair, side) for pair in pairs.train}
    more = opened(tiny_base, written(tmp_path / "q.tsv", [*rows[::-1], *rows]))
    assert {pair.text for pair in more.heldout} == {pair.text for pair in pairs.heldout}
