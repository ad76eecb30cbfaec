"""Data of ir_datasets, with datasets registered here: pairs of documents, judgements, and negatives from runs or at random."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ir_datasets
import pytest
from ir_datasets.datasets.base import Dataset
from ir_datasets.formats import BaseDocPairs, GenericDocPair, TrecQrels, TsvDocs, TsvQueries
from ir_datasets.util import LocalDownload
from torch.utils.data import DataLoader

from xlrank.errors import XlrankError
from xlrank.training.data import Example, TrainingData, open_data
from xlrank.training.data.datasets import Listed, Streamed

QUERIES, DOCUMENTS = 8, 30
QRELS = [
    *((f"q{i}", f"d{i}", 1) for i in range(QUERIES)),
    ("q0", "d20", 2),
    *((f"q{i}", f"d{i + 10}", 0) for i in range(4)),
    ("other split", "d3", 1),
]


class Pairs(BaseDocPairs):  # type: ignore[misc]
    """Query i prefers document i to document 10 + j."""

    def docpairs_iter(self) -> Iterator[Any]:
        return (GenericDocPair(f"q{i}", f"d{i}", f"d{10 + j}") for j in range(5) for i in range(QUERIES))


class Names(NamedTuple):
    qrels: str
    pairs: str
    empty: str


@pytest.fixture
def registered(tmp_path: Path) -> Iterator[Names]:
    (tmp_path / "docs.tsv").write_text("".join(f"d{i}\tthe document {i}\n" for i in range(DOCUMENTS)))
    (tmp_path / "queries.tsv").write_text("".join(f"q{i}\tquestion {i}\n" for i in range(QUERIES)))
    (tmp_path / "qrels.txt").write_text("".join(f"{q.replace(' ', '-')} 0 {d} {grade}\n" for q, d, grade in QRELS))
    docs, queries = TsvDocs(LocalDownload(tmp_path / "docs.tsv")), TsvQueries(LocalDownload(tmp_path / "queries.tsv"))
    judged = TrecQrels(LocalDownload(tmp_path / "qrels.txt"), {})
    names = Names("xlrank-test/qrels", "xlrank-test/pairs", "xlrank-test/empty")
    for name, parts in zip(names, ((docs, queries, judged), (docs, queries, Pairs()), (docs, queries)), strict=True):
        ir_datasets.registry.register(name, Dataset(*parts))
    yield names
    for name in names:
        ir_datasets.registry._registered.pop(name)


def opened(name: str, **options: Any) -> TrainingData:  # noqa: ANN401 - open_data's own
    return open_data(f"irds:{name}", **{"seed": 1, "heldout": 2} | options)


def examples(data: TrainingData) -> list[Example]:
    return [*data.train, *data.heldout]


def number(text: str) -> int:
    return int(text.split()[-1])


def test_judgements_make_a_group_for_each_relevant_document(registered: Names) -> None:
    data = opened(registered.qrels, negatives=3)
    assert isinstance(data.train, Listed)
    assert (data.group_size, data.sources) == (4, [{"name": "irds:xlrank-test/qrels"}])
    found = examples(data)
    assert len(found) == QUERIES + 1
    assert sorted(number(e.documents[0]) for e in found) == [*range(QUERIES), 20]
    for example in found:
        asked, texts = number(example.query), [number(text) for text in example.documents]
        assert example.targets == (1, 0, 0, 0)
        assert len(set(texts)) == 4
        assert not {asked, 20 if asked == 0 else asked} & set(texts[1:]), "a relevant document among the negatives"
        assert (asked + 10 in texts) >= (asked < 4), "what was judged not relevant is missing"
    assert not {e.query for e in data.heldout} & {e.query for e in data.train}


def test_negatives_of_a_run(registered: Names, tmp_path: Path) -> None:
    run = tmp_path / "run.trec"
    rows = [(f"q{i}", f"d{d}") for i in range(QUERIES) for d in (i, 25, 26)]
    run.write_text("".join(f"{q} Q0 {d} 1 {100 - place} x\n" for place, (q, d) in enumerate(rows)))
    data = opened(registered.qrels, negatives=2, run=run)
    for example in examples(data):
        allowed = {25, 26} | ({number(example.query) + 10} if number(example.query) < 4 else set())
        assert {number(text) for text in example.documents[1:]} <= allowed
    assert [source["name"] for source in data.sources] == ["irds:xlrank-test/qrels", "run.trec"]


def test_a_run_of_another_dataset_is_refused(registered: Names, tmp_path: Path) -> None:
    run = tmp_path / "run.trec"
    run.write_text("C041 Q0 d1 1 1.0 x\n")
    with pytest.raises(XlrankError, match=r"run\.trec: has no results for any query that irds:.* judges; its topics are C041"):
        opened(registered.qrels, negatives=2, run=run)


def test_random_negatives_depend_on_the_seed_only(registered: Names) -> None:
    one, same, other = (examples(opened(registered.qrels, seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert sorted(e.documents for e in one) != sorted(e.documents for e in other)


@pytest.mark.filterwarnings("ignore:This process")  # torch, on forking where there are threads
def test_workers_open_stores_of_their_own(registered: Names) -> None:
    data = opened(registered.qrels)
    train: Any = data.train
    expected = list(train)
    loader: DataLoader[Example] = DataLoader(train, batch_size=2, num_workers=2, collate_fn=list)
    assert [example for batch in loader for example in batch] == expected


def test_pairs_of_documents_are_streamed(registered: Names) -> None:
    data = opened(registered.pairs)
    assert isinstance(data.train, Streamed)
    assert data.group_size == 2
    found = examples(data)
    assert len(found) == 5 * QUERIES
    assert all(number(e.query) == number(e.documents[0]) for e in found)
    assert {number(e.documents[1]) for e in found} == set(range(10, 15))
    single = opened(registered.pairs, grouped=False)
    assert single.group_size == 1
    assert [e.targets for e in examples(single)][:6] == [(1,), (0,), (0,), (0,), (0,), (1,)]


def test_documents_are_looked_up_when_used(registered: Names, tmp_path: Path) -> None:
    opened(registered.qrels)
    assert not list(tmp_path.glob("docs.tsv.pklz4*")), "opening has built the documents' store"


@pytest.mark.parametrize(
    ("dataset", "options", "problem"),
    [
        ("nonsense/x", {}, "irds:nonsense/x: ir_datasets knows no such dataset"),
        ("xlrank-test/empty", {}, "neither pairs of documents nor judgements"),
        ("xlrank-test/qrels", {"negatives": 0}, "0 negatives a group"),
        ("xlrank-test/qrels", {"targets": "scores"}, "holds no teacher's scores"),
        ("xlrank-test/qrels", {"heldout": 8}, "only 8 queries; too few"),
    ],
)
@pytest.mark.usefixtures("registered")
def test_what_cannot_be_opened(dataset: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(XlrankError, match=problem):
        opened(dataset, **options)


def test_unknown_documents_and_too_few_of_them(registered: Names, tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="too few documents to draw"):
        examples(opened(registered.qrels, negatives=DOCUMENTS + 1))
    with (tmp_path / "qrels.txt").open("a") as stream:
        stream.write("q1 0 d999 1\n")
    with pytest.raises(XlrankError, match="irds:xlrank-test/qrels: unknown document 'd999'"):
        examples(opened(registered.qrels))


def test_without_ir_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrank.collections.irds_loading.find_spec", lambda _: None)
    with pytest.raises(XlrankError, match=r"needs the package ir_datasets: pip install 'xlrank\[collections\]'"):
        opened("msmarco-passage/train")
