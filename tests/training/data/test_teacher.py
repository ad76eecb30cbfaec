"""A teacher's scores: the ranker's own, in the order of the documents, written and read back for distillation."""

from pathlib import Path

import pytest

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.composition.parser import parse
from xlrank.errors import XlrankError
from xlrank.ranking import Ranker
from xlrank.training.data import group_rows, read_examples, read_groups, score_with, teacher, write_groups

GROUPS = [
    {"query": f"the {word}", "positive": f"a {word} in the river", "negatives": ["the market", "winter and winter"][: 1 + i % 2]}
    for i, word in enumerate(("river", "school", "apple", "doctor", "train"))
]


def test_scores_are_the_rankers(tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "SCORED", 2)
    ranker = Ranker(tiny_base, make_adapter(tiny_base, "en", 2) + make_ranking(tiny_base, 3), precision="fp32")
    done: list[tuple[int, int]] = []
    path = tmp_path / "scored.jsonl"
    assert write_groups(path, score_with(ranker, GROUPS, progress=lambda i, n: done.append((i, n)))) == 5
    assert done == [(2, 5), (4, 5), (5, 5)]
    examples = list(read_examples(path, targets="scores"))
    for group, example in zip(GROUPS, examples, strict=True):
        assert [example.query, *example.documents] == [group["query"], group["positive"], *group["negatives"]]
        expected = ranker.score([(example.query, document) for document in example.documents]).tolist()
        assert example.targets == pytest.approx(expected, abs=1e-4)
    assert list(group_rows(read_groups(path))) == GROUPS


def test_groups_of_a_stream_are_scored_without_their_number(tiny_base: Base) -> None:
    ranker = Ranker(tiny_base, make_ranking(tiny_base, 3), precision="fp32")
    done: list[tuple[int, int]] = []
    assert len(list(score_with(ranker, iter(GROUPS), progress=lambda i, n: done.append((i, n))))) == 5
    assert done == [(5, 5)]


def test_open_languages_are_given(tiny_base: Base, tmp_path: Path) -> None:
    modules = {code: make_adapter(tiny_base, code, seed) for seed, code in enumerate(("ky", "en"), 1)}
    rank = make_ranking(tiny_base, 3)
    folders = {code: str(module.save(tmp_path / code)) for code, module in modules.items()}
    ranker = Ranker(tiny_base, parse("query"), precision="fp32", modules=folders) + rank
    with pytest.raises(XlrankError, match="it leaves languages open"):
        list(score_with(ranker, GROUPS))
    expected = list(score_with(Ranker(tiny_base, modules["ky"] + rank, precision="fp32"), GROUPS))
    assert list(score_with(ranker, GROUPS, languages=("ky", "en"))) == expected


def test_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="there are no groups to write"):
        write_groups(tmp_path / "none.jsonl", [])
    assert list(tmp_path.iterdir()) == []


def test_an_empty_text_is_no_judgement(tiny_base: Base) -> None:
    ranker = tiny_base + make_ranking(tiny_base, 3)
    with pytest.raises(XlrankError, match="teacher: a text is missing or empty"):
        list(score_with(ranker, [{"query": "q", "positive": "water", "negatives": ["\u200b"]}]))
