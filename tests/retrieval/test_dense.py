"""The base as a bi-encoder: its vectors, their index on disk, and what is found in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import DOCUMENTS
from xlrank.bases import Base
from xlrank.bases.prompts import Side
from xlrank.collections import Document
from xlrank.collections.documents import Documents
from xlrank.errors import XlrankError
from xlrank.progress import Progress
from xlrank.retrieval.dense import DenseRetriever, MeanPooledEncoder, store
from xlrank.retrieval.dense.encoders import BATCH_TOKENS, Similarity, Vectors
from xlrank.runs import Run

TEXTS = [Document(id_, text, title) for id_, title, text in DOCUMENTS["en"]]
QUERIES = {"2": "school election", "1": "the bridge of the river", "10": "алма базар"}


@dataclass
class Letters:
    """A bi-encoder that counts the letters a to h; it can be made to fail, and tells what it was given."""

    similarity: Similarity = "dot"
    seen: list[str] = field(default_factory=list)
    fails_at: int = -1
    value: float = 1.0
    name: str = "letters"

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"kind": "letters", "value": 1, "prefix": "d: ", "shape": (8,)}

    def prefix(self, side: Side) -> str:
        return "d: " if side == "document" else ""

    def encode(self, texts: Sequence[str], side: Side | None = None, progress: Progress | None = None) -> Vectors:
        if 0 <= self.fails_at <= len(self.seen):
            raise KeyboardInterrupt
        self.seen += texts
        counts = [[text.count(letter) * self.value for letter in "abcdefgh"] for text in texts]
        if progress and texts:
            progress(len(texts), len(texts))
        return np.array(counts, np.float32).reshape(-1, 8)


def numbered(count: int) -> list[Document]:
    """Documents of which many are alike; ids in another order than numbers."""
    return [Document(f"d{i}", "abcdefgh"[i % 8] * (i % 5 + 1)) for i in range(count)]


@pytest.fixture
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHARD", 10)


def test_the_run_is_the_cosine_of_mean_states(tiny_base: Base, tmp_path: Path) -> None:
    retriever = DenseRetriever(tiny_base, precision="fp32")
    run = retriever.search(retriever.index(TEXTS, tmp_path), TEXTS, QUERIES, 4)

    def unit(text: str) -> Any:  # noqa: ANN401 - a tensor
        encoded = tiny_base.tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            return torch.nn.functional.normalize(tiny_base.encoder(**encoded).last_hidden_state[0].mean(0), dim=0)

    for topic, query in QUERIES.items():
        expected = {d.id: float(unit(f"query: {query}") @ unit(f"passage: {d.full_text}")) for d in TEXTS}
        assert list(run.scores()[topic]) == sorted(expected, key=lambda id_: -expected[id_])[:4]
        assert run.scores()[topic] == pytest.approx({id_: expected[id_] for id_ in run.scores()[topic]}, abs=1e-5)
    assert list(run.rankings) == list(QUERIES)
    method = run.metadata["method"]
    assert (method["name"], method["model"], method["max_length"], method["depth"]) == ("dense", tiny_base.name, 64, 4)
    assert Run.read(run.write(tmp_path / "a.trec")).rankings == run.rankings


def test_vectors_do_not_depend_on_the_batch(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    retriever, texts = DenseRetriever(tiny_base, precision="fp32"), ["a", "the river " * 40, "", "алма", "the bridge"]
    together = retriever.embed(texts)
    monkeypatch.setitem(BATCH_TOKENS, "cpu", 1)
    alone = DenseRetriever(tiny_base, precision="fp32").embed(texts)
    assert np.abs(together - alone).max() < 1e-5
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert retriever.embed([]).shape == (0, 32)


def test_prefixes_and_length(tiny_base: Base) -> None:
    retriever = DenseRetriever(tiny_base, query_prefix="q ", document_prefix="", max_length=8, precision="fp32")
    assert (retriever.query_prefix, retriever.document_prefix) == ("q ", "")
    assert retriever.embed(["river"], side="query").tolist() == retriever.embed(["q river"]).tolist()
    assert retriever.embed(["river"], side="document").tolist() == retriever.embed(["river"]).tolist()
    assert retriever.embed(["the river " * 3]).tolist() == retriever.embed(["the river " * 9]).tolist()
    with pytest.raises(
        XlrankError, match="4 word pieces leave no room beside the prefix 'q r s '; expected a max_length of at least"
    ):
        DenseRetriever(tiny_base, query_prefix="q r s ", max_length=4).embed(["river"], side="query")
    usual = DenseRetriever(tiny_base, precision="fp32")
    assert (usual.query_prefix, usual.document_prefix) == ("query: ", "passage: ")
    assert usual.embed(["the river " * 3]).tolist() != usual.embed(["the river " * 9]).tolist()


def test_an_index_is_made_once(tmp_path: Path) -> None:
    encoder, done = Letters(), list[tuple[int, int]]()
    documents = numbered(25)
    index = DenseRetriever(encoder).index(documents, tmp_path, lambda *x: done.append(x))
    assert done[-1] == (25, 25) and len(encoder.seen) == 25
    assert DenseRetriever(encoder).index(documents, tmp_path) == index
    assert len(encoder.seen) == 25
    other = DenseRetriever(encoder, storage="float16").index(documents, tmp_path)
    assert other != index
    assert [path.name for path in sorted(tmp_path.iterdir())] == sorted([index.name, other.name])
    assert DenseRetriever(encoder).index(documents[:-1], tmp_path) not in (index, other)


@pytest.mark.usefixtures("_small_shards")
def test_an_interrupted_embedding_goes_on(tmp_path: Path) -> None:
    documents = numbered(45)
    whole = DenseRetriever(Letters()).index(documents, tmp_path / "whole")
    first = Letters(fails_at=30)
    with pytest.raises(KeyboardInterrupt):
        DenseRetriever(first).index(documents, tmp_path / "broken")
    [part] = (tmp_path / "broken").iterdir()
    assert sorted(path.name[-6:] for path in part.iterdir()) == ["00.npy", "10.npy", "20.npy"]
    (part / "000000000010.npy").write_bytes(b"damaged")
    second, done = Letters(), list[tuple[int, int]]()
    index = DenseRetriever(second).index(documents, tmp_path / "broken", lambda *x: done.append(x))
    assert second.seen == [documents[i].text for i in (*range(10, 20), *range(30, 45))]
    assert done == [(10, 45), (20, 45), (30, 45), (40, 45), (45, 45)]
    assert {path.name: path.read_bytes() for path in index.iterdir()} == {p.name: p.read_bytes() for p in whole.iterdir()}
    assert [path.name for path in (tmp_path / "broken").iterdir()] == [index.name]


@pytest.mark.usefixtures("_small_shards")
def test_documents_on_disk_are_not_read_again_to_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = Documents.stored("dense-test", "1", lambda: numbered(45))
    retriever = DenseRetriever(Letters())
    index = retriever.index(documents, tmp_path)

    def failing(*_: Any) -> None:  # noqa: ANN401
        raise AssertionError("a document was read")

    for name in ("__iter__", "__getitem__", "fetch"):
        monkeypatch.setattr(Documents, name, failing)
    run = retriever.search(index, documents, {"1": "aab"}, 12)
    assert len(run.rankings["1"]) == 12


def test_equal_documents_are_ordered_by_id_and_cut_by_id(tmp_path: Path) -> None:
    documents = [Document(id_, "abc") for id_ in ("d9", "d10", "é", "z", "d1", "ы")]
    retriever = DenseRetriever(Letters())
    run = retriever.search(retriever.index(documents, tmp_path), documents, {"1": "abc"}, 4)
    assert [id_ for id_, _ in run.rankings["1"]] == ["d1", "d10", "d9", "z"]
    assert run == Run.of("dense", run.scores(), run.metadata)


def test_documents_without_text_are_never_found(tmp_path: Path) -> None:
    documents = [
        Document("d0", ""),
        Document("d1", "aaa"),
        Document("d2", "\u200e \n"),
        Document("d3", "-"),
        Document("d4", "", "b"),
    ]
    retriever = DenseRetriever(Letters())
    index = retriever.index(documents, tmp_path)
    run = retriever.search(index, documents, {"1": "b", "2": "a"}, 10)
    assert [list(found) for found in run.scores().values()] == [["d4", "d1", "d3"], ["d1", "d3", "d4"]]
    assert json.loads((index / "facts.json").read_text())["without_text"] == 2


@pytest.mark.parametrize("similarity", ["euclidean", "manhattan"])
def test_distances_count_as_negative(tmp_path: Path, similarity: Similarity) -> None:
    documents = [Document("d1", "aa"), Document("d2", "ab"), Document("d3", "aabb")]
    retriever = DenseRetriever(Letters(similarity))
    scores = retriever.search(retriever.index(documents, tmp_path), documents, {"1": "aa"}, 3).scores()["1"]
    assert scores == pytest.approx(
        {"d1": 0, "d2": -(2**0.5), "d3": -2} if similarity == "euclidean" else {"d1": 0, "d2": -2, "d3": -2}
    )
    assert list(scores) == ["d1", "d2", "d3"]


def test_half_precision_storage(tiny_base: Base, tmp_path: Path) -> None:
    full, half = (DenseRetriever(tiny_base, precision="fp32", storage=storage) for storage in ("float32", "float16"))
    index = half.index(TEXTS, tmp_path)
    assert np.load(index / "vectors.npy", mmap_mode="r").dtype == np.float16
    runs = [retriever.search(retriever.index(TEXTS, tmp_path), TEXTS, QUERIES, 6).scores() for retriever in (full, half)]
    assert runs[1] == {topic: pytest.approx(found, abs=1e-3) for topic, found in runs[0].items()}
    with pytest.raises(XlrankError, match="index was made|was made by|holds"):
        full.search(tmp_path, TEXTS, QUERIES, 6)


@pytest.mark.parametrize("damage", ["vectors.npy", "ids.npy", "ids.txt", "facts.json"])
def test_a_damaged_index_is_refused_and_made_again(tmp_path: Path, damage: str) -> None:
    documents, retriever = numbered(25), DenseRetriever(Letters())
    index = retriever.index(documents, tmp_path)
    before = retriever.search(index, documents, {"1": "a"}, 5)
    path = index / damage
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(XlrankError) as caught:
        retriever.search(index, documents, {"1": "a"}, 5)
    assert str(index) in str(caught.value) and "\n" not in str(caught.value)
    assert retriever.index(documents, tmp_path) == index
    assert retriever.search(index, documents, {"1": "a"}, 5) == before


def test_vectors_that_are_no_numbers_are_noticed(tmp_path: Path) -> None:
    documents, retriever = numbered(25), DenseRetriever(Letters())
    with pytest.raises(XlrankError, match="the vector of document 'd0' holds what is no number"):
        DenseRetriever(Letters(value=np.nan)).index(documents, tmp_path)
    with pytest.raises(XlrankError, match="the vector of document 'd0' holds values too large for float16; store float32"):
        DenseRetriever(Letters(value=1e6), storage="float16").index(documents, tmp_path)
    index = retriever.index(documents, tmp_path)
    with pytest.raises(XlrankError, match="the vector of topic '7' holds what is no number; the model 'letters'"):
        DenseRetriever(Letters(value=np.inf)).search(index, documents, {"7": "a"}, 5)
    vectors = np.load(index / "vectors.npy", mmap_mode="r+")
    vectors[3, 2] = np.nan
    vectors.flush()
    with pytest.raises(XlrankError, match="a similarity is no finite number.* delete the folder"):
        retriever.search(index, documents, {"1": "a"}, 5)


def test_an_index_of_others_is_refused(tiny_base: Base, tmp_path: Path) -> None:
    retriever, documents = DenseRetriever(Letters()), numbered(25)
    index = retriever.index(documents, tmp_path)
    changed = [*documents[:-1], Document("d24", "other text")]
    with pytest.raises(XlrankError, match=r"was made for other documents \(25 of them, not these 25\)"):
        retriever.search(index, changed, {"1": "a"}, 5)
    with pytest.raises(XlrankError, match="was made by another model"):
        DenseRetriever(tiny_base, precision="fp32").search(index, documents, {"1": "a"}, 5)
    with pytest.raises(XlrankError, match="holds no dense index"):
        retriever.search(tmp_path / "none", documents, {"1": "a"}, 5)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"precision": "int8"}, "not computed in int8"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"max_length": 3}, "max_length is 3; expected 4"),
        ({"storage": "int8"}, "unknown storage 'int8'"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused_at_once(tiny_base: Base, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(XlrankError, match=problem):
        DenseRetriever(tiny_base, **settings)


def test_settings_of_an_encoder_belong_to_it(tiny_base: Base) -> None:
    with pytest.raises(XlrankError, match="max_length, precision must be given to the encoder 'letters'"):
        DenseRetriever(Letters(), max_length=128, precision="fp32")
    assert DenseRetriever(MeanPooledEncoder(tiny_base, query_prefix="x ")).query_prefix == "x "


def test_bad_queries_and_documents_are_refused(tmp_path: Path) -> None:
    retriever, documents = DenseRetriever(Letters()), numbered(5)
    index = retriever.index(documents, tmp_path)
    found = retriever.search(index, documents, {"1": "a", "2": "\u200e \n"}, 5)
    assert found.rankings == retriever.search(index, documents, {"1": "a"}, 5).rankings
    assert found.metadata["notes"] == ["topic '2' has no content and finds nothing"]
    assert retriever.search(index, documents, {"2": "\u200d"}, 5).rankings == {}
    with pytest.raises(XlrankError, match="depth is 0"):
        retriever.search(index, documents, {"1": "a"}, 0)
    assert retriever.search(index, documents, {}, 5).rankings == {}
    with pytest.raises(XlrankError, match="there are no documents"):
        retriever.index([], tmp_path)
    with pytest.raises(XlrankError, match="'d0' stands twice"):
        retriever.index([*documents, documents[0]], tmp_path)
