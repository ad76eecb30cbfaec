"""Language modules of every kind from their recipes: what learns, what the module holds, and that composing it gives it back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import RecordedStages, composed_states, make_adapter, make_batch, make_head, make_lora, make_mask, snapshot
from xlrank.bases import Base
from xlrank.composition import as_composition
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.training import lottery
from xlrank.training.language import train_language
from xlrank.training.loop import Settings
from xlrank.training.recipes import FullRecipe, LoraRecipe, MaskRecipe, Recipe, adapter_size, recipe_named, start
from xlrank.training.trainee import AdapterTrainee

PAIRS = [("дарыя", "the river and the bridge"), ("суу кыш", "a school in winter")]
SETTINGS = Settings(steps=4, batch=4, rate=1e-2, save_every=9)
MASK = MaskRecipe(entries=500, like_reduction_factor=None)


def learned(base: Base, text: Path, recipe: Recipe, work: Path, **options: Any) -> Module:  # noqa: ANN401 - train_language's
    settings: dict[str, Any] = {"settings": SETTINGS, "length": 16, "max_tokens": 2000, "licence": "CC0"} | options
    return train_language("ky", [text], base=base, recipe=recipe, head=make_head(base, 4), work=work, **settings)


def entries(module: Module) -> int:
    return sum(len(tensor) for name, tensor in module.tensors.items() if name.startswith("index."))


def test_the_papers_sizes() -> None:
    """The table of the original's training script: k by reduction factor, for mBERT."""
    known = {1: 14_174_208, 2: 7_091_712, 4: 3_550_464, 8: 1_779_840, 16: 894_528, 32: 451_872}
    assert {factor: adapter_size(768, 12, factor, invertible=False) for factor in known} == known
    assert adapter_size(768, 12, 2, invertible=True) == 7_387_776


def test_a_mask_has_exactly_as_many_entries_as_wanted(tiny_base: Base, text: Path, tmp_path: Path) -> None:
    before = snapshot(tiny_base)
    module = learned(tiny_base, text, MASK, tmp_path)
    assert snapshot(tiny_base) == before
    assert (module.kind, module.role, module.language) == ("mask", "language", "ky")
    assert entries(module) == 500
    assert {name.partition(".")[0] for name in module.tensors} == {"index", "value"}
    assert not any("LayerNorm" in name or "pooler" in name for name in module.tensors)
    values = torch.cat([tensor for name, tensor in module.tensors.items() if name.startswith("value.")])
    assert int((values == 0).sum()) < 50, "nearly all chosen entries should have moved"
    assert len(module.training["phases"]) == 1
    assert module.training["entries"] == 500
    composed_states(tiny_base, as_composition(module), PAIRS)


def test_every_phase_of_a_mask_is_a_stage_that_is_shown(
    tiny_base: Base, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = RecordedStages()
    monkeypatch.setattr(lottery, "shown", stages)
    learned(tiny_base, text, MASK, tmp_path)
    assert list(stages.reports) == [
        "mask, round 1 of 1: all parameters learn",
        "mask: choosing the entries that moved most",
        "mask: the chosen entries learn",
    ]


def test_a_mask_as_large_as_an_adapter(tiny_base: Base, text: Path, tmp_path: Path) -> None:
    module = learned(tiny_base, text, MaskRecipe(like_reduction_factor=8), tmp_path)
    assert entries(module) == adapter_size(32, 2, 8, invertible=True)
    share = learned(tiny_base, text, MaskRecipe(entries=0.01, like_reduction_factor=None), tmp_path / "share")
    possible = sum(p.numel() for n, p in tiny_base.encoder.named_parameters() if "LayerNorm" not in n and "pooler" not in n)
    assert entries(share) == possible // 100


def test_more_rounds_choose_more_entries(tiny_base: Base, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[int] = []
    keep = lottery.keep_only  # type: ignore[attr-defined]

    def spy(encoder: Any, indices: Any) -> Any:  # noqa: ANN401 - passed on
        chosen.append(sum(map(len, indices.values())))
        return keep(encoder, indices)

    monkeypatch.setattr(lottery, "keep_only", spy)
    module = learned(tiny_base, text, replace(MASK, iterations=3), tmp_path, settings=replace(SETTINGS, steps=6))
    assert chosen == [166, 333, 500]
    assert entries(module) == 500
    assert len(module.training["phases"]) == 5


def test_every_rounds_full_phase_trains_everything(
    tiny_base: Base, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning: list[int] = []
    full_phase = lottery.Lottery._full_phase

    def counted(self: lottery.Lottery, *arguments: Any) -> Any:  # noqa: ANN401 - passed on
        learning.append(sum(p.numel() for p in self.learner.parameters() if p.requires_grad))
        found = full_phase(self, *arguments)
        moved = sum(int((now != self.trainee.start[name]).sum()) for name, now in self.trainee.values().items())
        assert moved > 0.1 * learning[-1]
        return found

    monkeypatch.setattr(lottery.Lottery, "_full_phase", counted)
    learned(tiny_base, text, replace(MASK, iterations=2), tmp_path)
    assert learning == [sum(tensor.numel() for tensor in start(MASK, tiny_base).tensors().values())] * 2


def test_a_mask_goes_on_where_it_was_interrupted(
    tiny_base: Base, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(MASK, iterations=2)
    expected = learned(tiny_base, text, recipe, tmp_path / "straight")
    fit, calls = lottery.Lottery._sparse_phase, 0

    def interrupted(*arguments: Any) -> Any:  # noqa: ANN401 - passed on
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return fit(*arguments)

    monkeypatch.setattr(lottery.Lottery, "_sparse_phase", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learned(tiny_base, text, recipe, tmp_path / "broken")
    monkeypatch.setattr(lottery.Lottery, "_sparse_phase", fit)
    monkeypatch.setattr(lottery.Lottery, "_full_phase", lambda *_: pytest.fail("both full phases were finished"))
    again = learned(tiny_base, text, recipe, tmp_path / "broken")
    assert again == expected


def test_l1_holds_entries_back(tiny_base: Base, text: Path, tmp_path: Path) -> None:
    free, held = (
        learned(tiny_base, text, replace(MASK, l1=weight), tmp_path / str(weight), settings=replace(SETTINGS, steps=8))
        for weight in (0.0, 1e6)
    )
    sizes = [torch.cat([t for n, t in m.tensors.items() if n.startswith("value.")]).abs().mean() for m in (free, held)]
    assert sizes[1] < 0.7 * sizes[0]


def test_a_lora_learns(tiny_base: Base, text: Path, tmp_path: Path) -> None:
    module = learned(tiny_base, text, LoraRecipe(rank=3, alpha=6), tmp_path)
    assert module.kind == "lora"
    assert dict(module.config) == {"rank": 3, "scaling": 2.0}
    layers = {name[2:] for name in module.tensors}
    assert layers == {f"encoder.layer.{i}.attention.self.{part}" for i in range(2) for part in ("query", "value")}
    assert all(module.tensors[f"B.{layer}"].abs().max() > 0 for layer in layers)
    plain = composed_states(tiny_base, as_composition(make_lora(tiny_base, "ky", 1, names=[])), PAIRS)
    assert (composed_states(tiny_base, as_composition(module), PAIRS) - plain).abs().max() > 1e-3


@pytest.mark.parametrize(
    "recipe",
    [
        AdapterConfig(reduction_factor=4),
        LoraRecipe(rank=2, alpha=3, targets=("query", "intermediate.dense")),
        FullRecipe(frozen=("embeddings.", "pooler.")),
        FullRecipe(frozen=("pooler.",)),
    ],
)
@pytest.mark.parametrize("below", ["adapter", "mask", "lora", "nothing"])
def test_what_is_learnt_composes_to_what_was_trained(tiny_base: Base, recipe: Recipe, below: str) -> None:
    made = {
        "adapter": make_adapter(tiny_base, "en", 1),
        "mask": make_mask(tiny_base, "en", 2),
        "lora": make_lora(tiny_base, "en", 3),
    }
    under = [made[below]] if below in made else []
    before = snapshot(tiny_base)
    trainee = start(recipe, tiny_base, under)
    batch = make_batch(tiny_base, PAIRS).tensors()
    plain = trainee.encoder(**batch).detach()
    learning = [parameter for parameter in trainee.encoder.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(learning, lr=0.01)
    for _ in range(2):
        trainee.encoder(**batch).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    assert snapshot(tiny_base) == before
    reference = make_adapter(tiny_base, "en", 9).base
    module = Module.create(
        trainee.tensors(), name="new", kind=trainee.kind, role="language", language="en", base=reference, config=trainee.config
    )
    composition = sum(under[1:], as_composition(under[0])) + module if under else as_composition(module)
    with torch.inference_mode():
        trained = trainee.encoder(**batch)
    assert (trained - plain).abs().max() > 1e-4
    found = composed_states(tiny_base, composition, PAIRS)
    torch.testing.assert_close(found, trained, atol=2e-3 if trainee.kind == "full" else 1e-5, rtol=0)


def test_only_the_trained_adapter_learns(tiny_base: Base) -> None:
    torch.manual_seed(0)
    trainee = AdapterTrainee(tiny_base, AdapterConfig(), [make_adapter(tiny_base, "ky", 1)])
    encoder, adapter = trainee.encoder, trainee.adapter
    encoder(**make_batch(tiny_base, PAIRS).tensors()).square().sum().backward()
    learning = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    assert {id(parameter) for parameter in learning} == {id(parameter) for parameter in adapter.parameters()}
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in learning)
    assert all(parameter.grad is None for parameter in tiny_base.encoder.parameters())


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: MaskRecipe(entries=5), "give either its entries or the reduction factor"),
        (lambda: MaskRecipe(like_reduction_factor=None), "give either its entries or the reduction factor"),
        (lambda: MaskRecipe(iterations=0), "at least one iteration"),
        (lambda: MaskRecipe(full_share=1.0), "a share of steps between 0 and 1"),
        (lambda: MASK.count(32, 2, 499), "500 entries wanted of 499 that may change"),
        (lambda: MaskRecipe(like_reduction_factor=1).count(32, 2, 100), "entries wanted of 100 that may change"),
    ],
)
def test_masks_that_cannot_be(make: Any, problem: str) -> None:  # noqa: ANN401 - a function
    with pytest.raises(XlrankError, match=problem):
        make()


def test_what_cannot_learn_is_refused(tiny_base: Base) -> None:
    en = make_adapter(tiny_base, "en", 1)
    with pytest.raises(XlrankError, match="an invertible adapter works on the embeddings, so it cannot lie on 'language/en'"):
        start(AdapterConfig(invertible=True), tiny_base, [en])
    with pytest.raises(XlrankError, match="the base has no linear layers named nothing"):
        start(LoraRecipe(targets=("nothing",)), tiny_base)
    with pytest.raises(XlrankError, match="LoRA of rank 0 and alpha 1; expected positive numbers"):
        start(LoraRecipe(rank=0, alpha=1), tiny_base)
    with pytest.raises(XlrankError, match="everything is frozen"):
        start(FullRecipe(frozen=("embeddings.", "encoder.", "pooler.")), tiny_base)


@pytest.mark.parametrize(
    ("kind", "options", "recipe"),
    [
        ("adapter", {}, AdapterConfig()),
        ("adapter", {"reduction_factor": "4", "invertible": "yes"}, AdapterConfig(reduction_factor=4, invertible=True)),
        ("adapter", {"non_linearity": "gelu", "leave_out": "0,1"}, AdapterConfig(non_linearity="gelu", leave_out=(0, 1))),
        ("mask", {"entries": "0.044"}, MaskRecipe(entries=0.044, like_reduction_factor=None)),
        ("mask", {"l1": "0.1", "iterations": "2"}, MaskRecipe(l1=0.1, iterations=2)),
        ("mask", {"frozen": "LayerNorm,embeddings."}, MaskRecipe(frozen=("LayerNorm", "embeddings."))),
        ("lora", {"rank": "4", "alpha": "8", "targets": "query,value"}, LoraRecipe(4, 8, ("query", "value"))),
        ("full", {"frozen": ""}, FullRecipe(frozen=())),
    ],
)
def test_recipes_from_text(kind: str, options: dict[str, str], recipe: Recipe) -> None:
    assert recipe_named(kind, options) == recipe


@pytest.mark.parametrize(
    ("kind", "options", "problem"),
    [
        ("magic", {}, "module kind 'magic': expected one of adapter, mask, lora, full"),
        ("lora", {"size": "3"}, "lora setting 'size': expected one of rank, alpha, targets"),
        ("lora", {"rank": "many"}, "lora setting rank=many: expected a number"),
        ("adapter", {"invertible": "maybe"}, "adapter setting invertible=maybe: expected yes or no"),
        ("adapter", {"reduction_factor": "-1"}, "reduction factors must be positive numbers"),
        ("mask", {"entries": "5", "like_reduction_factor": "2"}, "give either its entries"),
    ],
)
def test_recipes_that_cannot_be_read(kind: str, options: dict[str, str], problem: str) -> None:
    with pytest.raises(XlrankError, match=problem):
        recipe_named(kind, options)
