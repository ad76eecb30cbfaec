"""What xlrank reads, composes and writes, in the library it comes from: outputs are the same, alone, stacked and split."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from xlrank.bases import Base
from xlrank.composition import Composition, as_composition, split
from xlrank.composition.compose import compose
from xlrank.modules import Module
from xlrank.modules.formats.adapterhub import read
from xlrank.modules.formats.adapterhub_writer import write
from xlrank.modules.module import Role
from xlrank.ranking.cross import CrossEncoder
from xlrank.ranking.pairs import Batch

from .originals import needs_originals, run_original

pytestmark = needs_originals

CASES: dict[str, dict[str, Any]] = {
    "seq_bn": {"config": "seq_bn"},
    "inv": {"config": "seq_bn_inv", "settings": {"reduction_factor": 2, "non_linearity": "gelu"}},
    "houlsby": {"config": "double_seq_bn", "settings": {"reduction_factor": 4}},
    "parallel": {"config": "par_bn"},
    "norms": {"config": "seq_bn", "settings": {"ln_before": True, "ln_after": True, "residual_before_ln": "post_add"}},
    "layers": {"config": "seq_bn", "settings": {"reduction_factor": {"0": 2, "default": 8}, "leave_out": [1]}},
    "safe": {"config": "seq_bn_inv", "safetensors": True},
    "flexible": {"config": "seq_bn", "model": "AdapterModel"},
    "one layer": {"config": "seq_bn", "model": "AdapterModel", "layers": 1},
    "xlmr one layer": {"config": "seq_bn", "model": "AdapterModel", "layers": 1, "family": "XLMRoberta"},
    "xlmr": {"config": "seq_bn_inv", "family": "XLMRoberta"},
    "bare": {"config": "seq_bn", "model": "Model"},
}

TOGETHER: dict[str, dict[str, Any]] = {
    "stack": {"family": "Bert", "parts": ["language", "ranking"]},
    "split": {"family": "Bert", "parts": [["language", "other"], "ranking"]},
    "xlmr_split": {"family": "XLMRoberta", "parts": [["language", "other"], "ranking"]},
}
"""Modules used at once: stages from the lowest up, and of a split the first tokens' and the others'."""
MEMBERS = {
    "language": ("seq_bn_inv", {"reduction_factor": 2}),
    "other": ("seq_bn_inv", {"reduction_factor": 4, "non_linearity": "gelu"}),
    "ranking": ("seq_bn", {"reduction_factor": 8}),
}
Exchanged = tuple[Path, dict[str, dict[str, Tensor]]]
IDS = [[2, 7, 9, 3, 11, 12, 3], [2, 5, 3, 20, 3, 1, 1]]
BORDER = 4
"""Where the second side of a split starts."""

SCRIPT = """
import json, sys
from pathlib import Path
import adapters, torch, transformers
from adapters.composition import Split, Stack
from safetensors.torch import save_file

step, root, (cases, together, members, ids, border) = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
sizes = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16,
         "max_position_embeddings": 20, "num_labels": 1, "pad_token_id": 1, "initializer_range": 0.2}


def make_base(family, folder):
    config = getattr(transformers, family + "Config")(**sizes)
    getattr(transformers, family + "ForSequenceClassification")(config).save_pretrained(folder)


def model_of(case, folder):
    name = case.get("family", "Bert") + case.get("model", "ForSequenceClassification")
    library = adapters if name.endswith("AdapterModel") else transformers
    model = getattr(library, name).from_pretrained(folder)
    if library is transformers:
        adapters.init(model)
    return model.eval()


def add(model, name, config, settings, layers=2):
    model.add_adapter(name, config=adapters.AdapterConfig.load(config, **settings))
    if hasattr(model, "add_classification_head"):
        model.add_classification_head(name, num_labels=1, layers=layers)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if f".{name}." in key or key.startswith("classifier"):
                parameter.normal_(0, 0.3)


def save_outputs(model, active, path):
    model.set_active_adapters(active)
    tokens = torch.tensor(ids)
    with torch.no_grad():
        result = model(input_ids=tokens, attention_mask=(tokens != 1).long(), output_hidden_states=True, return_dict=True)
    found = {"hidden": result.hidden_states[-1]}
    save_file(found | ({"logits": result.logits} if "logits" in result else {}), path)


def setup(parts):
    stages = [p if isinstance(p, str) else Split(*p, splits=[border, len(ids[0]) - border]) for p in parts]
    return Stack(*stages)


torch.manual_seed(0)
for name, case in cases.items():
    folder = root / name
    if step == "make":
        make_base(case.get("family", "Bert"), folder / "base")
        model = model_of(case, folder / "base")
        add(model, "made", case["config"], case.get("settings", {}), case.get("layers", 2))
        model.save_adapter(str(folder / "saved"), "made", use_safetensors=case.get("safetensors", False))
        save_outputs(model, "made", folder / "made.safetensors")
    else:
        for use in (False, True):
            model = model_of(case, folder / "base")
            found = model.load_adapter(str(folder / "written"), use_safetensors=use)
            save_outputs(model, found, folder / f"loaded-{use}.safetensors")
for name, case in together.items():
    folder = root / name
    if step == "make":
        make_base(case["family"], folder / "base")
    model = model_of(case, folder / "base")
    for member, (config, settings) in members.items():
        if step == "make":
            add(model, member, config, settings)
            (folder / "saved").mkdir(exist_ok=True)
            model.save_adapter(str(folder / "saved" / member), member)
        else:
            model.load_adapter(str(folder / "written" / member), load_as=member)
    save_outputs(model, setup(case["parts"]), folder / ("made.safetensors" if step == "make" else "loaded.safetensors"))
"""


def original(step: str, root: Path) -> None:
    run_original(SCRIPT, step, str(root), json.dumps([CASES, TOGETHER, MEMBERS, IDS, BORDER]))


def outputs(base: Base, composition: Composition) -> dict[str, Tensor]:
    """What xlrank computes: hidden states, and logits of a head."""
    ids = torch.tensor(IDS)
    sides = (torch.arange(len(IDS[0])) >= BORDER).long().expand_as(ids)
    batch = ids, (ids != 1).long(), ids * 0, sides
    if not any("head.out.weight" in leaf.loaded().tensors for leaf in composition.leaves()):
        with torch.inference_mode():
            return {"hidden": compose(base, composition, reference=True)(*batch)}
    found = CrossEncoder(base, reference=True).outputs(Batch(*batch), composition)
    return {"hidden": found.last_hidden_state, "logits": found.logits}


def composition_of(parts: list[Any], modules: dict[str, Module]) -> Composition:
    first, last = (modules[p] if isinstance(p, str) else split(query=modules[p[0]], document=modules[p[1]]) for p in parts)
    return as_composition(first) + last


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory: pytest.TempPathFactory) -> Exchanged:
    """Folders with modules that the library saved, xlrank read and wrote, and the library loaded again; xlrank's outputs."""
    root, computed = tmp_path_factory.mktemp("exchanged"), {}
    original("make", root)
    for name, case in CASES.items():
        base = Base(str(root / name / "base"))
        module = read(root / name / "saved", base, role="ranking", head=case.get("model") != "Model")
        computed[name] = outputs(base, as_composition(module))
        write(module, root / name / "written", base, name="elsewhere")
    for name, case in TOGETHER.items():
        base, modules = Base(str(root / name / "base")), {}
        for member in MEMBERS:
            role: Role = "ranking" if member == "ranking" else "language"
            modules[member] = read(root / name / "saved" / member, base, role=role, head=role == "ranking")
            write(modules[member], root / name / "written" / member, base)
        computed[name] = outputs(base, composition_of(case["parts"], modules))
    original("load", root)
    return root, computed


@pytest.mark.parametrize("name", [*CASES, *TOGETHER])
def test_xlrank_computes_what_the_library_does(exchanged: Exchanged, name: str) -> None:
    root, computed = exchanged
    made = load_file(root / name / "made.safetensors")
    assert made.keys() == computed[name].keys()
    for key, value in made.items():
        torch.testing.assert_close(computed[name][key], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", TOGETHER)
def test_the_library_composes_what_xlrank_wrote(exchanged: Exchanged, name: str) -> None:
    made, loaded = (load_file(exchanged[0] / name / f"{step}.safetensors") for step in ("made", "loaded"))
    assert made.keys() == loaded.keys()
    for key, value in made.items():
        assert torch.equal(value, loaded[key]), key


@pytest.mark.parametrize("name", CASES)
def test_the_library_computes_the_same_from_what_xlrank_wrote(exchanged: Exchanged, name: str) -> None:
    made = load_file(exchanged[0] / name / "made.safetensors")
    for safetensors in (False, True):
        loaded = load_file(exchanged[0] / name / f"loaded-{safetensors}.safetensors")
        assert made.keys() == loaded.keys()
        for key, value in made.items():
            assert torch.equal(value, loaded[key]), key


@pytest.mark.parametrize("name", CASES)
def test_the_settings_are_written_as_the_library_does(exchanged: Exchanged, name: str) -> None:
    saved, written = (json.loads((exchanged[0] / name / f / "adapter_config.json").read_text()) for f in ("saved", "written"))
    left = {"init_weights"}  # training only
    assert {k: v for k, v in saved["config"].items() if k not in left} == {
        k: v for k, v in written["config"].items() if k not in left
    }
    assert {key: saved[key] for key in ("hidden_size", "model_type", "version")} == {
        key: written[key] for key in ("hidden_size", "model_type", "version")
    }
