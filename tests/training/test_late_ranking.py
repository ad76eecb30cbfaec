"""Late ranking modules: the loss by hand, batches, that they learn and rank as composed, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import HIDDEN, WORDS, make_adapter, snapshot
from xlrank.bases import Base
from xlrank.composition import as_composition
from xlrank.composition.compose import compose
from xlrank.composition.sides import NOTHING
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.head.late import PROJECTION, LateHead, LateSettings, build_late_head
from xlrank.ranking import Ranker
from xlrank.ranking.texts import TextEncoder
from xlrank.training.data import Example
from xlrank.training.data.late_collate import LateCollator
from xlrank.training.late import LateModel, LateTraining, contrastive_loss
from xlrank.training.loop import Settings
from xlrank.training.ranking import RankingData, train_ranking
from xlrank.training.recipes import FullRecipe, LoraRecipe, MaskRecipe, Recipe, start

LATE = LateSettings(query_prompt="a: ", document_prompt="of: ", query_length=16, document_length=24, temperature=0.1)
TRAINING = LateTraining(query_length=12, document_length=16, neighbours=2)
ADAPTER = AdapterConfig(reduction_factor=4)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = [word for word in WORDS if len(word) > 3]
    rows = [{"query": f"the {a} {b}", "positive": f"{b} in a {a}"} for a in words[:6] for b in words[6:11]]
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def learned(base: Base, data: Path, **options: Any) -> Module:  # noqa: ANN401 - train_ranking's own
    settings: dict[str, Any] = {
        "settings": Settings(steps=4, batch=6, rate=1e-2, save_every=9),
        "recipe": ADAPTER,
        "late": LATE,
        "late_training": TRAINING,
    }
    return train_ranking(RankingData(data, licence="CC0", heldout=4), base=base, interaction="late", **settings | options)


def collator(base: Base, *, scored: bool = False) -> LateCollator:
    return LateCollator(TextEncoder(base, "a: ", 12), TextEncoder(base, "of: ", 16), scored=scored)


def test_the_loss_by_hand() -> None:
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(4, 5, generator=generator, requires_grad=True)
    positive = torch.tensor([[1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]).bool()

    def one(query: int, document: int) -> torch.Tensor:
        others = [i for i in range(5) if not positive[query, i]]
        logits = torch.stack([scores[query, document], *(scores[query, i] for i in others)])
        return -logits.softmax(0)[0].log()

    expected = (one(0, 0) + (one(1, 1) + one(1, 3)) / 2 + 0) / 3  # all of the third's are positives; the fourth has none
    found = contrastive_loss(scores, positive)
    torch.testing.assert_close(found, expected)
    found.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert bool(scores.grad.isfinite().all())
    assert contrastive_loss(scores, torch.zeros_like(positive)) == 0


def test_texts_stand_once_and_positives_are_nobodys_negatives(tiny_base: Base) -> None:
    examples = [
        Example("the river", ("a river", "the market"), (1, 0)),
        Example("The  river", ("water of the river",), (1,)),
        Example("a market", ("the market",), (1,)),
        Example("in winter", ("a river", "the market"), (1, 0)),
        Example("the market", ("the market", "a river"), (1, 1)),
    ]
    batch = collator(tiny_base)([examples[:3], examples[3:]])
    assert batch["labels"].tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 0]]
    assert (len(batch["query_ids"]), len(batch["document_ids"])) == (4, 3)
    assert batch["query_ids"].shape[1] < batch["document_ids"].shape[1], "queries are not padded to the documents' length"


def test_rows_without_content_are_left_out_and_counted(tiny_base: Base) -> None:
    examples = [Example("the river", ("a river", " "), (1, 0)), Example(" ", ("the market",), (1,)), Example("a", (" ",), (1,))]
    batch = collator(tiny_base)(examples)
    assert batch["labels"].tolist() == [[1, 0], [0, 0]]
    model = late_model(tiny_base)
    assert model.count(batch) == {"queries": 2, "documents": 2, "left_out": 2}
    assert bool(model(**batch)["loss"].isfinite())
    with pytest.raises(XlrankError, match="nothing in a batch can be tokenised"):
        collator(tiny_base)([Example(" ", ("a river",), (1,))])


def late_model(base: Base, loss: Any = "contrastive") -> LateModel:  # noqa: ANN401 - a literal
    torch.manual_seed(3)
    return LateModel(start(ADAPTER, base).encoder, LateHead(HIDDEN), LATE, loss, 0.5)


def test_a_teachers_scores_are_held_against_each_querys_own_documents(tiny_base: Base) -> None:
    examples = [Example("the river", ("a river", "the market"), (3, -1)), Example("winter", ("a river", "a", " "), (2, 0.5, 9))]
    batch = collator(tiny_base, scored=True)([*examples, Example("school", ("a", " "), (1, 2))])
    assert torch.nan_to_num(batch["labels"], nan=-9).tolist() == [[3, -1, -9], [2, -9, 0.5], [-9, -9, -9]]
    for loss in ("kl", "margin-mse"):
        found = late_model(tiny_base, loss)(**batch)["loss"]
        assert bool(found.isfinite())
        assert found > 0


def test_it_learns_and_nothing_else_moves(tiny_base: Base, data: Path) -> None:
    before = snapshot(tiny_base)
    module = learned(tiny_base, data, settings=Settings(steps=30, batch=6, rate=1e-2, save_every=99))
    assert snapshot(tiny_base) == before
    record = module.training
    assert record["heldout_loss"] < record["heldout_loss_before"]
    assert (record["loss"], record["neighbours"], record["groups"], record["on"]) == ("contrastive", 2, 26, None)
    assert record["seen"]["queries"] == 30 * 6
    assert record["seen"]["left_out"] == 0
    assert record["settings"]["batch"] == 6
    assert module.config["late"] == LATE.as_dict()
    assert (module.role, module.interaction, module.language) == ("ranking", "late", "en")


@pytest.mark.parametrize(
    "recipe", [ADAPTER, MaskRecipe(entries=400, like_reduction_factor=None), LoraRecipe(rank=2, alpha=4), FullRecipe()]
)
def test_the_saved_module_scores_as_the_trained_encoder(
    tiny_base: Base, data: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[LateModel] = []
    made = LateModel.__init__

    def keep(self: LateModel, *arguments: Any) -> None:  # noqa: ANN401 - its own
        made(self, *arguments)
        kept.append(self)

    monkeypatch.setattr(LateModel, "__init__", keep)
    late = LateSettings(**{**LATE.as_dict(), "dim": 8, "pooled": 0.5})
    below = make_adapter(tiny_base, "en", 2) if isinstance(recipe, AdapterConfig) else ()
    module = Module.load(learned(tiny_base, data, recipe=recipe, late=late, on=below).save(tmp_path / "late"))
    assert list(module.tensors[PROJECTION].shape) == [8, HIDDEN]
    batch = collator(tiny_base)([Example("the river", ("a river in winter", "the market"), (1, 0))])
    composition = as_composition(below) + module if isinstance(below, Module) else as_composition(module)
    with torch.inference_mode():
        again = LateModel(compose(tiny_base, composition), build_late_head(module, HIDDEN), late, "contrastive", 0.5)
        tolerance = 2e-3 if isinstance(recipe, FullRecipe) else 1e-4  # differences are stored in float16
        torch.testing.assert_close(again(**batch)["loss"], kept[0](**batch)["loss"], atol=tolerance, rtol=tolerance)
    assert len(Ranker(tiny_base, composition, precision="fp32").score([("the river", "a river")])) == 1


def test_an_interrupted_run_ends_with_the_same_bits(tiny_base: Base, data: Path, tmp_path: Path) -> None:
    from transformers import Trainer

    options: dict[str, Any] = {"settings": Settings(steps=4, batch=6, rate=1e-2, save_every=1), "work": tmp_path / "work"}
    whole = learned(tiny_base, data, **options)
    assert not (tmp_path / "work").exists(), "files of a finished run are left"
    save: Any = Trainer._save_checkpoint

    def interrupted(self: Any, *arguments: Any) -> None:  # noqa: ANN401 - the Trainer's own
        save(self, *arguments)
        if self.state.global_step == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_save_checkpoint", interrupted)
        learned(tiny_base, data, **options)
    resumed = learned(tiny_base, data, **options)
    assert resumed.training["resumed"]
    assert all(torch.equal(resumed.tensors[name], tensor) for name, tensor in whole.tensors.items())


def test_several_sources(tiny_base: Base, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "groups.jsonl"
    rows = [{"query": f"a {w}", "positive": f"{w} and {w}", "negatives": ["the", "in"]} for w in WORDS if len(w) > 3]
    other.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = [RankingData(data, licence="CC0", share=0.5, heldout=2), RankingData(other, licence="MIT", heldout=2)]
    module = train_ranking(
        sources,
        base=tiny_base,
        settings=Settings(steps=2, batch=4, save_every=9),
        interaction="late",
        late=LATE,
        late_training=TRAINING,
    )
    record = [(file["name"], file["licence"], file["share"]) for file in module.training["data"]]
    assert record == [("pairs.jsonl", "CC0", 0.5), ("groups.jsonl", "MIT", 0.5)]
    assert module.training["licence"] == "CC0; MIT"
    crossed = train_ranking(
        [RankingData(other, share=0.5, heldout=2), RankingData(other, heldout=2)],
        base=tiny_base,
        recipe=FullRecipe(),
        settings=Settings(steps=1, batch=2, save_every=9),
        max_length=24,
    )
    assert crossed.interaction == "cross"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"loss": "listwise"}, "unknown loss 'listwise' of late interaction; expected contrastive, margin-mse, kl"),
        ({"interaction": "cross", "late": None, "late_training": None}, "an adapter learns on the language module"),
        ({"interaction": "cross", "recipe": FullRecipe()}, "settings of late interaction with a cross-encoder"),
        ({"interaction": "early"}, "interaction 'early'; expected cross or late"),
        ({"late_training": LateTraining(neighbours=4)}, "a batch of 6 queries with 4 neighbours; expected a multiple"),
        ({"late_training": LateTraining(neighbours=-1)}, "a batch of 6 queries with -1 neighbours"),
        ({"late_training": LateTraining(pooled_loss=-1)}, "pooled loss -1; expected a weight from 0 on"),
        ({"late_training": LateTraining(query_length=3, neighbours=2)}, "3 word pieces leave no room beside the prompt"),
        ({"loss": "kl"}, "line 1: expected a teacher's scores"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(tiny_base: Base, data: Path, options: dict[str, Any], problem: str) -> None:
    arguments: dict[str, Any] = {"interaction": "late", "late": LATE, "late_training": TRAINING, "recipe": ADAPTER} | options
    with pytest.raises(XlrankError) as caught:
        train_ranking(RankingData(data, heldout=2), base=tiny_base, settings=Settings(steps=1, batch=6), **arguments)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_positives_alone_are_refused_by_a_cross_encoder(tiny_base: Base, data: Path) -> None:
    with pytest.raises(XlrankError, match=r"line 1: expected an object .*; a positive without negatives serves late interaction"):
        train_ranking(data, base=tiny_base, settings=Settings(steps=1), recipe=FullRecipe())


def test_a_projection_starts_at_the_principal_directions(tiny_base: Base) -> None:
    """As numpy finds them from the vectors one by one; a projection of all dimensions changes no score."""
    batches = [collator(tiny_base)([Example(f"the {word}", (f"a {word} in winter", "the market"), (1, 0))]) for word in WORDS]
    full, part = (projecting(tiny_base, dim) for dim in (HIDDEN, 4))
    plain = projecting(tiny_base, None)
    for model in (full, part):
        model.start_projection(batches)
    torch.testing.assert_close(full(**batches[0])["loss"], plain(**batches[0])["loss"], atol=1e-4, rtol=1e-4)
    rows = []
    for batch in batches:
        for side in ("query", "document"):
            content = batch[f"{side}_content"]
            vectors = plain._vectors(batch[f"{side}_ids"], batch[f"{side}_mask"], content)[0]
            rows += list(vectors[content == 1].detach().numpy())
    directions = np.linalg.svd(np.stack(rows), full_matrices=False)[2][:4]
    assert part.head.projection is not None
    np.testing.assert_allclose(np.abs(part.head.projection.weight.detach().numpy() @ directions.T), np.eye(4), atol=1e-3)
    with pytest.raises(XlrankError, match="tokens to find 4 dimensions"):
        part.start_projection([])


def projecting(base: Base, dim: int | None) -> LateModel:
    return LateModel(compose(base, NOTHING), LateHead(HIDDEN, dim), LateSettings(dim=dim), "contrastive", 0.5)
