"""Groups mined from questions and paragraphs: by meaning and by words, from the ranks asked for, and what cannot be mined."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RecordedStages
from xlrank.bases import Base
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.retrieval.dense import DenseRetriever
from xlrank.training.data import mine

SUBJECTS = ("river", "market", "school", "doctor", "train", "apple", "winter", "water", "election", "bridge")
PARAGRAPHS = [
    {"doc_id": f"p{i}", "text": f"The {a} and the {b} in winter. The water of the {c} and a {a} in the market."}
    for i, (a, b, c) in enumerate((a, b, c) for a in SUBJECTS[:5] for b in SUBJECTS[5:7] for c in SUBJECTS[7:])
]
OTHERS = [{"doc_id": f"x{i}", "text": f"a {letter}"} for i, letter in enumerate("abcdefghij")]
TEXTS = {row["doc_id"]: row["text"] for row in [*PARAGRAPHS, *OTHERS]}


def lines(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


@pytest.fixture
def paragraphs(tmp_path: Path) -> Path:
    return lines(tmp_path / "p.jsonl", [*PARAGRAPHS, *OTHERS])


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    rows = [
        {"query_id": str(i), "text": f"Question {i} {SUBJECTS[i]}", "doc_id": f"p{i}", "label": int(i != 3)} for i in range(8)
    ]
    return lines(tmp_path / "q.jsonl", rows)


def test_groups_are_mined(tiny_base: Base, questions: Path, paragraphs: Path) -> None:
    groups = list(mine(questions, paragraphs, base=tiny_base, limit=10, hard=2))
    assert len(groups) == 10
    for group in groups:
        assert set(group) == {"query", "positive", "negatives"}
        assert len(set(group["negatives"])) == 4
        assert group["positive"] not in group["negatives"]
    asked = {group["query"]: group["positive"] for group in groups if group["query"].startswith("Question")}
    assert len(asked) == 7
    assert "Question 3 doctor" not in asked
    assert all(positive == TEXTS[f"p{query.split()[1]}"] for query, positive in asked.items())
    cloze = [group for group in groups if not group["query"].startswith("Question")]
    assert all(f"{group['query']} {group['positive']}" in TEXTS.values() for group in cloze)


@pytest.mark.parametrize(
    ("share", "limit", "asked", "cloze"),
    [(0.3, 2000, 7, 3), (0.3, 5, 4, 1), (0.5, 2000, 7, 7), (0.0, 2000, 7, 0), (1.0, 2000, 0, 30), (0.9, 2000, 3, 30)],
)
def test_the_share_of_sentences_is_that_of_what_is_written(
    questions: Path, paragraphs: Path, share: float, limit: int, asked: int, cloze: int
) -> None:
    groups = list(mine(questions, paragraphs, negatives=0, hard=0, limit=limit, sentence_share=share))
    found = sum(group["query"].startswith("Question") for group in groups)
    assert (found, len(groups) - found) == (asked, cloze)


def test_a_share_of_what_is_not_there_is_refused(questions: Path, paragraphs: Path) -> None:
    options: dict[str, Any] = {"negatives": 0, "hard": 0}
    short = lines(paragraphs.with_name("short.jsonl"), OTHERS)
    rows = [{"text": "a", "doc_id": "x0", "label": 1}, {"text": "b", "doc_id": "x1", "label": 0}]
    with pytest.raises(XlrankError, match=r"no paragraph has several sentences; .*--sentences 0"):
        list(mine(lines(questions, rows), short, **options))
    assert len(list(mine(questions, short, **options, sentence_share=0))) == 1
    with pytest.raises(XlrankError, match=r"no question with label 1; .*--sentences 1"):
        list(mine(lines(questions, rows[1:]), paragraphs.with_name("p.jsonl"), **options))


def test_the_seed_decides(tiny_base: Base, questions: Path, paragraphs: Path) -> None:
    one, same, other = (list(mine(questions, paragraphs, base=tiny_base, limit=10, seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("ranks", [(1, 4), (3, 6), (5, 12)])
def test_hard_negatives_come_from_the_ranks_asked_for(
    tiny_base: Base, questions: Path, paragraphs: Path, ranks: tuple[int, int]
) -> None:
    documents = [Document(id_, text) for id_, text in TEXTS.items()]
    retriever = DenseRetriever(tiny_base, max_length=128)
    vectors = retriever.embed([retriever.document_prefix + document.text for document in documents])
    groups = list(mine(questions, paragraphs, base=tiny_base, negatives=5, hard=2, ranks=ranks, limit=7, sentence_share=0))
    assert len(groups) == 7
    for group in groups:
        similarity = (vectors @ retriever.embed([retriever.query_prefix + group["query"]])[0]).tolist()
        near = [documents[i].text for i in sorted(range(len(documents)), key=lambda i: -similarity[i])[: ranks[1]]]
        allowed = [text for text in near if text != group["positive"]][ranks[0] - 1 :]
        assert set(group["negatives"][:2]) <= set(allowed)
        assert not set(group["negatives"][2:]) & set(allowed), "a random negative from among the hard ones"


def test_negatives_by_words(questions: Path, paragraphs: Path) -> None:
    stages = RecordedStages()
    rows = [{"text": "the zorb", "doc_id": "x1", "label": 1}, {"text": "bridge", "doc_id": "p2", "label": 1}]
    groups = list(
        mine(
            lines(questions, rows),
            paragraphs,
            method="bm25",
            hard=2,
            ranks=(1, 5),
            sentence_share=0,
            progress=stages,
        )
    )
    found = {group["query"]: group["negatives"] for group in groups}
    assert all("bridge" in text for text in found["bridge"][:2])
    assert TEXTS["p2"] not in found["bridge"]
    assert [len(set(negatives)) for negatives in found.values()] == [4, 4], "random ones where no paragraph holds a word"
    assert stages.reports["mining groups"] == [(1, 2), (2, 2)]


def test_progress_counts_what_its_stage_says(tiny_base: Base, questions: Path, paragraphs: Path) -> None:
    stages = RecordedStages()
    groups = list(mine(questions, paragraphs, base=tiny_base, limit=10, progress=stages))
    counts = {name: reports[-1] for name, reports in stages.reports.items() if reports}
    assert counts["embedding paragraphs"] == (len(TEXTS), len(TEXTS))
    assert counts["embedding questions"] == counts["mining groups"] == (len(groups), len(groups))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"text": "a", "doc_id": "p0"}, "expected an object"),
        ("[", "expected an object"),
        ("[1]", "expected an object"),
        ({"text": "a", "doc_id": "p0", "label": 2}, "the label 2 is neither 0 nor 1"),
        ({"text": "a", "doc_id": "p99", "label": 1}, "unknown paragraph 'p99'"),
    ],
)
def test_a_malformed_question_is_named(tiny_base: Base, questions: Path, paragraphs: Path, row: object, problem: str) -> None:
    lines(questions, [{"text": "a", "doc_id": "p0", "label": 1}, row])
    with pytest.raises(XlrankError) as caught:
        list(mine(questions, paragraphs, base=tiny_base))
    assert str(caught.value).startswith(f"{questions}, line 2: {problem}")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"negatives": 2, "hard": 3}, "3 hard of 2 negatives"),
        ({"negatives": -1, "hard": -1}, "-1 hard of -1 negatives"),
        ({"ranks": (0, 31)}, "ranks 0 to 31"),
        ({"ranks": (5, 7)}, "ranks 5 to 7 are too few for 3 hard negatives"),
        ({"ranks": (2, 37)}, "40 paragraphs; mining 4 negatives needs 41 or more"),
        ({"limit": 0}, "a limit of 0 groups"),
        ({"sentence_share": 1.5}, "a share of 1.5 sentences"),
        ({"base": None}, "dense negatives need a base"),
    ],
    ids=str,
)
def test_mining_that_cannot_work_is_one_line(
    tiny_base: Base, questions: Path, paragraphs: Path, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(XlrankError, match=problem):
        list(mine(questions, paragraphs, **{"base": tiny_base} | options))
