"""Opening data: split by query, deterministic, in memory or streamed, and shared out to processes and workers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from tests.training.data.marco import write_marco
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.ranking.pairs import PairEncoder
from xlrank.training.data import Collator, Example, TrainingData, open_data
from xlrank.training.data import datasets as datasets_module
from xlrank.training.data.datasets import Listed, Streamed


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """60 groups of 20 queries, which differ in case and spaces at times."""
    return write_groups(tmp_path / "groups.jsonl", 60, lambda i: f"{'Query' if i % 3 else ' query '} {i % 20}")


def write_groups(path: Path, count: int, query: Callable[[int], str], negatives: Callable[[int], int] = lambda i: 1) -> Path:
    rows = [{"query": query(i), "positive": f"p{i}", "negatives": [f"n{i}"] * negatives(i)} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def names(data: Any) -> list[str]:  # noqa: ANN401 - a dataset
    return [example.documents[0] for example in data]


def queries(data: Any) -> set[str]:  # noqa: ANN401 - a dataset
    return {" ".join(example.query.lower().split()) for example in data}


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrank.training.data.jsonl.STREAMED_BYTES", 100)


def test_no_query_is_on_both_sides(path: Path) -> None:
    for heldout, expected in ((3, 3), (0.2, 4), (0.001, 1)):
        data = open_data(path, seed=1, heldout=heldout)
        assert isinstance(data.train, Listed)
        assert len(queries(data.heldout)) == expected
        assert not queries(data.heldout) & queries(data.train)
        assert sorted(names(data.train) + names(data.heldout)) == sorted(f"p{i}" for i in range(60))


def test_the_seed_decides_and_nothing_else(path: Path, tmp_path: Path) -> None:
    one, same, other = (open_data(path, seed=seed, heldout=4) for seed in (1, 1, 2))
    assert names(one.heldout) == names(same.heldout)
    assert names(one.train) == names(same.train)
    assert queries(one.heldout) != queries(other.heldout)
    backwards = tmp_path / "backwards.jsonl"
    backwards.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    assert queries(open_data(backwards, seed=1, heldout=4).heldout) == queries(one.heldout)


def test_the_limit_counts_training_examples(path: Path) -> None:
    data = open_data(path, seed=1, heldout=4, limit=5)
    assert len(data.train) == 5  # type: ignore[arg-type]
    assert len(data.heldout) == 12


@pytest.mark.parametrize("name", ["groups.jsonl", "renamed.jsonl"])
def test_the_description(path: Path, name: str) -> None:
    path = path.rename(path.with_name(name))
    data = open_data(str(path), seed=1, heldout=4)
    assert data.name == str(path)
    assert (data.group_size, data.equal_size(), data.targets) == (2, 2, "labels")
    assert [(source["name"], len(source["sha256"])) for source in data.sources] == [(name, 64)]


def test_groups_of_different_sizes(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "g.jsonl", 20, str, lambda i: 1 + (i == 13) * 2)
    data = open_data(path, seed=1, heldout=2)
    assert (data.group_size, data.sizes) == (None, (2, 4))
    with pytest.raises(XlrankError, match=r"g\.jsonl: groups of 2 to 4 documents; all must have as many"):
        data.equal_size()


@pytest.mark.usefixtures("streaming")
def test_a_large_file_is_streamed_and_split_in_the_same_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_data(path, seed=1, heldout=4)
    assert isinstance(data.train, Streamed)
    monkeypatch.setattr("xlrank.training.data.jsonl.STREAMED_BYTES", 10**9)
    listed = open_data(path, seed=1, heldout=4)
    assert names(data.heldout) == names(listed.heldout)
    assert sorted(names(data.train)) == sorted(names(listed.train))
    assert names(data.train) != names(listed.train), "the stream is in the file's order"


@pytest.mark.usefixtures("streaming")
def test_a_stream_is_shuffled_anew_in_each_epoch(path: Path) -> None:
    train = open_data(path, seed=1, heldout=4).train
    assert isinstance(train, Streamed)
    first = names(train)
    assert names(train) == first
    train.set_epoch(1)
    second = names(train)
    assert second != first
    assert sorted(second) == sorted(first)
    train.set_epoch(0)
    assert names(train) == first


@pytest.mark.usefixtures("streaming")
def test_a_small_buffer_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets_module.shuffled, "__defaults__", (4,))
    data = open_data(path, seed=1, heldout=4)
    found = names(data.train)
    assert len(found) == len(set(found)) == 48
    assert sum(int(a[1:]) < int(b[1:]) for a, b in zip(found, found[1:], strict=False)) > 30  # nearly in order


@pytest.mark.usefixtures("streaming")
def test_only_the_start_of_a_stream_is_scanned(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrank.training.data.opening.SCANNED", 8)
    data = open_data(path, seed=1, heldout=0.5)
    assert len(data.heldout) == 4
    assert not queries(data.heldout) & queries(data.train)
    assert len(names(data.train)) == 60 - 3 * 4


def processes(monkeypatch: pytest.MonkeyPatch, world: int, load: Callable[[], list[Any]]) -> list[list[Any]]:
    monkeypatch.setenv("WORLD_SIZE", str(world))
    found = []
    for rank in range(world):
        monkeypatch.setenv("RANK", str(rank))
        found.append(load())
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_and_workers_see_different_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    folder = write_marco(tmp_path / "marco", rows=61)

    def load() -> list[str]:
        train: Any = open_data(folder, seed=1, heldout=2).train
        loader: DataLoader[Example] = DataLoader(train, batch_size=2, num_workers=workers, collate_fn=list)
        return [f"{example.query} {example.documents}" for batch in loader for example in batch]

    alone = load()
    assert len(alone) == len(set(alone)) >= 40
    shares = processes(monkeypatch, 3, load)
    assert len({len(share) for share in shares}) == 1, "a process would wait for the others forever"
    together = [name for share in shares for name in share]
    assert len(together) == len(set(together))
    assert set(together) <= set(alone)
    assert len(alone) - len(together) < 3 * max(workers, 1)


def test_texts_of_other_shares_are_not_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train: Any = open_data(write_marco(tmp_path / "marco"), seed=1, heldout=2).train
    fetched: list[Any] = []
    fetch = train.source.fetch

    def counted(entry: Any) -> Example:  # noqa: ANN401 - an entry
        fetched.append(entry)
        return fetch(entry)  # type: ignore[no-any-return]

    monkeypatch.setattr(train.source, "fetch", counted)
    shares = processes(monkeypatch, 4, lambda: names(train))
    assert [len(fetched)] * 4 == [4 * len(share) for share in shares]


def test_the_caller_may_share_out_the_stream(tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, collate = write_marco(tmp_path / "marco"), Collator(PairEncoder(tiny_base))
    examples = list(open_data(folder, seed=1, heldout=2).train)

    def load() -> list[Any]:
        train: Any = open_data(folder, seed=1, heldout=2, whole=True).train
        return list(train)

    for share in processes(monkeypatch, 2, load):
        assert [row.fetch() for row in share] == examples
    wanted, batch = collate(examples[:5]), collate(share[:5])
    assert all(torch.equal(batch[name], tensor) for name, tensor in wanted.items())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"heldout": 0}, "held-out part 0: expected"),
        ({"heldout": 1.0}, "held-out part 1.0: expected"),
        ({"heldout": 0.0}, "held-out part 0.0: expected"),
        ({"heldout": float("nan")}, "held-out part nan: expected"),
        ({"heldout": -3}, "held-out part -3: expected"),
        ({"limit": 0}, "limit 0: expected at least one"),
        ({"heldout": 20}, r"groups\.jsonl: only 20 queries; too few to hold out 20"),
        ({"targets": "scores"}, r"groups\.jsonl, line 1: expected a teacher's scores"),
    ],
    ids=str,
)
def test_what_cannot_be_opened(path: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(XlrankError, match=problem):
        open_data(path, **{"seed": 1, "heldout": 2} | options)


def test_a_missing_source_and_one_without_scores(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match=r"none\.jsonl: cannot be read \(No such file"):
        open_data(tmp_path / "none.jsonl", seed=1, heldout=2)
    with pytest.raises(XlrankError, match="marco: holds no teacher's scores"):
        open_data(write_marco(tmp_path / "marco"), seed=1, heldout=2, targets="scores")


def opened_pairs(tmp_path: Path, *, grouped: bool) -> TrainingData:
    rows = [{"query": f"q{i // 3}", "document": f"d{i}", "label": int(i % 3 == 0)} for i in range(30)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return open_data(tmp_path / "pairs.jsonl", seed=1, heldout=2, grouped=grouped)


def test_pairs_one_by_one_or_grouped(tmp_path: Path) -> None:
    one, grouped = (opened_pairs(tmp_path, grouped=grouped) for grouped in (False, True))
    assert (one.group_size, len(one.heldout), len(names(one.train))) == (1, 6, 24)
    assert (grouped.group_size, len(grouped.heldout), len(names(grouped.train))) == (3, 2, 8)
    assert {example.targets for example in grouped.heldout} == {(1, 0, 0)}
