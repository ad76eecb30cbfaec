import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from xlrank.bases import Base
from xlrank.modules.formats.cross_encoder import CONFIG, OLD_WEIGHTS, WEIGHTS, read

from .tiny import HIDDEN, SIZES, make_bert, make_xlmr, random, refused

Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]
LAYER_NORM = "bert.embeddings.LayerNorm"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def xlmr(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_xlmr(tmp_path_factory.mktemp("xlmr"))


def bert(folder: Path, labels: int = 1) -> tuple[Path, dict[str, Tensor]]:
    """A folder as transformers saves it, and its weights."""
    torch.manual_seed(3)
    BertForSequenceClassification(BertConfig(**SIZES, num_labels=labels)).save_pretrained(folder)
    return folder, load_file(folder / WEIGHTS)


def saved(folder: Path, tensors: dict[str, Tensor], file: str = WEIGHTS) -> Path:
    """The folder with other weights."""
    (folder / WEIGHTS).unlink(missing_ok=True)
    if file == WEIGHTS:
        save_file(tensors, folder / file)
    else:
        torch.save(tensors, folder / file)
    return folder


def configured(folder: Path, **settings: object) -> Path:
    """The folder with other settings."""
    values = json.loads((folder / CONFIG).read_text()) | settings
    (folder / CONFIG).write_text(json.dumps(values))
    return folder


@pytest.mark.parametrize("labels", [1, 2])
@pytest.mark.parametrize("form", ["safetensors", "bin", "no prefix", "old names"])
def test_reads_a_bert(tmp_path: Path, base: Base, labels: int, form: str) -> None:
    folder, weights = bert(tmp_path / "mono", labels)
    changed = dict(weights)
    if form == "no prefix":
        changed = {name.removeprefix("bert."): tensor for name, tensor in weights.items()}
    elif form == "old names":
        changed = {
            n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
            for n, t in weights.items()
        }
        changed["bert.embeddings.position_ids"] = torch.arange(20)[None]
    module = read(saved(folder, changed, WEIGHTS if form == "safetensors" else OLD_WEIGHTS), base)
    expected = {name.removeprefix("bert."): tensor for name, tensor in weights.items() if not name.startswith("classifier")}
    expected |= {"head.out.weight": weights["classifier.weight"], "head.out.bias": weights["classifier.bias"]}
    assert module.tensors.keys() == expected.keys()
    assert all(torch.equal(module.tensors[name], tensor) for name, tensor in expected.items())
    assert {name for name in expected if not name.startswith("head.")} == {name for name, _ in base.encoder.named_parameters()}
    assert (module.kind, module.role, module.language, module.name) == ("full", "ranking", None, str(folder))
    assert module.config == {"values": "absolute", "pooling": "cls"}


def test_a_base_without_pooler_gets_the_head_s_own(tmp_path: Path) -> None:
    folder, weights = bert(tmp_path / "mono")
    module = read(folder, make_bert(tmp_path / "bare", pooler=False), name="mono")
    assert torch.equal(module.tensors["head.dense.weight"], weights["bert.pooler.dense.weight"])
    assert "pooler.dense.weight" not in module.tensors and module.name == "mono"


def test_reads_an_xlm_r(tmp_path: Path, xlmr: Base) -> None:
    config = XLMRobertaConfig(**SIZES, pad_token_id=1, num_labels=1)
    XLMRobertaForSequenceClassification(config).save_pretrained(tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    weights["roberta.pooler.dense.bias"] = random(HIDDEN)  # as old versions saved it, unused
    module = read(saved(tmp_path, weights), xlmr)
    assert torch.equal(module.tensors["head.dense.weight"], weights["classifier.dense.weight"])
    assert torch.equal(module.tensors["head.out.bias"], weights["classifier.out_proj.bias"])
    assert not any(name.startswith("pooler.") for name in module.tensors)
    assert {name for name in module.tensors if not name.startswith("head.")} == {
        name for name, _ in xlmr.encoder.named_parameters()
    }


def test_half_precision_becomes_float32(tmp_path: Path, base: Base) -> None:
    folder, weights = bert(tmp_path)
    module = read(saved(folder, {name: tensor.half() for name, tensor in weights.items()}), base)
    assert all(tensor.dtype == torch.float32 for tensor in module.tensors.values())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"model_type": "roberta"}, "expected ['BertForSequenceClassification']"),
        ({"architectures": ["BertForMaskedLM"]}, "is of ['BertForMaskedLM']"),
        ({"architectures": 3}, "is of 3"),
        ({"hidden_size": 48}, "hidden_size is 48, but 8 in base"),
        ({"num_hidden_layers": 3}, "num_hidden_layers is 3, but 2"),
        ({"num_attention_heads": 4}, "num_attention_heads is 4, but 2"),
        ({"hidden_act": "relu"}, "hidden_act is relu, but gelu"),
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps is 1e-05, but 1e-12"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "has 3 labels"),
        ({"id2label": None, "num_labels": "many"}, "has many labels"),
        ({"id2label": {"0": "a", "1": "b"}}, "has no classifier for the 2 labels"),
    ],
)
def test_refuses_models_of_another_kind(tmp_path: Path, base: Base, settings: dict[str, Any], problem: str) -> None:
    with refused(str(tmp_path), problem):
        read(configured(bert(tmp_path)[0], **settings), base)


def test_settings_may_leave_the_defaults_out(tmp_path: Path, base: Base) -> None:
    folder = configured(bert(tmp_path, 2)[0], architectures=None)
    values = json.loads((folder / CONFIG).read_text())
    kept = {key: value for key, value in values.items() if key in ("model_type", *SIZES)}
    (folder / CONFIG).write_text(json.dumps(kept))
    assert len(read(folder, base).tensors["head.out.bias"]) == 2


def test_refuses_more_labels_than_two(tmp_path: Path, base: Base) -> None:
    with refused(CONFIG, "has 3 labels"):
        read(bert(tmp_path, 3)[0], base)


def without(weights: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if not name.startswith(start)}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda w: without(w, "bert."), "encoder weights"),
        (lambda w: without(w, "bert.pooler."), "lacks 2 encoder weights, 'pooler.dense.bias' among them"),
        (lambda w: without(w, "classifier."), "has no classifier"),
        (lambda w: without(w, "classifier.bias"), "not a whole head"),
        (lambda w: w | {"classifier.weight": random(2, HIDDEN)}, "not a whole head"),
        (lambda w: w | {"bert.encoder.layer.2.output.dense.bias": random(HIDDEN)}, "is no parameter of base"),
        (lambda w: w | {"score.weight": random(1, HIDDEN)}, "is no parameter of base"),
        (lambda w: w | {f"{LAYER_NORM}.weight": random(HIDDEN + 1)}, "has shape [9], expected [8]"),
        (lambda w: w | {f"{LAYER_NORM}.gamma": random(HIDDEN)}, "twice"),
        (lambda w: w | {f"{LAYER_NORM}.weight": torch.ones(HIDDEN).int()}, "no floating values"),
        (lambda w: w | {f"{LAYER_NORM}.weight": torch.full((HIDDEN,), torch.inf)}, "NaN or infinite"),
    ],
)
def test_refuses_weights_that_do_not_fit(tmp_path: Path, base: Base, change: Change, problem: str) -> None:
    folder, weights = bert(tmp_path)
    with refused(WEIGHTS, problem):
        read(saved(folder, change(weights)), base)


def test_weights_in_several_files_are_refused_with_the_reason(tmp_path: Path, base: Base) -> None:
    torch.manual_seed(3)
    BertForSequenceClassification(BertConfig(**SIZES, num_labels=1)).save_pretrained(tmp_path, max_shard_size="2KB")
    reason = "its weights are in several files (model.safetensors.index.json), which modules are not read from; load"
    with refused(str(tmp_path), reason):
        read(tmp_path, base)
    BertForSequenceClassification.from_pretrained(tmp_path).save_pretrained(tmp_path / "one", max_shard_size="100GB")
    assert read(tmp_path / "one", base).kind == "full"


@pytest.mark.parametrize("setting", [{"is_decoder": True}, {"quantization_config": {"quant_method": "gptq"}}])
def test_what_is_computed_otherwise_is_refused(tmp_path: Path, base: Base, setting: dict[str, object]) -> None:
    folder, _ = bert(tmp_path)
    with refused(CONFIG, next(iter(setting))):
        read(configured(folder, **setting), base)


def test_refuses_missing_files(tmp_path: Path, base: Base) -> None:
    folder, _ = bert(tmp_path)
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
    with refused(f"holds neither {WEIGHTS} nor {OLD_WEIGHTS}"):
        read(folder, base)
    (folder / CONFIG).unlink()
    with refused(CONFIG, "cannot be read"):
        read(folder, base)
