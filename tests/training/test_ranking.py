"""Ranking modules: what learns and what stays, the losses by hand, resuming, and groups that are refused."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import HIDDEN, LAYERS, load_base, make_adapter, make_batch, make_ranking, snapshot
from xlrank.bases import Base
from xlrank.composition import as_composition
from xlrank.composition.compose import compose
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.head.layers import build_ranking_head, relevance
from xlrank.modules.weights import edited_parameters
from xlrank.ranking import Ranker
from xlrank.training.loop import Settings
from xlrank.training.pairs import Group, mine_groups, read_groups
from xlrank.training.ranking import RankingModel, train_ranking

SETTINGS = Settings(steps=2, batch=2, rate=1e-2, save_every=9)
SUBJECTS = ("river", "market", "school", "doctor", "train", "apple", "winter", "water", "election", "bridge")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))  # where interrupted runs leave their checkpoints


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {
            "query": f"the {subject}",
            "positive": f"a {subject} in the {other}",
            "negatives": [f"the {other}", f"{other} and {third}"],
        }
        for subject, other, third in zip(SUBJECTS, SUBJECTS[1:] + SUBJECTS[:1], SUBJECTS[2:] + SUBJECTS[:2], strict=True)
    ]
    path = tmp_path_factory.mktemp("data") / "groups.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def learned(base: Base, data: Path, kind: str = "adapter", **options: Any) -> Module:  # noqa: ANN401 - train_ranking's own
    on = make_adapter(base, "en", 2) if kind == "adapter" else None
    settings: dict[str, Any] = {"settings": SETTINGS, "on": on, "max_length": 32, "licence": "CC0"}
    return train_ranking(data, base=base, kind=kind, **settings | options)  # type: ignore[arg-type]


def test_only_the_adapter_and_its_head_learn(tiny_base: Base, data: Path) -> None:
    before, on = snapshot(tiny_base), make_adapter(tiny_base, "en", 2)
    on_before = {name: tensor.clone() for name, tensor in on.tensors.items()}
    one, two = (learned(tiny_base, data, on=on, settings=Settings(steps=n, batch=2, rate=1e-2, save_every=9)) for n in (1, 2))
    assert snapshot(tiny_base) == before
    assert all(torch.equal(on.tensors[name], tensor) for name, tensor in on_before.items())
    shapes = {name: tensor.shape for name, tensor in make_ranking(tiny_base, 1).tensors.items()}
    assert {name: list(t.shape) for name, t in two.tensors.items() if name.startswith("head.")} == {
        "head.dense.weight": [HIDDEN, HIDDEN],
        "head.dense.bias": [HIDDEN],
        "head.out.weight": [1, HIDDEN],
        "head.out.bias": [1],
    }
    assert set(two.tensors) == set(shapes)
    assert [name for name, tensor in one.tensors.items() if torch.equal(tensor, two.tensors[name])] == []
    assert (two.kind, two.role, two.language) == ("adapter", "ranking", "en")


def test_the_learned_module_ranks(tiny_base: Base, data: Path, tmp_path: Path) -> None:
    module = learned(
        tiny_base, data, settings=Settings(steps=20, batch=5, rate=1e-2, save_every=50), pooling="mean", reduction_factor=4
    )
    loaded = Module.load(module.save(tmp_path / "rank"))
    assert loaded == module
    assert loaded.config["pooling"] == "mean"
    ranker = Ranker(tiny_base, make_adapter(tiny_base, "en", 2) + loaded, precision="fp32")
    first = [group.documents[0] == ranker.rank(group.query, group.documents)[0].document.text for group in read_groups(data)]
    assert sum(first) >= 7


def test_the_record(tiny_base: Base, data: Path) -> None:
    record = learned(tiny_base, data).training
    assert record["heldout_loss_before"] == pytest.approx(1.0986, abs=0.05)  # ln 3: nothing is known about three documents
    assert record["heldout_loss"] != record["heldout_loss_before"]
    assert (record["groups"], record["group_size"], record["loss"], record["on"]) == (9, 3, "listwise", "language/en")
    assert record["data"][0]["name"] == "groups.jsonl"
    assert record["licence"] == "CC0"


def test_full_fine_tuning_stores_the_differences_it_made(tiny_base: Base, data: Path) -> None:
    before = snapshot(tiny_base)
    module = learned(tiny_base, data, "full")
    assert snapshot(tiny_base) == before
    differences = {name: tensor for name, tensor in module.tensors.items() if not name.startswith("head.")}
    assert {tensor.dtype for tensor in differences.values()} == {torch.float16}
    assert not any(name.startswith("embeddings.") for name in differences)
    moved = [name for name, tensor in differences.items() if tensor.any()]
    assert len([name for name in moved if name.startswith("encoder.layer.")]) == 16 * LAYERS
    assert max(float(tensor.abs().max()) for tensor in differences.values()) < 0.05
    assert module.training["on"] is None
    ranker = Ranker(tiny_base, module, precision="fp32")
    assert len(ranker.score([("the river", "a river")])) == 1


def test_a_fully_tuned_module_fits_the_base_without_a_pooler(tiny_base: Base, tiny_bert_folder: Path, data: Path) -> None:
    # The fingerprint leaves the pooler out (some checkpoints lack it), so a module must fit any base of the same fingerprint.
    module = learned(tiny_base, data, "full")
    bare = load_base(tiny_bert_folder)
    bare.encoder.pooler = None
    module.check_base(bare)
    assert set(edited_parameters([module], bare)) == {name for name in module.tensors if not name.startswith("head.")}


@pytest.mark.parametrize("kind", ["adapter", "full"])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(tiny_base: Base, data: Path, kind: str) -> None:
    from transformers import Trainer

    settings = Settings(steps=4, batch=2, rate=1e-2, save_every=1)
    whole = learned(tiny_base, data, kind, settings=settings)
    save: Any = Trainer._save_checkpoint

    def interrupted(self: Any, *arguments: Any) -> None:  # noqa: ANN401 - the Trainer's own
        save(self, *arguments)
        if self.state.global_step == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_save_checkpoint", interrupted)
        learned(tiny_base, data, kind, settings=settings)
    resumed = learned(tiny_base, data, kind, settings=settings)
    assert resumed.training["heldout_loss_before"] is None, "the run started anew instead of continuing"
    for name, tensor in whole.tensors.items():
        torch.testing.assert_close(resumed.tensors[name], tensor, atol=1e-5, rtol=1e-3, msg=name)


def test_settings_that_change_the_module_change_the_checkpoints_folder(
    tiny_base: Base, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def stop(*arguments: Any) -> None:  # noqa: ANN401 - train's own
        folders.append(arguments[-1])
        raise KeyboardInterrupt

    monkeypatch.setattr("xlrank.training.ranking.train", stop)
    changes: list[dict[str, Any]] = [
        {},
        {"loss": "bce"},
        {"pooling": "mean"},
        {"max_length": 31},
        {"reduction_factor": 8},
        {"on": make_adapter(tiny_base, "en", 9)},
        {"settings": Settings(steps=3)},
    ]
    for change in changes:
        with pytest.raises(KeyboardInterrupt):
            learned(tiny_base, data, **change)
    assert len(set(folders)) == len(changes)


@pytest.mark.parametrize("loss", ["listwise", "bce"])
@pytest.mark.parametrize("relevant", [0, 2])
def test_the_losses_by_hand(tiny_base: Base, loss: Any, relevant: int) -> None:  # noqa: ANN401 - a literal
    rank = make_ranking(tiny_base, 3)
    pairs = [(f"the {subject}", f"a {other} in the river") for subject in SUBJECTS[:2] for other in SUBJECTS[:3]]
    batch = make_batch(tiny_base, pairs)
    encoder, head = compose(tiny_base, as_composition(rank)), build_ranking_head(rank, HIDDEN)
    with torch.inference_mode():
        logits = relevance(head(encoder(**batch.tensors()), batch.attention_mask, batch.sides)).view(2, 3)
        if loss == "listwise":
            expected = (logits.logsumexp(1) - logits[:, relevant]).mean()
        else:
            probabilities = torch.sigmoid(logits)
            others = [i for i in range(3) if i != relevant]
            expected = -(probabilities[:, relevant].log().sum() + (1 - probabilities[:, others]).log().sum()) / 6
        labels = torch.full((2,), relevant)
        torch.testing.assert_close(RankingModel(encoder, head, loss, 3)(**batch.tensors(), labels=labels)["loss"], expected)


def test_the_kind_decides_whether_there_is_a_module_below(tiny_base: Base, tiny_xlmr_base: Base, data: Path) -> None:
    on = make_adapter(tiny_base, "en", 2)
    for kind, below in (("adapter", None), ("full", on)):
        with pytest.raises(XlrankError, match="--on names the language module below an adapter; a full module takes none"):
            learned(tiny_base, data, kind, on=below)
    with pytest.raises(XlrankError, match="was made for base"):
        learned(tiny_xlmr_base, data, on=on)


def test_an_unknown_pooling_is_refused(tiny_base: Base, data: Path) -> None:
    with pytest.raises(XlrankError, match="unknown pooling 'max'"):
        learned(tiny_base, data, pooling="max")


def lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


GOOD = {"query": "q", "positive": "p", "negatives": ["n", "m"]}


def test_groups_are_read_and_cleaned(tmp_path: Path) -> None:
    path = lines(tmp_path / "g.jsonl", [GOOD, "", {**GOOD, "query": " a\u200f\nb ", "more": 1}])
    assert read_groups(path) == [Group("q", ("p", "n", "m")), Group("a b", ("p", "n", "m"))]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "expected an object"),
        ([1], "expected an object"),
        ({"query": "q", "positive": "p"}, "expected an object"),
        ({"positive": "p", "negatives": ["n"]}, "expected an object"),
        ({"query": "q", "negatives": ["n"]}, "expected an object"),
        ({**GOOD, "negatives": 3}, "expected an object"),
        ({**GOOD, "negatives": "nm"}, "expected an object"),
        ({**GOOD, "negatives": []}, "a text is missing or empty"),
        ({**GOOD, "query": " "}, "a text is missing or empty"),
        ({**GOOD, "positive": None}, "a text is missing or empty"),
        ({**GOOD, "negatives": ["n", ""]}, "a text is missing or empty"),
    ],
)
def test_a_malformed_group_is_named(tmp_path: Path, row: object, problem: str) -> None:
    path = lines(tmp_path / "g.jsonl", [GOOD, row])
    with pytest.raises(XlrankError) as caught:
        read_groups(path)
    assert str(caught.value).startswith(f"{path}, line 2: {problem}")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="holds no training groups"):
        read_groups(lines(tmp_path / "g.jsonl", [""]))


def test_groups_of_different_sizes_are_refused(tiny_base: Base, tmp_path: Path) -> None:
    path = lines(tmp_path / "g.jsonl", [GOOD, GOOD, {**GOOD, "negatives": ["n"]}])
    with pytest.raises(XlrankError, match=r"g\.jsonl: groups of 2 to 3 documents; all must have as many"):
        learned(tiny_base, path)


def test_too_few_groups_are_refused(tiny_base: Base, tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match=r"g\.jsonl: only 1 groups; too few"):
        learned(tiny_base, lines(tmp_path / "g.jsonl", [GOOD]))


PARAGRAPHS = [
    {"doc_id": f"p{i}", "text": f"The {a} and the {b} in winter. The water of the {c} and a {a} in the market."}
    for i, (a, b, c) in enumerate((a, b, c) for a in SUBJECTS[:5] for b in SUBJECTS[5:7] for c in SUBJECTS[7:])
]


def test_groups_are_mined(tiny_base: Base, tmp_path: Path) -> None:
    paragraphs = lines(
        tmp_path / "p.jsonl",
        [*PARAGRAPHS, *({"doc_id": f"x{i}", "text": f"a {letter}"} for i, letter in enumerate("abcdefghij"))],
    )
    asked = [{"query_id": str(i), "text": f"Question {i}", "doc_id": f"p{i}", "label": int(i != 3)} for i in range(8)]
    groups = list(mine_groups(lines(tmp_path / "q.jsonl", asked), paragraphs, base=tiny_base, limit=10, negatives=4, hard=2))
    texts = {row["doc_id"]: row["text"] for row in PARAGRAPHS}
    assert len(groups) == 10
    for group in groups:
        assert set(group) == {"query", "positive", "negatives"}
        assert len(set(group["negatives"])) == 4
        assert group["positive"] not in group["negatives"]
    questions = {group["query"]: group["positive"] for group in groups if group["query"].startswith("Question")}
    assert len(questions) == 7
    assert "Question 3" not in questions
    assert all(positive == texts[f"p{query.split()[1]}"] for query, positive in questions.items())
    cloze = [group for group in groups if not group["query"].startswith("Question")]
    assert all(f"{group['query']} {group['positive']}" in texts.values() for group in cloze)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"text": "a", "doc_id": "p0"}, "expected an object"),
        ("[", "expected an object"),
        ({"text": "a", "doc_id": "p0", "label": 2}, "the label 2 is neither 0 nor 1"),
        ({"text": "a", "doc_id": "p99", "label": 1}, "unknown paragraph 'p99'"),
    ],
)
def test_a_malformed_question_is_named(tiny_base: Base, tmp_path: Path, row: object, problem: str) -> None:
    path = lines(tmp_path / "q.jsonl", [{"text": "a", "doc_id": "p0", "label": 1}, row])
    with pytest.raises(XlrankError) as caught:
        list(mine_groups(path, lines(tmp_path / "p.jsonl", PARAGRAPHS), base=tiny_base))
    assert str(caught.value).startswith(f"{path}, line 2: {problem}")


@pytest.mark.parametrize("options", [{"negatives": 2, "hard": 3}, {}, {"limit": 0}], ids=str)
def test_mining_that_cannot_work_is_one_line(tiny_base: Base, tmp_path: Path, options: dict[str, int]) -> None:
    # More hard negatives than negatives; fewer paragraphs than negatives; nothing asked for.
    questions = lines(tmp_path / "q.jsonl", [{"text": "a", "doc_id": "p0", "label": 1}])
    with pytest.raises(XlrankError):
        list(mine_groups(questions, lines(tmp_path / "p.jsonl", PARAGRAPHS[:4]), base=tiny_base, **options))
