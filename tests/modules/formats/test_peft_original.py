"""LoRAs that peft made, read and composed by xlrank, and those that xlrank wrote, loaded by peft: the logits are the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from xlrank.bases import Base
from xlrank.composition import as_composition, average, subtract
from xlrank.composition.model import PredictionModel
from xlrank.composition.plan import plan
from xlrank.modules import Module
from xlrank.modules.formats.peft import read, write
from xlrank.modules.module import Role
from xlrank.ranking.cross import CrossEncoder
from xlrank.ranking.pairs import Batch

from .originals import needs_originals, run_original

pytestmark = needs_originals

DENSE = ["query", "value", "output.dense"]
CASES: dict[str, dict[str, Any]] = {
    "plain": {"lora": {"target_modules": ["query", "value"], "r": 4, "lora_alpha": 8}},
    "head": {"lora": {"target_modules": DENSE, "r": 4, "lora_alpha": 6, "task_type": "SEQ_CLS"}},
    "bin": {"lora": {"target_modules": ["key"], "task_type": "SEQ_CLS"}, "safetensors": False},
    "rslora": {"lora": {"target_modules": DENSE, "r": 3, "lora_alpha": 5, "use_rslora": True, "task_type": "SEQ_CLS"}},
    "patterns": {
        "lora": {
            "target_modules": DENSE,
            "r": 2,
            "rank_pattern": {"output.dense": 3, r"layer\.1\..*\.query": 5},
            "alpha_pattern": {"attention.output.dense": 3, "^bert.encoder.layer.2.output.dense": 20, "value": 1},
            "use_rslora": True,
            "task_type": "SEQ_CLS",
        }
    },
    "ends": {"lora": {"target_modules": DENSE, "rank_pattern": {"dense": 2, "output.dense": 3}, "alpha_pattern": {"uery": 1}}},
    "everywhere": {"lora": {"target_modules": "all-linear", "r": 2, "task_type": "SEQ_CLS"}},
    "expression": {"lora": {"target_modules": r".*\.(query|intermediate\.dense)", "exclude_modules": r".*layer\.1\..*"}},
    "layers": {"lora": {"target_modules": DENSE, "layers_to_transform": [0, 2], "task_type": "SEQ_CLS"}},
    "layer": {"lora": {"target_modules": ["query"], "layers_to_transform": 1, "layers_pattern": "layer"}},
    "whole": {"lora": {"target_modules": ["query"], "modules_to_save": ["classifier", "pooler", "LayerNorm"]}},
    "started": {"lora": {"target_modules": ["query"], "init_lora_weights": "orthogonal", "r": 4, "lora_dropout": 0.5}},
    "bare": {
        "base": "bare",
        "lora": {"target_modules": ["query"], "modules_to_save": ["bert.pooler"], "task_type": "SEQ_CLS"},
    },
    "labels": {"base": "labels", "lora": {"target_modules": ["value"], "task_type": "SEQ_CLS"}},
    "xlmr": {"base": "xlmr", "lora": {"target_modules": DENSE, "task_type": "SEQ_CLS"}},
    "xlmr_everywhere": {
        "base": "xlmr",
        "lora": {"target_modules": "all-linear", "rank_pattern": {"query": 1}, "use_rslora": True, "task_type": "SEQ_CLS"},
    },
    "xlmr_own_head": {"base": "xlmr", "lora": {"target_modules": ["query"], "lora_alpha": 32}, "safetensors": False},
    "language": {"base": "masked", "lora": {"target_modules": ["query", "output.dense"], "modules_to_save": ["transform"]}},
    "tied": {"base": "masked", "lora": {"target_modules": ["query"], "modules_to_save": ["word_embeddings"]}},
    "predictions": {"base": "masked", "lora": {"target_modules": ["query"], "modules_to_save": ["cls"]}},
    "decoder": {"base": "xlmr_masked", "lora": {"target_modules": ["query"], "modules_to_save": ["decoder"]}},
    "xlmr_language": {"base": "xlmr_masked", "lora": {"target_modules": ["query"]}},
}
BASES = {
    "bert": "BertForSequenceClassification",
    "bare": "BertForSequenceClassification",
    "labels": "BertForSequenceClassification",
    "xlmr": "XLMRobertaForSequenceClassification",
    "masked": "BertForMaskedLM",
    "xlmr_masked": "XLMRobertaForMaskedLM",
}
MADE = ("mean", "difference", "first_layer")
"""Modules that xlrank made of those that peft made."""
Exchanged = tuple[Path, dict[str, tuple[Base, Module]]]
IDS = [[2, 7, 9, 3, 11, 12, 3], [2, 5, 3, 20, 3, 1, 1]]
TYPES = [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]]

SCRIPT = """
import json, sys
from pathlib import Path
import peft, torch, transformers
from safetensors.torch import save_file

step, root, (bases, cases, ids, types) = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
sizes = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24,
         "max_position_embeddings": 20, "pad_token_id": 1, "initializer_range": 0.2}


def save_logits(model, path):
    tokens = torch.tensor(ids)
    kinds = torch.tensor(types) % model.config.type_vocab_size
    with torch.no_grad():
        found = model.eval()(input_ids=tokens, attention_mask=(tokens != 1).long(), token_type_ids=kinds).logits
    save_file({"logits": found}, path)


def make_base(name, architecture):
    config = getattr(transformers, architecture.split("For")[0] + "Config")(
        **sizes, num_labels=1 + (name == "labels"), type_vocab_size=1 if "xlmr" in name else 2)
    model = getattr(transformers, architecture)(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    saved = transformers.BertModel(config, add_pooling_layer=False) if name == "bare" else model
    saved.save_pretrained(root / "bases" / name)
    save_logits(model, root / "bases" / name / "own.logits")


torch.manual_seed(0)
if step == "make":
    for name, architecture in bases.items():
        make_base(name, architecture)
for name, case in cases.items():
    model = getattr(transformers, bases[case["base"]]).from_pretrained(root / "bases" / case["base"])
    if step == "make":
        model = peft.get_peft_model(model, peft.LoraConfig(**case["lora"]))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.normal_(0, 0.3)
        model.save_pretrained(root / name / "saved", safe_serialization=case["safetensors"])
    else:
        model = peft.PeftModel.from_pretrained(model, root / name / "written")
    save_logits(model, root / name / step)
"""


def original(step: str, root: Path, bases: dict[str, str]) -> None:
    """Let peft make all cases, or load what xlrank wrote for those and for ``bases``' further ones, by base."""
    cases = {name: {"base": "bert", "safetensors": True} | case for name, case in CASES.items()}
    cases |= {name: {"base": base} for name, base in bases.items()}
    run_original(SCRIPT, step, str(root), json.dumps([BASES, cases, IDS, TYPES]))


def logits_of(base: Base, module: Module) -> Tensor:
    """What xlrank computes with a module on its base."""
    ids, types = torch.tensor(IDS), torch.tensor(TYPES)
    inputs = (ids, (ids != 1).long(), types % base.config.type_vocab_size, ids * 0)
    if module.role == "language":
        return PredictionModel(base, as_composition(module))(*inputs).logits  # type: ignore[no-any-return]
    return CrossEncoder(base).outputs(Batch(*inputs), as_composition(module)).logits


def with_first_layer(module: Module) -> Module:
    """The module with a first layer of its own in its head, where it had the base's pooler."""
    generator = torch.Generator().manual_seed(3)
    hidden = module.tensors["head.out.weight"].shape[1]
    first = {"weight": torch.randn(hidden, hidden, generator=generator), "bias": torch.randn(hidden, generator=generator)}
    kept = {name: getattr(module, name) for name in ("name", "kind", "role", "language", "base", "config")}
    return Module.create({**module.tensors, **{f"head.dense.{name}": tensor for name, tensor in first.items()}}, **kept)


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory: pytest.TempPathFactory) -> Exchanged:
    """What peft saved, xlrank read and wrote, and peft loaded again; with three modules that only xlrank made."""
    root = tmp_path_factory.mktemp("exchanged")
    original("make", root, {})
    modules: dict[str, tuple[Base, Module]] = {}
    for name, case in CASES.items():
        base = Base(str(root / "bases" / case.get("base", "bert")))
        role: Role = "language" if "masked" in base.name else "ranking"
        modules[name] = base, read(root / name / "saved", base, role=role)
    base = modules["head"][0]
    modules["mean"] = base, plan(average(modules["head"][1], modules["patterns"][1])).modules[0]
    modules["difference"] = base, plan(subtract(modules["head"][1], modules["layers"][1])).modules[0]
    modules["first_layer"] = base, with_first_layer(modules["head"][1])
    for name, (base, module) in modules.items():
        write(module, root / name / "written", base)
    original("load", root, dict.fromkeys(MADE, "bert"))
    return root, modules


@pytest.mark.parametrize("name", CASES)
def test_xlrank_computes_what_peft_does(exchanged: Exchanged, name: str) -> None:
    root, modules = exchanged
    base, module = modules[name]
    made = load_file(root / name / "make")["logits"]
    assert not torch.allclose(made, load_file(Path(base.name) / "own.logits")["logits"], atol=0.05)
    torch.testing.assert_close(logits_of(base, module), made, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [*CASES, *MADE])
def test_peft_computes_what_xlrank_does(exchanged: Exchanged, name: str) -> None:
    root, modules = exchanged
    base, module = modules[name]
    loaded = load_file(root / name / "load")["logits"]
    torch.testing.assert_close(logits_of(base, module), loaded, rtol=1e-5, atol=1e-5)
    if name in CASES:
        torch.testing.assert_close(load_file(root / name / "make")["logits"], loaded, rtol=1e-5, atol=1e-5)
