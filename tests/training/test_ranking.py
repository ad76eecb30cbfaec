"""Ranking modules: what learns and what stays, the losses by hand, resuming, and groups that are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import HIDDEN, LAYERS, load_base, make_adapter, make_batch, make_mask, make_ranking, snapshot
from xlrank.bases import Base
from xlrank.composition import as_composition
from xlrank.composition.compose import compose
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.head.layers import build_ranking_head, relevance
from xlrank.modules.weights import edited_parameters
from xlrank.ranking import Ranker
from xlrank.training.data import read_groups
from xlrank.training.loop import Settings
from xlrank.training.ranking import RankingData, RankingModel, train_ranking
from xlrank.training.recipes import FullRecipe, LoraRecipe, MaskRecipe, Recipe

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


RECIPES: dict[str, Recipe] = {"adapter": AdapterConfig(reduction_factor=16), "full": FullRecipe()}


def learned(base: Base, data: Path, kind: str = "adapter", **options: Any) -> Module:  # noqa: ANN401 - train_ranking's own
    on = make_adapter(base, "en", 2) if kind == "adapter" else ()
    settings: dict[str, Any] = {"settings": SETTINGS, "on": on, "max_length": 32, "recipe": RECIPES[kind]}
    return train_ranking(RankingData(data, licence="CC0", heldout=1), base=base, **settings | options)


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
    same = [name for name, tensor in one.tensors.items() if torch.equal(tensor, two.tensors[name])]
    assert same == ["head.out.bias"], "a softmax over documents does not see what is added to all of them"
    assert (two.kind, two.role, two.language) == ("adapter", "ranking", "en")


def test_the_learned_module_ranks(tiny_base: Base, data: Path, tmp_path: Path) -> None:
    module = learned(
        tiny_base,
        data,
        settings=Settings(steps=20, batch=5, rate=1e-2, save_every=50),
        pooling="mean",
        recipe=AdapterConfig(reduction_factor=4),
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
    assert resumed.training["resumed"] == [1], "the run started anew instead of continuing"
    for name, tensor in whole.tensors.items():
        torch.testing.assert_close(resumed.tensors[name], tensor, atol=1e-5, rtol=1e-3, msg=name)


def test_settings_that_change_the_module_change_the_checkpoints_folder(
    tiny_base: Base, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def stop(*arguments: Any, **_: Any) -> None:  # noqa: ANN401 - train's own
        folders.append(arguments[-1])
        raise KeyboardInterrupt

    monkeypatch.setattr("xlrank.training.ranking.train", stop)
    changes: list[dict[str, Any]] = [
        {},
        {"loss": "bce"},
        {"pooling": "mean"},
        {"max_length": 31},
        {"recipe": AdapterConfig(reduction_factor=8)},
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
        labels = torch.zeros(6)
        labels[[relevant, 3 + relevant]] = 1
        groups = torch.tensor([0, 0, 0, 1, 1, 1])
        found = RankingModel(encoder, head, loss)(**batch.tensors(), labels=labels, groups=groups)["loss"]
        torch.testing.assert_close(found, expected)


def test_an_adapter_needs_a_module_below(tiny_base: Base, tiny_xlmr_base: Base, data: Path) -> None:
    with pytest.raises(XlrankError, match="an adapter learns on the language module that others will replace; name it"):
        learned(tiny_base, data, on=())
    with pytest.raises(XlrankError, match="was made for base"):
        learned(tiny_xlmr_base, data, on=make_adapter(tiny_base, "en", 2))


@pytest.mark.parametrize("below", ["adapter", "mask", "nothing"])
@pytest.mark.parametrize("recipe", [MaskRecipe(entries=400, like_reduction_factor=None), LoraRecipe(rank=2, alpha=4)])
def test_other_kinds_learn_to_rank(tiny_base: Base, data: Path, recipe: Recipe, below: str) -> None:
    under = {"adapter": [make_adapter(tiny_base, "en", 2)], "mask": [make_mask(tiny_base, "en", 2)], "nothing": []}[below]
    module = learned(tiny_base, data, on=under, recipe=recipe, settings=Settings(steps=4, batch=3, rate=1e-2, save_every=9))
    assert module.kind == ("mask" if isinstance(recipe, MaskRecipe) else "lora")
    assert {"head.out.weight", "head.out.bias"} <= set(module.tensors)
    composition = as_composition(under[0]) + module if under else as_composition(module)
    assert len(Ranker(tiny_base, composition, precision="fp32").score([("the river", "a river")])) == 1


@pytest.mark.parametrize("loss", ["bce", "listwise", "pairwise", "margin-mse", "kl"])
def test_every_loss_goes_down(tiny_base: Base, data: Path, tmp_path: Path, loss: str) -> None:
    rows = [{**json.loads(line), "scores": [3.0, -1.0, -2.0]} for line in data.read_text().splitlines()]
    path = tmp_path / "scored.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = learned(
        tiny_base, path, loss=loss, pooling="mean", settings=Settings(steps=25, batch=5, rate=1e-2, save_every=50)
    ).training
    assert record["heldout_loss"] < record["heldout_loss_before"]


def test_data_that_a_loss_cannot_use_are_refused(tiny_base: Base, data: Path, tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="scores"):
        learned(tiny_base, data, loss="kl")
    few = tmp_path / "few.jsonl"
    few.write_text(data.read_text().splitlines()[0] + "\n")
    with pytest.raises(XlrankError, match=r"few\.jsonl: only 1 queries; too few to hold out 1"):
        learned(tiny_base, few)


def test_an_unknown_pooling_is_refused(tiny_base: Base, data: Path) -> None:
    with pytest.raises(XlrankError, match="unknown pooling 'max'"):
        learned(tiny_base, data, pooling="max")
