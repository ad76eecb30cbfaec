"""Language modules: only the adapter learns, the loss is what it says, and an interrupted run ends as an uninterrupted one."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import LETTERS, headed_checkpoint, load_base, make_adapter, make_head, snapshot
from xlrank.bases import Base
from xlrank.composition.encoder import ComposedEncoder
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.adapter.layers import build_adapter
from xlrank.training import language
from xlrank.training.language import IGNORED, MaskedLanguageModel, Masking, load_mlm_head, train_language, train_mlm_head
from xlrank.training.loop import Settings
from xlrank.training.objectives import turns
from xlrank.training.recipes import recipe_named
from xlrank.training.trainee import alone

SETTINGS = Settings(steps=2, batch=4, rate=1e-2, save_every=9)
EVERY_STEP = replace(SETTINGS, save_every=1)
OPTIONS: dict[str, Any] = {"settings": SETTINGS, "length": 16, "max_tokens": 2000, "licence": "CC0"}


@pytest.fixture(autouse=True)
def head(tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """A prediction head of the tiny base in the place of the shipped one."""
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))  # where interrupted runs leave their checkpoints
    module = make_head(tiny_base, 4)
    monkeypatch.setattr(language, "HEAD_ID", str(module.save(tmp_path / "head")))
    return module


def learned(base: Base, text: Path, **options: Any) -> Module:  # noqa: ANN401 - train_language's own
    return train_language("ky", [text], base=base, **OPTIONS | options)


def test_only_the_adapter_learns(tiny_base: Base, text: Path, head: Module) -> None:
    before, head_before = snapshot(tiny_base), {name: tensor.clone() for name, tensor in head.tensors.items()}
    config = AdapterConfig(reduction_factor=4, invertible=True)
    one, two = (learned(tiny_base, text, recipe=config, settings=replace(SETTINGS, steps=n)) for n in (1, 2))
    assert snapshot(tiny_base) == before
    assert all(torch.equal(head.tensors[name], tensor) for name, tensor in head_before.items())
    assert (
        set(one.tensors)
        == set(two.tensors)
        == set(build_adapter(make_adapter(tiny_base, "ky", 1, reduction_factor=4), (32, 2)).state_dict())
    )
    still = [name for name, tensor in one.tensors.items() if torch.equal(tensor, two.tensors[name])]
    assert still == []
    assert (two.kind, two.role, two.language, two.name) == ("adapter", "language", "ky", "language/ky")
    assert two.config == config.as_dict()
    assert two.base.fingerprint == tiny_base.fingerprint


def test_the_record(tiny_base: Base, text: Path, tmp_path: Path) -> None:
    module = learned(tiny_base, text, settings=EVERY_STEP, work=tmp_path / "work")
    record = module.training
    assert record["heldout_loss"] < record["heldout_loss_before"]
    assert [step for step, _ in record["curve"]][:2] == [1, 2]
    assert record["curve"][-1][1] == pytest.approx(record["heldout_loss"], abs=1e-3)
    assert record["settings"]["steps"] == 2
    assert record["licence"] == "CC0"
    assert record["data"][0]["name"] == "ky.txt"
    assert len(record["data"][0]["sha256"]) == 64
    assert not (tmp_path / "work").exists()
    assert Module.load(module.save(tmp_path / "ky")) == module


def test_the_same_seed_gives_the_same_module(tiny_base: Base, text: Path) -> None:
    one = learned(tiny_base, text)
    assert learned(tiny_base, text) == one
    assert learned(tiny_base, text, settings=replace(SETTINGS, seed=14)) != one


def interrupt_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Raise KeyboardInterrupt once the checkpoint of ``step`` is written."""
    from transformers import Trainer

    save: Any = Trainer._save_checkpoint

    def saving(self: Any, *arguments: Any) -> None:  # noqa: ANN401 - the Trainer's own
        save(self, *arguments)
        if self.state.global_step == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_save_checkpoint", saving)


def test_an_interrupted_run_ends_as_an_uninterrupted_one(tiny_base: Base, text: Path) -> None:
    settings = replace(EVERY_STEP, steps=4)
    whole = learned(tiny_base, text, settings=settings)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            learned(tiny_base, text, settings=settings)
    resumed = learned(tiny_base, text, settings=settings)
    assert resumed.training["resumed"] == [1], "the run started anew instead of continuing"
    for name, tensor in whole.tensors.items():
        torch.testing.assert_close(resumed.tensors[name], tensor, msg=name)


def test_checkpoints_hold_only_what_learns(tiny_base: Base, text: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            learned(tiny_base, text, settings=EVERY_STEP, work=tmp_path / "work")
    from safetensors.torch import load_file

    names = set(load_file(tmp_path / "work" / "checkpoint-1" / "model.safetensors"))
    assert names
    assert not any("word_embeddings" in name or name.startswith("head.") or "attention" in name for name in names)


def stopped(base: Base, text: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[MaskedLanguageModel, Path]:  # noqa: ANN401
    """The model and the checkpoints' folder of a run that is stopped before its first step."""
    seen: list[Any] = []

    def stop(*arguments: Any, **_: Any) -> None:  # noqa: ANN401 - train's own
        seen.extend(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(turns, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        learned(base, text, **options)
    return seen[0].objective("mlm").model, seen[-1]


def test_settings_that_change_the_module_change_the_checkpoints_folder(
    tiny_base: Base, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"head": make_head(tiny_base, 5)},
        {"max_tokens": 1000},
        {"full_softmax": True},
        {"length": 12},
        {"recipe": AdapterConfig(reduction_factor=8)},
        {"settings": replace(SETTINGS, seed=14)},
    ]
    folders = [stopped(tiny_base, text, monkeypatch, **change)[1] for change in changes]
    assert [change for i, change in enumerate(changes) if folders[i] in folders[:i]] == []


def model(base: Base, head: Module, adapter_module: Module, support: torch.Tensor) -> MaskedLanguageModel:
    adapter = build_adapter(adapter_module, (32, 2))
    words = base.encoder.get_input_embeddings().weight
    encoder = ComposedEncoder(base, [alone(adapter)])
    return MaskedLanguageModel(encoder, load_mlm_head(head, base), adapter.invertible, words, support)


@pytest.mark.parametrize("invertible", [True, False])
def test_the_restricted_softmax_is_the_full_one_over_the_support(tiny_base: Base, head: Module, invertible: bool) -> None:
    adapter = make_adapter(tiny_base, "ky", 1, invertible=invertible)
    size = int(tiny_base.config.vocab_size)
    support = torch.tensor([2, 3, 5, 8, 13, 21, 34, 55, 89, 144])
    ids = torch.tensor([[2, 5, 4, 8, 3], [2, 4, 34, 144, 3]])
    labels = torch.tensor([[IGNORED, IGNORED, 21, 8, IGNORED], [IGNORED, 55, IGNORED, IGNORED, IGNORED]])
    restricted, full = model(tiny_base, head, adapter, support), model(tiny_base, head, adapter, torch.arange(size))
    with torch.inference_mode():
        zeros = torch.zeros_like(ids)
        states = full.composed(ids, torch.ones_like(ids), zeros, zeros)[labels != IGNORED]
        vectors = full.head.transform(states)
        if full.invertible is not None:
            vectors = full.invertible.inverse(vectors)
        logits = vectors @ tiny_base.encoder.get_input_embeddings().weight.T + full.head.bias
        targets = labels[labels != IGNORED]
        chosen = logits.gather(1, targets[:, None])[:, 0]
        torch.testing.assert_close(full(ids, labels)["loss"], (logits.logsumexp(1) - chosen).mean())
        torch.testing.assert_close(restricted(ids, labels)["loss"], (logits[:, support].logsumexp(1) - chosen).mean())
        assert restricted(ids, labels)["loss"] < full(ids, labels)["loss"]


def test_the_full_softmax_can_be_asked_for(tiny_base: Base, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restricted, full = (stopped(tiny_base, text, monkeypatch, full_softmax=value)[0].support for value in (False, True))
    size = int(tiny_base.config.vocab_size)
    words = tiny_base.tokenizer(text.read_text().split(), add_special_tokens=False)["input_ids"]
    assert full.tolist() == list(range(size))
    assert set(restricted.tolist()) == {2, 3, *(piece for ids in words for piece in ids)}


def test_masking(tiny_base: Base) -> None:
    torch.manual_seed(0)
    ids = torch.randint(5, len(LETTERS), (200, 50))
    ids[:, 0], ids[:, -1] = 2, 3
    batch = Masking(tiny_base).mask_ids(ids)
    chosen = batch["labels"] != IGNORED
    assert not chosen[:, [0, -1]].any()
    assert torch.equal(batch["labels"][chosen], ids[chosen])
    assert torch.equal(batch["input_ids"][~chosen], ids[~chosen])
    masked, kept = batch["input_ids"][chosen] == 4, batch["input_ids"][chosen] == ids[chosen]
    assert float(chosen[:, 1:-1].float().mean()) == pytest.approx(0.15, abs=0.015)
    assert float(masked.float().mean()) == pytest.approx(0.8, abs=0.04)
    assert float(kept.float().mean()) == pytest.approx(0.1, abs=0.04)


def test_blocks_with_labels_are_taken_as_they_are(tiny_base: Base) -> None:
    rows = [(torch.tensor([1, 2]), torch.tensor([IGNORED, 3])), (torch.tensor([4, 5]), torch.tensor([6, IGNORED]))]
    batch = Masking(tiny_base)(rows)  # type: ignore[arg-type]
    assert batch["input_ids"].tolist() == [[1, 2], [4, 5]]
    assert batch["labels"].tolist() == [[IGNORED, 3], [6, IGNORED]]


def test_a_head_is_trained_on_frozen_everything(tiny_base: Base, text: Path, tmp_path: Path) -> None:
    before = snapshot(tiny_base)
    module = train_mlm_head([text, text], base=tiny_base, **OPTIONS)
    assert snapshot(tiny_base) == before
    assert (module.kind, module.role, module.language) == ("head", "head", None)
    assert module.training["heldout_loss"] < module.training["heldout_loss_before"]
    loaded = load_mlm_head(Module.load(module.save(tmp_path / "trained")), tiny_base)
    assert loaded.bias.shape == (int(tiny_base.config.vocab_size),)


def test_a_head_that_does_not_fit_is_refused(tiny_base: Base, tiny_xlmr_base: Base, text: Path, head: Module) -> None:
    with pytest.raises(XlrankError, match="was made for base"):
        learned(tiny_xlmr_base, text, head=head)
    for module in (make_adapter(tiny_base, "ky", 1), Module.create({"bias": head.tensors["bias"]}, **vars_of(head))):
        with pytest.raises(XlrankError):
            load_mlm_head(module, tiny_base)


def test_without_a_head_the_commands_that_make_one_are_named(tiny_xlmr_base: Base, text: Path) -> None:
    folder = re.escape(tiny_xlmr_base.name)
    commands = f"`xlrank train head --base {folder} --text FILE --out my/head`, then add `--head my/head`"
    with pytest.raises(XlrankError, match=f"has no prediction head, which the objective mlm needs; train one with {commands}$"):
        learned(tiny_xlmr_base, text)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["BertForPreTraining", "XLMRobertaForMaskedLM"])
def test_a_checkpoints_own_head_is_used(
    kind: str, tied: bool, text: Path, tiny_bert_folder: Path, tiny_xlmr_folder: Path, tmp_path: Path
) -> None:
    source = tiny_bert_folder if kind.startswith("Bert") else tiny_xlmr_folder
    theirs = headed_checkpoint(tmp_path / "base", source, kind, tie_word_embeddings=tied)
    base, fresh = load_base(tmp_path / "base"), recipe_named("lora", {"rank": "2"})  # a fresh LoRA changes nothing yet
    with pytest.MonkeyPatch.context() as patch:
        ours, _ = stopped(base, text, patch, recipe=fresh, full_softmax=True)
    ids = torch.tensor([base.tokenizer("the river and the bridge")["input_ids"]])
    labels = torch.where(torch.arange(ids.shape[1]) % 2 == 1, ids, IGNORED)
    with torch.inference_mode():
        found = theirs(ids, torch.ones_like(ids))
        logits = found.prediction_logits if kind.endswith("PreTraining") else found.logits
        expected = torch.nn.functional.cross_entropy(logits[0], labels[0])
        torch.testing.assert_close(ours(ids, labels)["loss"], expected)
    assert learned(base, text, recipe=fresh).training["head"]["name"] == f"{base.name}#mlm"


@pytest.mark.parametrize("length", [7, 65])
def test_blocks_that_the_base_cannot_take_are_refused(tiny_base: Base, text: Path, length: int) -> None:
    for train in (learned, lambda base, text, **options: train_mlm_head([text], base=base, **OPTIONS | options)):
        with pytest.raises(XlrankError, match=f"^training: --length {length}; base .* takes blocks of 8 to 64 word pieces$"):
            train(tiny_base, text, length=length)


def test_a_tokenizer_without_mask_token_is_refused(tiny_bert_folder: Path) -> None:
    base = load_base(tiny_bert_folder)
    base.tokenizer.mask_token = None
    with pytest.raises(XlrankError, match="its tokenizer has no mask token, which the objective mlm needs"):
        Masking(base)


def vars_of(module: Module) -> dict[str, Any]:
    return {name: getattr(module, name) for name in ("name", "kind", "role", "language", "base", "config")}


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_not_finite_stops_the_run(
    text: Path, tiny_base: Base, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: MaskedLanguageModel, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": sum(p.sum() for p in self.parameters() if p.requires_grad) * float(value)}  # type: ignore[dict-item]

    monkeypatch.setattr(MaskedLanguageModel, "forward", broken)
    with pytest.raises(XlrankError, match="training: the loss is"):
        learned(tiny_base, text)


def test_training_does_not_delete_what_lies_in_its_work_folder(tiny_base: Base, text: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    learned(tiny_base, text, work=tmp_path)
    assert (tmp_path / "precious").is_file()
