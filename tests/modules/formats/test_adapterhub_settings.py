from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xlrank.bases import Base

from . import adapterhub_files as files
from .adapterhub_files import adapter, card, invertible, loaded, refused, same, save, unusual


@pytest.mark.parametrize(
    ("written", "version", "expected"),
    [
        ("gelu", "adapters.1.3.0", "gelu"),
        ("gelu", "3.2.1", "gelu"),
        ("gelu", None, "gelu_new"),
        ("gelu_orig", None, "gelu"),
        ("GELU_new", "adapters.1.3.0", "gelu_new"),
        ("LeakyReLU", None, "leakyrelu"),
        ("tanh", None, "tanh"),
    ],
)
def test_reads_activations(tmp_path: Path, tiny_bert: Base, written: str, version: str | None, expected: str) -> None:
    folder = save(tmp_path, adapter(), card({"non_linearity": written}, version=version))
    assert loaded(folder, tiny_bert).config["non_linearity"] == expected


LEGACY = {
    "adapter_residual_before_ln": False,
    "invertible_adapter": {"block_type": "nice", "non_linearity": "gelu", "reduction_factor": 2},
    "attention_type": "sent-lvl-dynamic",
    "new_attention_norm": False,
    "ln_after": False,
    "ln_before": False,
    "mh_adapter": True,
    "non_linearity": "gelu",
    "original_ln_after": True,
    "original_ln_before": True,
    "output_adapter": True,
    "reduction_factor": 4,
    "residual_before_ln": True,
}


def legacy(kind: str) -> dict[str, Tensor]:
    attention = adapter(places=("attention.output",), modules=f"attention_text_{kind}_adapters")
    return attention | adapter(modules=f"layer_text_{kind}_adapters")


def test_reads_version_1(tmp_path: Path, tiny_bert: Base) -> None:
    fields = {"config": LEGACY, "version": None}
    tensors = legacy("lang") | invertible(modules="invertible_lang_adapters")
    module = loaded(save(tmp_path / "lang", tensors, card(**fields, type="text_lang")), tiny_bert)
    assert module.config["invertible"] is True and module.config["non_linearity"] == "gelu_new"
    assert same(module, "invertible.F.0.bias", tensors["bert.invertible_lang_adapters.rank.F.0.bias"])
    task = save(tmp_path / "task", legacy("task"), card(**fields, type="text_task"))
    assert loaded(task, tiny_bert).config["invertible"] is False
    bare = save(tmp_path / "bare", legacy("lang"), card(**fields, type="text_lang"))
    refused(bare, tiny_bert, "8 of 32 tensors", "invertible.F.0.bias")
    part = dict(list(invertible(modules="invertible_lang_adapters").items())[:3])
    refused(save(tmp_path / "part", legacy("task") | part, card(**fields, type="text_task")), tiny_bert, "5 of 32 tensors")
    other = {**LEGACY, "invertible_adapter": {"block_type": "nice", "non_linearity": "relu", "reduction_factor": 2}}
    refused(save(tmp_path / "other", tensors, card(config=other, type="text_lang")), tiny_bert, "another 'non_linearity'")
    other["invertible_adapter"] = "nice"
    refused(
        save(tmp_path / "text", tensors, card(config=other, type="text_lang")),
        tiny_bert,
        "'invertible_adapter' must be an object",
    )


@pytest.mark.parametrize(
    ("name", "tensors", "expected"),
    [
        ("pfeiffer", adapter(sizes=(1, 1, 1)), {"reduction_factor": 16, "non_linearity": "relu", "invertible": False}),
        ("seq_bn_inv", adapter(sizes=(1, 1, 1)) | invertible(), {"invertible": True, "invertible_reduction_factor": 2}),
        ("pfeiffer+inv", adapter(sizes=(1, 1, 1)) | invertible(), {"reduction_factor": 16, "invertible": True}),
        (
            "houlsby",
            adapter(sizes=(1, 1, 1), places=("output", "attention.output")),
            {"attention": True, "non_linearity": "swish", "original_ln_before": False},
        ),
        (
            "par_bn",
            adapter(sizes=(4, 4, 4)),
            {"reduction_factor": 2, "parallel": True, "scaling": 4.0, "original_ln_before": False},
        ),
        ("seq_bn", adapter(sizes=(1, 1, 1)), {"reduction_factor": 16}),
    ],
)
def test_reads_configurations_by_name(
    tmp_path: Path, tiny_bert: Base, name: str, tensors: dict[str, Tensor], expected: dict[str, Any]
) -> None:
    module = loaded(save(tmp_path, tensors, card(name)), tiny_bert)
    assert {key: module.config[key] for key in expected} == expected


def test_takes_the_librarys_defaults_for_missing_settings(tmp_path: Path, tiny_bert: Base) -> None:
    required = {key: files.SEQ_BN[key] for key in ("mh_adapter", "output_adapter", "non_linearity", "reduction_factor")}
    module = loaded(save(tmp_path / "a", adapter(), card(config=required)), tiny_bert)
    assert unusual(module) == {"original_ln_before": False}  # BnConfig's default, not pfeiffer's
    none = {**card(), "config": None}
    assert loaded(save(tmp_path / "b", adapter(sizes=(1, 1, 1)), none), tiny_bert).config["reduction_factor"] == 16
    for key in required:
        lacking = {other: value for other, value in required.items() if other != key}
        refused(save(tmp_path / key, adapter(), card(config=lacking)), tiny_bert, "lacks", repr(key))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"use_gating": True}, "'use_gating'"),
        ({"cross_adapter": True}, "'cross_adapter'"),
        ({"inv_adapter": "glow", "inv_adapter_reduction_factor": 2}, "'glow'"),
        ({"inv_adapter": "nice", "inv_adapter_reduction_factor": 0}, "'inv_adapter_reduction_factor'"),
        ({"scaling": "learned"}, "'scaling'"),
        ({"scaling": "channel"}, "'scaling'"),
        ({"scaling": True}, "'scaling'"),
        ({"scaling": float("nan")}, "'scaling'"),
        ({"reduction_factor": 0}, "'reduction_factor'"),
        ({"reduction_factor": -4}, "'reduction_factor'"),
        ({"reduction_factor": 1e-320}, "'reduction_factor'"),
        ({"reduction_factor": 10**400}, "'reduction_factor'"),
        ({"reduction_factor": float("inf")}, "'reduction_factor'"),
        ({"reduction_factor": None}, "'reduction_factor'"),
        ({"reduction_factor": {"0": 4, "1": 4}}, "no value for layer 2"),
        ({"reduction_factor": {"default": "4"}}, "'reduction_factor.default'"),
        ({"non_linearity": "selu"}, "'selu'"),
        ({"non_linearity": "prelu"}, "'prelu'"),
        ({"non_linearity": None}, "None"),
        ({"leave_out": "12"}, "'leave_out'"),
        ({"leave_out": [True]}, "'leave_out'"),
        ({"ln_before": 1}, "'ln_before'"),
        ({"original_ln_before": None}, "'original_ln_before'"),
        ({"residual_before_ln": "after"}, "'residual_before_ln'"),
        ({"residual_before_ln": "post_add", "original_ln_before": False}, "'residual_before_ln'"),
        ({"frobnicate": 3}, "'frobnicate'"),
        ({"architecture": "something_new"}, "'something_new'"),
        ("scaled_par_bn", "'scaled_par_bn'"),
        ("seq_bn[reduction_factor=4]", "'seq_bn[reduction_factor=4]'"),
        ([], "must be an object or a name"),
    ],
)
def test_refuses_settings_that_change_the_maths(tmp_path: Path, tiny_bert: Base, settings: object, word: str) -> None:
    refused(save(tmp_path, adapter(), card(settings)), tiny_bert, "adapter_config.json", word)


def test_ignores_settings_of_training_only(tmp_path: Path, tiny_bert: Base) -> None:
    settings = {"stochastic_depth": 0.5, "dropout": 0.3, "init_weights": "mam_adapter", "unknown": None, "leave_out": None}
    assert not unusual(loaded(save(tmp_path, adapter(), card(settings)), tiny_bert))


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"architecture": "lora", "r": 8, "composition_mode": "add"}, "is LoRA as"),
        ({"architecture": "lora", "r": 1, "composition_mode": "scale", "init_weights": "ia3"}, "is (IA)^3 as"),
        ({"architecture": "lora", "use_dora": True, "init_weights": "lora"}, "is DoRA as"),
        ({"architecture": "lora", "use_dora": True, "init_weights": "vera"}, "is DVoRA as"),
        ({"architecture": "lora", "init_weights": "vera"}, "is VeRA as"),
        ({"architecture": "prefix_tuning"}, "is prefix tuning as"),
        ({"architecture": "prompt_tuning"}, "is prompt tuning as"),
        ({"architecture": "reft"}, "is ReFT as"),
        ({"architecture": "union", "configs": []}, "is a union of several methods as"),
        ({"phm_layer": True, "mh_adapter": True}, "is Compacter as"),
        ({"phm_layer": True}, "is Compacter++ as"),
        ("compacter", "is Compacter as"),
        ("lora[r=16]", "is LoRA as"),
        ("mam", "is Mix-and-Match as"),
    ],
)
def test_other_methods_are_refused_by_name_before_their_weights_are_read(
    tmp_path: Path, tiny_bert: Base, settings: object, method: str
) -> None:
    folder = save(tmp_path, {"bert.encoder.layer.0.attention.self.query.loras.rank.lora_A": torch.zeros(2, 8)}, card(settings))
    refused(folder, tiny_bert, f"{method} AdapterHub saves it", "expected a bottleneck adapter")


def test_the_name_of_bottleneck_adapters_is_no_other_method(tmp_path: Path, tiny_bert: Base) -> None:
    plain, named = save(tmp_path / "a", adapter(), card()), save(tmp_path / "b", adapter(), card({"architecture": "bottleneck"}))
    assert loaded(plain, tiny_bert).config == loaded(named, tiny_bert).config
