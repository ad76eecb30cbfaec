"""Articles: sentences and words are counted in any script, short ones are left out, questions never ask for their own words."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from xlrank.errors import XlrankError
from xlrank.text import word_count
from xlrank.training.data.articles import Article, open_articles


def article(number: int, sentences: int = 8) -> str:
    return " ".join(f"Мектеп {number} менен базар {i} жана дарыя суу кыш поезд." for i in range(sentences))


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_articles_from_lines_and_json(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = written(tmp_path / "a.tsv", [f"news\t{article(i)}" for i in range(30)])
    titled = [{"title": "Кыш", "text": article(90)}, {"text": article(91)}, {"title": None, "text": article(92, 3)}]
    rows = written(tmp_path / "b.jsonl", [json.dumps(row) for row in [*titled, {"title": "Кайра", "text": article(0)}]])
    short = written(tmp_path / "c.txt", ["А. Б. В. Г. Д. Е. Ж. Бар. Жок. Эмне? Ооба! Кел. Кет! Тур. Жат."])
    with caplog.at_level(logging.WARNING, "xlrank"):
        found = open_articles([plain, rows, short])
    assert len(found.train) + len(found.heldout) == 32
    assert len(found.heldout) == 2
    assert sum("skipped" in message for message in caplog.messages) == 1
    assert sum(found.skipped.values()) == 3
    assert {one.title for one in [*found.train, *found.heldout]} == {"", "Кыш"}
    texts = {one.sentences for one in map(_hashable, found.train)} & {one.sentences for one in map(_hashable, found.heldout)}
    assert not texts


def _hashable(one: Article) -> Article:
    return Article(one.title, tuple(one.sentences), one.words)


def test_too_few_articles_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "few.txt", [*(article(i) for i in range(3)), *(article(i, 2) for i in range(5))])
    message = r"few\.txt: 3 usable articles of 8 \(5 with fewer than 6 sentences\); expected at least 8 of 6 sentences"
    with pytest.raises(XlrankError, match=message):
        open_articles([path])


@pytest.mark.parametrize(("line", "message"), [("{", "not JSON"), ('["a"]', "no texts under"), ('{"text": 3}', "no texts under")])
def test_broken_json_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = written(tmp_path / "broken.jsonl", [json.dumps({"text": article(1)}), line])
    with pytest.raises(XlrankError, match=rf"broken\.jsonl, line 2: {message}"):
        open_articles([path])


@pytest.mark.parametrize("title", ["", "Кабар"])
def test_questions(title: str) -> None:
    one = Article(title, [f"s{i}" for i in range(12)], [12.0] * 12)
    draws = [one.question(np.random.default_rng(seed)) for seed in range(200)]
    assert {query for query, _ in draws} == ({"Кабар", "Кабар s0"} if title else {"s0", "s0 s1"})
    lengths = {12 * len(passage.split()) for _, passage in draws}
    assert 36 <= min(lengths)
    assert max(lengths) <= 80
    assert len(lengths) > 2
    assert not any({"s0", "s1"} & set(passage.split()) for _, passage in draws)
    assert draws == [one.question(np.random.default_rng(seed)) for seed in range(200)]


def test_words_of_scripts_without_spaces() -> None:
    assert word_count("don't stop - now") == 3
    assert word_count("你好，世界！") == pytest.approx(4 / 1.5)
    assert word_count("用 Python 写") == pytest.approx(1 + 2 / 1.5)
