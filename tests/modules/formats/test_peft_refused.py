import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.modules.formats.peft import read, write

from .peft_files import CONFIG, OLD_WEIGHTS, QUERY, START, WEIGHTS, linear, pair, queries, save
from .tiny import HIDDEN, WORDS, Code, made, make_bert, make_xlmr, random, refused


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bare"), pooler=False)


@pytest.fixture(scope="module")
def xlmr(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_xlmr(tmp_path_factory.mktemp("xlmr"))


def test_refuses_to_write_what_the_format_cannot_hold(tmp_path: Path, base: Base, xlmr: Base) -> None:
    layer = QUERY.format(0)
    down, up = {f"A.{layer}": random(2, HIDDEN)}, {f"B.{layer}": random(HIDDEN, 2)}
    head = {"head.out.weight": random(1, HIDDEN), "head.out.bias": random(1)}
    with refused("made", "not for"):
        write(made(base, down | up, "lora"), tmp_path, xlmr)
    with refused("made", "kind 'mask'"):
        write(made(base, {}, "mask"), tmp_path, base)
    with refused("made", "no place for tensor 'index.x'"):
        write(made(base, {"index.x": torch.ones(1)}, "lora"), tmp_path, base)
    with refused("made", "not for the same layers"):
        write(made(base, down, "lora"), tmp_path, base)
    with refused("made", "not for the same layers"):
        write(made(base, down | up, "lora", scaling={"x": 1.0}), tmp_path, base)
    with refused("made", "not for the same layers"):
        write(made(base, head, "lora"), tmp_path, base)
    with refused("made", "'match' pooling"):
        write(made(base, down | up | head, "lora", pooling="match"), tmp_path, base)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"use_dora": True}, "'use_dora' is set"),
        ({"fan_in_fan_out": True}, "'fan_in_fan_out' is set"),
        ({"lora_bias": True}, "'lora_bias' is set"),
        ({"megatron_config": {"a": 1}}, "'megatron_config' is set"),
        ({"trainable_token_indices": [1]}, "'trainable_token_indices' is set"),
        ({"target_parameters": ["a"]}, "'target_parameters' is set"),
        ({"alora_invocation_tokens": [1]}, "'alora_invocation_tokens' is set"),
        ({"layer_replication": [[0, 1]]}, "'layer_replication' is set"),
        ({"use_qalora": True}, "'use_qalora' is set"),
        ({"use_bdlora": {"nblocks": 2}}, "'use_bdlora' is set"),
        ({"some_new_variant": "yes"}, "'some_new_variant' is set"),
        ({"bias": "all"}, "'bias' is not 'none'"),
        ({"bias": "lora_only"}, "'bias' is not 'none'"),
        ({"init_lora_weights": "pissa_niter_4"}, "'pissa_niter_4' changes the base's weights"),
        ({"init_lora_weights": "loftq"}, "changes the base's weights"),
        ({"init_lora_weights": []}, "changes the base's weights"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3'"),
        ({"peft_type": None}, "peft_type is 'None'"),
        ({"r": 0}, "'r' is not a positive whole number"),
        ({"r": 2.0}, "'r' is not a positive whole number"),
        ({"r": True}, "'r' is not a positive whole number"),
        ({"lora_alpha": "8"}, "'lora_alpha' is not a number"),
        ({"lora_alpha": float("nan")}, "'lora_alpha' is not a number"),
        ({"lora_alpha": float("inf")}, "'lora_alpha' is not a number"),
        ({"alpha_pattern": ["a"]}, "'alpha_pattern' is not a mapping"),
        ({"alpha_pattern": {"a": None}}, "'alpha_pattern' is not a number"),
        ({"alpha_pattern": {"(?!a)": 1}}, "cannot follow the pattern '(?!a)'"),
        ({"alpha_pattern": {"(a": 1}}, "cannot follow the pattern '(a'"),
        ({"rank_pattern": {str(i): 1 for i in range(2000)}}, "'rank_pattern' is not a mapping of at most"),
        ({"rank_pattern": {"query": -1}}, "'rank_pattern' is not a positive"),
        ({"target_modules": [1]}, "'target_modules' is not a list of module names"),
        ({"exclude_modules": {"a": 1}}, "'exclude_modules' is not a list of module names"),
        ({"layers_to_transform": ["0"]}, "'layers_to_transform' is not layer numbers"),
        ({"target_modules": ["value"]}, "which adapter_config.json does not name"),
        ({"target_modules": r".*layer\.0.*"}, "which adapter_config.json does not name"),
        ({"exclude_modules": ["query"]}, "which adapter_config.json does not name"),
        ({"exclude_modules": ".*1.*"}, "which adapter_config.json does not name"),
        ({"layers_to_transform": 0}, "which adapter_config.json does not name"),
    ],
)
def test_refuses_settings_that_are_no_plain_lora(tmp_path: Path, base: Base, settings: dict[str, Any], problem: str) -> None:
    with refused(str(tmp_path), problem):
        read(save(tmp_path, queries(), **settings), base, role="language")


def bad(*drop: str, **add: Tensor) -> dict[str, Tensor]:
    tensors = queries() | {f"{START}{name}": tensor for name, tensor in add.items()}
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(drop or ("-",))}


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({}, "holds no LoRA weights"),
        (linear("classifier", 1), "holds no LoRA weights"),
        (bad("1.attention.self.query.lora_B.weight"), "only one of lora_A and lora_B"),
        (bad("1.attention.self.query.lora_A.weight"), "only one of lora_A and lora_B"),
        (bad(**{"bert." + QUERY.format(1) + ".lora_B.weight": torch.ones(HIDDEN, 3)}), "have different ranks"),
        (bad(**{"bert." + QUERY.format(1) + ".lora_magnitude_vector": torch.ones(HIDDEN)}), "belongs to a variant"),
        (bad(**{"bert." + QUERY.format(1) + ".lora_B.bias": torch.ones(HIDDEN)}), "belongs to a variant"),
        (bad(**{"bert." + QUERY.format(1) + ".lora_A.default.weight": torch.ones(2, HIDDEN)}), "belongs to a variant"),
        (bad(**{"bert.embeddings.word_embeddings.lora_embedding_A": torch.ones(2, WORDS)}), "belongs to a variant"),
        (bad(**{"bert.embeddings.word_embeddings.lora_A.weight": torch.ones(2, WORDS)}), "for no linear layer"),
        (bad(**{"classifier.lora_A.weight": torch.ones(2, HIDDEN)}), "for no linear layer"),
        (pair(QUERY.format(7)), "for no linear layer"),
        (pair(QUERY.format(0), sizes=(48, 48)), "has shape [2, 48], expected [rank, 8]"),
        (pair(QUERY.format(0), sizes=(48, HIDDEN)), "has shape [48, 2], expected [8, rank]"),
        (pair(QUERY.format(0), rank=0), "has shape [0, 8], expected [rank, 8]"),
        (bad(**{"bert." + QUERY.format(0) + ".lora_A.weight": torch.ones(HIDDEN)}), "has shape [8]"),
        (bad(**{"bert." + QUERY.format(0) + ".lora_A.weight": torch.ones(2, HIDDEN).int()}), "no floating values"),
        (bad(**{"bert." + QUERY.format(0) + ".lora_A.weight": torch.full((2, HIDDEN), math.nan)}), "NaN"),
        (bad(**{"bert." + QUERY.format(0) + ".bias": torch.ones(HIDDEN)}), "both adapted and saved whole"),
        (bad(**{"bert." + QUERY.format(0) + ".base_layer.bias": torch.ones(HIDDEN)}), "is no parameter of base"),
        (bad(**{"score.weight": torch.ones(1, HIDDEN)}), "is no parameter of base"),
        (bad(**{"bert.pooler.dense.bias": torch.ones(HIDDEN + 1)}), "has shape [9], expected [8]"),
        (bad(**{"classifier.weight": torch.ones(1, HIDDEN)}), "not a whole head"),
        (bad() | linear("classifier", 3), "has 3 labels"),
        (bad() | pair(QUERY.format(0), ""), "twice"),
        ({"bert.pooler.dense.bias": torch.ones(HIDDEN)}, "does not start with 'base_model.model.'"),
    ],
)
def test_refuses_weights_that_do_not_fit(tmp_path: Path, base: Base, tensors: dict[str, Tensor], problem: str) -> None:
    with refused(WEIGHTS, problem):
        read(save(tmp_path, tensors), base, role="ranking")


def test_refuses_a_head_without_the_pooler_it_needs(tmp_path: Path, bare: Base) -> None:
    with refused("classifier and pooler are not a whole head"):
        read(save(tmp_path, queries() | linear("classifier", 1)), bare, role="ranking")


def test_refuses_missing_and_damaged_files(tmp_path: Path, base: Base) -> None:
    folder = save(tmp_path, queries())
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:90])
    with refused(WEIGHTS, "is damaged"):
        read(folder, base, role="language")
    (folder / WEIGHTS).unlink()
    with refused(f"holds neither {WEIGHTS} nor {OLD_WEIGHTS}"):
        read(folder, base, role="language")
    (folder / CONFIG).unlink()
    with refused(CONFIG, "cannot be read"):
        read(folder, base, role="language")


def test_runs_no_code_and_opens_no_pickle_beside_safetensors(tmp_path: Path, base: Base) -> None:
    folder, marker = save(tmp_path / "lora", {**queries(), "x": Code(tmp_path / "pwned")}, OLD_WEIGHTS), tmp_path / "pwned"  # type: ignore[dict-item]
    with refused(OLD_WEIGHTS, "holds code"):
        read(folder, base, role="language")
    save(folder, queries())
    assert len(read(folder, base, role="language").tensors) == 4
    assert not marker.exists()
