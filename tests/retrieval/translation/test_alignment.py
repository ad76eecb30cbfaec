"""IBM Model 1 on corpora whose answer is known, and parallel files that are none."""

from pathlib import Path

import pytest

from xlrank.errors import XlrankError
from xlrank.retrieval.translation.alignment import align, read_parallel

TOY = [(["das", "haus"], ["the", "house"]), (["das", "buch"], ["the", "book"]), (["ein", "buch"], ["a", "book"])]


def test_the_textbook_corpus() -> None:
    """Koehn 2010, figure 4.4: every word finds its counterpart, though none stands alone."""
    found = align(TOY, 30)
    best = {word: next(iter(row)) for word, row in found.table.items()}
    assert best == {"das": "the", "haus": "house", "buch": "book", "ein": "a"}
    assert all(next(iter(row.values())) > 0.9 for row in found.table.values())
    assert found.counts["das"] == 2


def test_the_first_step_by_hand() -> None:
    """One pair, a source word and the empty one: both explain both target words equally."""
    assert align([(["a"], ["x", "y"])], 1).table == {"a": {"x": pytest.approx(0.5), "y": pytest.approx(0.5)}}


def test_repeated_words_share() -> None:
    found = align([(["a", "a"], ["x"]), (["a"], ["x"])], 5)
    assert found.table["a"] == {"x": pytest.approx(1)}
    assert found.counts["a"] == 3


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="0 pairs"):
        align([])
    (tmp_path / "p.tsv").write_text("мектеп\tschool\nno tab\n", encoding="utf-8")
    with pytest.raises(XlrankError, match=r"p\.tsv, line 2: 1 columns"):
        read_parallel(tmp_path / "p.tsv")
    (tmp_path / "p.tsv").write_text("!\tschool\n", encoding="utf-8")
    with pytest.raises(XlrankError, match="no pair of texts"):
        read_parallel(tmp_path / "p.tsv")
