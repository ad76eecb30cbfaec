"""Whole batches: one source each, by share, near queries together, and the same ones in a resumed run."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import WORDS
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.training.batches import Shuffled
from xlrank.training.data import open_data
from xlrank.training.data.datasets import Listed
from xlrank.training.data.mixing import Batches, Part, in_batches, shares_of
from xlrank.training.data.neighbours import forget, near_examples, nearest


def listed(folder: Path, name: str, count: int, *, documents: int = 1000) -> Listed:
    path = folder / f"{name}.jsonl"
    rows = [{"query": f"{name} {i}", "positive": f"{name} document {i % documents}"} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    train = open_data(path, seed=1, heldout=1, alone=True).train
    assert isinstance(train, Listed)
    return train


def test_sources_come_by_their_shares_and_never_together(tmp_path: Path) -> None:
    parts = [Part(listed(tmp_path, "a", 21), 0.75), Part(listed(tmp_path, "b", 61), 0.25)]
    batches = Batches(parts, batch=8, cluster=1, seed=3)
    sources = [{example.query.split()[0] for example in batches[i]} for i in range(len(batches))]
    assert all(len(names) == 1 for names in sources)
    assert Counter(name for names in sources for name in names) == {"a": 8, "b": 2}  # 80 examples make 10 batches
    assert {len(batches[i]) for i in range(len(batches))} == {8}


def test_batches_depend_on_the_seed_and_the_place_alone(tmp_path: Path) -> None:
    part = Part(listed(tmp_path, "a", 41), 1.0, np.array([[(i + 1) % 40, (i + 2) % 40] for i in range(40)], np.int32))

    def drawn(start: int, count: int, seed: int = 3) -> list[object]:
        run = Shuffled(Batches([part], batch=4, cluster=2, seed=seed), 100, seed, start)
        return [run[i] for i in range(count)]

    whole = drawn(0, 30)
    assert drawn(17, 13) == whole[17:], "a resumed run draws other batches"
    assert len({str(batch) for batch in whole}) > 20
    assert drawn(0, 30, seed=4) != whole


def test_neighbours_stand_beside_their_seed(tmp_path: Path) -> None:
    examples = listed(tmp_path, "a", 41)
    near = np.array([[i - i % 4 + j for j in range(4) if j != i % 4] for i in range(40)], np.int32)
    queries = [example.query for example in examples]
    batches = Batches([Part(examples, 1.0, near)], batch=8, cluster=4, seed=3)
    for i in range(len(batches)):
        numbers = [queries.index(example.query) // 4 for example in batches[i]]
        assert numbers[:4] == [numbers[0]] * 4
        assert numbers[4:] == [numbers[4]] * 4
        assert len(set(batches[i])) == 8


def test_no_document_comes_twice_and_small_sources_give_smaller_batches(tmp_path: Path) -> None:
    near = np.tile(np.arange(20, dtype=np.int32), (20, 1))
    batches = Batches([Part(listed(tmp_path, "a", 21, documents=5), 1.0, near)], batch=8, cluster=4, seed=1)
    assert {len({example.documents for example in batches[i]}) for i in range(len(batches))} == {5}
    assert {len(batches[i]) for i in range(len(batches))} == {5}


def test_held_out_batches_are_fixed(tmp_path: Path) -> None:
    examples = listed(tmp_path, "a", 11)
    assert [len(batch) for batch in in_batches(examples, 4)] == [4, 4, 2]
    assert [example for batch in in_batches(examples, 4) for example in batch] == list(examples)


def test_shares() -> None:
    assert shares_of(["a", "b", "c"], [0.5, None, None], [9, 30, 10]) == [0.5, 0.375, 0.125]
    assert shares_of(["a", "b"], [0.25, 0.75], [1, 1]) == [0.25, 0.75]
    for asked, problem in (
        ([0.5, 0.4], r"shares of the sources add up to 0\.9; expected 1"),
        ([1.0, None], "add up to 1; expected less than 1"),
        ([1.5, None], r"a: a share of 1\.5 of the batches"),
        ([0.0, None], "a: a share of 0 of the batches"),
    ):
        with pytest.raises(XlrankError, match=problem):
            shares_of(["a", "b"], asked, [1, 1])


def test_nearest_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrank.training.data.neighbours.BLOCK", 3)
    vectors = np.random.default_rng(1).standard_normal((8, 5)).astype(np.float32)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    assert (nearest(vectors, 4) == np.argsort(-similarity, axis=1)[:, :4]).all()
    assert nearest(vectors).shape == (8, 7)
    assert nearest(vectors[:1]).shape == (1, 0)


def test_near_queries_are_kept_while_training_lasts(tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = listed(tmp_path, WORDS[4], 9)
    near, path = near_examples(examples, tiny_base, tmp_path / "work")
    assert near.shape == (8, 7)
    monkeypatch.setattr("xlrank.training.data.neighbours.nearest", None)  # it would fail if it were computed again
    again, _ = near_examples(examples, tiny_base, tmp_path / "work")
    assert (again == near).all()
    forget([path])
    assert not path.parent.exists()
