"""Headlines as queries: what asks, what answers, and what is left out."""

import json
import lzma
from pathlib import Path

import pytest

from xlrank.errors import XlrankError
from xlrank.training.data import headline_pairs

SENTENCE = "Number {} of the sentences has exactly ten words in it."


def written(path: Path, titles: list[str], sentences: int = 30) -> Path:
    text = " ".join(SENTENCE.format(i) for i in range(sentences))
    rows = [{"title": title, "text": text} for title in titles]
    path.write_bytes(lzma.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


def test_titles_ask_and_later_passages_answer(tmp_path: Path) -> None:
    titles = [f"Title {i}" for i in range(40)]
    path = written(tmp_path / "news.jsonl.xz", titles)
    made = headline_pairs([path], seed=1)
    assert made.skipped == {}
    first = SENTENCE.format(0)
    assert {pair["query"] for pair in made.pairs} <= {*titles, *(f"{title} {first}" for title in titles)}
    assert 20 < sum(pair["query"].endswith(first) for pair in made.pairs) < 36
    assert all(35 <= len(pair["positive"].split()) <= 75 and first not in pair["positive"] for pair in made.pairs)
    assert len({pair["positive"] for pair in made.pairs}) > 20
    assert headline_pairs([path], seed=1) == made
    assert headline_pairs([path], seed=2) != made
    assert headline_pairs([path], seed=1, limit=7).pairs == made.pairs[:7]


def test_articles_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    long = written(tmp_path / "long.jsonl.xz", ["A title", "a  TITLE", " "])
    short = written(tmp_path / "short.jsonl.xz", ["Another"], sentences=4)
    made = headline_pairs([long, short], seed=1)
    assert len(made.pairs) == 1
    assert sorted(made.skipped.values()) == [1, 1, 1]
    with pytest.raises(XlrankError, match=r"short\.jsonl\.xz: no article with a title and a passage of 35 to 75 words"):
        headline_pairs([short], seed=1)
