import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from xlrank.bases import Base
from xlrank.modules.formats.peft import read, write

from .peft_files import CONFIG, OLD_WEIGHTS, OUTPUT, QUERY, START, WEIGHTS, linear, pair, queries, save
from .tiny import HIDDEN, INNER, WORDS, made, make_bert, make_xlmr, random, refused


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bare"), pooler=False)


@pytest.fixture(scope="module")
def xlmr(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_xlmr(tmp_path_factory.mktemp("xlmr"))


@pytest.mark.parametrize("file", [WEIGHTS, OLD_WEIGHTS])
@pytest.mark.parametrize("prefix", ["bert.", ""])
def test_reads_both_files_with_and_without_prefix(tmp_path: Path, base: Base, file: str, prefix: str) -> None:
    tensors = queries(prefix) | pair(OUTPUT, prefix, sizes=(HIDDEN, INNER)) | linear("classifier", 1)
    module = read(save(tmp_path / "lora", tensors, file), base, role="ranking")
    assert torch.equal(module.tensors[f"A.{OUTPUT}"], tensors[f"{START}{prefix}{OUTPUT}.lora_A.weight"])
    assert torch.equal(module.tensors[f"B.{OUTPUT}"], tensors[f"{START}{prefix}{OUTPUT}.lora_B.weight"])
    assert torch.equal(module.tensors["head.out.bias"], tensors[f"{START}classifier.bias"])
    assert len(module.tensors) == 8
    layers = [QUERY.format(0), QUERY.format(1), OUTPUT]
    assert module.config == {"scaling": dict.fromkeys(layers, 4.0), "rank": 2, "pooling": "cls"}
    assert (module.kind, module.role, module.name) == ("lora", "ranking", str(tmp_path / "lora"))


def test_reads_without_a_head(tmp_path: Path, base: Base) -> None:
    tensors = {name: tensor.bfloat16() for name, tensor in queries().items()}
    module = read(save(tmp_path, tensors, modules_to_save=None, task_type=None), base, role="language", language="ky", name="ky")
    assert module.config == {"scaling": {QUERY.format(i): 4.0 for i in range(2)}, "rank": 2}
    assert (module.name, module.language) == ("ky", "ky")
    assert all(tensor.dtype == torch.float32 for tensor in module.tensors.values())


@pytest.mark.parametrize(
    ("settings", "scaling"),
    [
        ({}, [4, 4, 4]),
        ({"lora_alpha": 3}, [1.5, 1.5, 1.5]),
        ({"use_rslora": True}, [8 / math.sqrt(2)] * 3),
        ({"alpha_pattern": {"query": 2}}, [1, 1, 4]),
        ({"alpha_pattern": {"uery": 2, "se.*": 2}}, [1, 1, 4]),  # an end of the name, but only after a dot
        ({"alpha_pattern": {"self": 2, "bert": 2, "encoder.layer.0": 2}}, [4, 4, 4]),
        ({"alpha_pattern": {r"layer\.[1-9].*": 2, r".*\.(query|key)": 6}}, [3, 1, 4]),
        ({"alpha_pattern": {"^bert.encoder.layer.0.attention.self.query": 2}}, [1, 4, 4]),
        ({"alpha_pattern": {"^encoder.layer.0.attention.self.query": 2}}, [4, 4, 4]),
        ({"alpha_pattern": {"output.dense": 0.5, "dense": 7}}, [4, 4, 0.25]),
        ({"alpha_pattern": {"query": 0}}, [0, 0, 4]),
        ({"target_modules": "all-linear"}, [4, 4, 4]),
        ({"target_modules": r".*\.(query|output\.dense)"}, [4, 4, 4]),
        ({"target_modules": r"(?!x).*"}, [4, 4, 4]),  # not followed: the weights decide
        ({"target_modules": None, "exclude_modules": ["key"]}, [4, 4, 4]),
        ({"layers_to_transform": [0, 1], "layers_pattern": "layer"}, [4, 4, 4]),
        ({"init_lora_weights": "gaussian", "exclude_modules": r".*value"}, [4, 4, 4]),
    ],
)
def test_scaling_follows_the_settings(tmp_path: Path, base: Base, settings: dict[str, Any], scaling: list[float]) -> None:
    tensors = queries() | pair(OUTPUT, sizes=(HIDDEN, INNER))
    module = read(save(tmp_path, tensors, **settings), base, role="language")
    assert [module.config["scaling"][layer] for layer in (QUERY.format(0), QUERY.format(1), OUTPUT)] == pytest.approx(scaling)


def test_ranks_may_differ(tmp_path: Path, base: Base) -> None:
    tensors = queries() | pair(OUTPUT, rank=3, sizes=(HIDDEN, INNER))
    settings: dict[str, Any] = {"rank_pattern": {"output.dense": 3}, "use_rslora": True}
    module = read(save(tmp_path, tensors, **settings), base, role="language")
    assert module.config["rank"] == {QUERY.format(0): 2, QUERY.format(1): 2, OUTPUT: 3}
    assert module.config["scaling"][OUTPUT] == 8 / math.sqrt(3)
    with refused(WEIGHTS, "has rank 3, but adapter_config.json says 2"):
        read(save(tmp_path, tensors), base, role="language")


def test_reads_modules_saved_whole(tmp_path: Path, base: Base, bare: Base, xlmr: Base) -> None:
    pooler, head = linear("bert.pooler.dense", HIDDEN), linear("classifier", 2)
    tensors = queries() | pooler | head | {f"{START}bert.embeddings.LayerNorm.bias": random(HIDDEN)}
    module = read(save(tmp_path, tensors), base, role="ranking")
    assert {"absolute.pooler.dense.weight", "absolute.embeddings.LayerNorm.bias", "head.out.weight"} <= set(module.tensors)
    assert "head.dense.weight" in read(save(tmp_path, queries() | pooler | head), bare, role="ranking").tensors
    tensors = queries("roberta.") | linear("classifier.dense", HIDDEN) | linear("classifier.out_proj", 1)
    module = read(save(tmp_path, tensors), xlmr, role="ranking")
    assert {"head.dense.bias", "head.out.bias"} <= set(module.tensors)
    tensors = queries() | {f"{START}cls.predictions.bias": random(WORDS)}
    assert "absolute.cls.predictions.bias" in read(save(tmp_path, tensors), base, role="language").tensors


@pytest.mark.parametrize("architecture", ["bert", "bare", "xlmr", "language"])
def test_reads_what_it_writes(tmp_path: Path, base: Base, bare: Base, xlmr: Base, architecture: str) -> None:
    on, prefix = {"bert": (base, "bert."), "bare": (bare, "bert."), "xlmr": (xlmr, "roberta."), "language": (base, "bert.")}[
        architecture
    ]
    tensors = queries(prefix) | pair(OUTPUT, prefix, rank=3, sizes=(HIDDEN, INNER))
    if architecture == "xlmr":
        tensors |= linear("classifier.dense", HIDDEN) | linear("classifier.out_proj", 1)
    elif architecture == "language":
        tensors |= linear("cls.predictions.transform.dense", HIDDEN)
    else:
        tensors |= linear("classifier", 1) | linear("bert.pooler.dense", HIDDEN)
    settings: dict[str, Any] = {"rank_pattern": {"dense": 3}, "alpha_pattern": {".*1.*": 5, "dense": 0.3}}
    module = read(save(tmp_path / "in", tensors, **settings), on, role="ranking", name="lora")
    write(module, tmp_path / "out", on)
    again = read(tmp_path / "out", on, role="ranking", name="lora")
    assert again.sha256 == module.sha256 and {**again.config, "scaling": 0} == {**module.config, "scaling": 0}
    assert again.config["scaling"] == pytest.approx(module.config["scaling"])
    written = load_file(tmp_path / "out" / WEIGHTS)
    assert written.keys() == tensors.keys() and all(torch.equal(written[name], tensor) for name, tensor in tensors.items())
    settings = json.loads((tmp_path / "out" / CONFIG).read_text())
    assert settings["r"] == 2 and settings["rank_pattern"] == {OUTPUT: 3} and settings["peft_type"] == "LORA"
    assert settings["target_modules"] == sorted([QUERY.format(0), QUERY.format(1), OUTPUT])
    saved = {"bert": ["bert.pooler.dense", "classifier"], "bare": ["bert.pooler.dense", "classifier"], "xlmr": ["classifier"]}
    assert settings["modules_to_save"] == saved.get(architecture, ["cls.predictions.transform.dense"])
    assert settings["task_type"] == (None if architecture == "language" else "SEQ_CLS")


def test_writes_modules_whole(tmp_path: Path, base: Base) -> None:
    """The base's values go along with the replaced ones of the same module: peft loads no parts."""
    norm, words, bias = "bert.embeddings.LayerNorm.", "bert.embeddings.word_embeddings.weight", random(WORDS)
    tensors = queries() | {f"{START}cls.predictions.bias": bias, f"{START}{norm}bias": random(HIDDEN)}
    write(read(save(tmp_path / "in", tensors), base, role="language"), tmp_path / "out", base)
    written = {name.removeprefix(START): tensor for name, tensor in load_file(tmp_path / "out" / WEIGHTS).items()}
    own = {f"bert.{name}": parameter for name, parameter in base.encoder.named_parameters()}
    decoder = "cls.predictions.decoder."
    assert {name for name in written if "lora" not in name} == {f"{s}{p}" for s in (norm, decoder) for p in ("weight", "bias")}
    assert torch.equal(written[f"{norm}weight"], own[f"{norm}weight"])
    assert torch.equal(written[f"{decoder}weight"], own[words]) and torch.equal(written[f"{decoder}bias"], bias)
    settings = json.loads((tmp_path / "out" / CONFIG).read_text())
    assert settings["modules_to_save"] == ["bert.embeddings.LayerNorm", "cls.predictions.decoder"]
    again = read(tmp_path / "out", base, role="language")
    assert torch.equal(again.tensors["absolute.cls.predictions.bias"], bias)
    assert "absolute.cls.predictions.decoder.bias" not in again.tensors


def test_refuses_to_write_parts_that_the_base_cannot_complete(tmp_path: Path, base: Base) -> None:
    tensors = queries() | {f"{START}cls.predictions.transform.dense.bias": random(HIDDEN)}
    module = read(save(tmp_path / "in", tensors), base, role="language")
    with refused("needs 'cls.predictions.transform.dense.weight'", "has none"):
        write(module, tmp_path / "out", base)


def test_writes_one_scaling_for_all_layers(tmp_path: Path, base: Base) -> None:
    layer = QUERY.format(0)
    module = made(base, {f"A.{layer}": random(4, HIDDEN), f"B.{layer}": random(HIDDEN, 4)}, "lora", scaling=0.5)
    write(module, tmp_path, base)
    assert read(tmp_path, base, role="ranking").config == {"scaling": {layer: 0.5}, "rank": 4}
