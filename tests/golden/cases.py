"""One golden case: read its modules through the public API, compose them, and compare with what the original library gave."""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from xlrank.bases import Base
from xlrank.composition import Composition, Leaf, Split, Stack, WithoutInvertible
from xlrank.composition.model import Output, PredictionModel
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.formats import read_module
from xlrank.modules.module import Role
from xlrank.ranking.cross import CrossEncoder
from xlrank.ranking.pairs import Batch

FORMATS = {
    "adapters": "adapterhub",
    "adapter-transformers": "adapterhub",
    "composable-sft": "composable-sft",
    "peft": "peft",
    "hf": "hf",
}


@dataclass(frozen=True)
class Outcome:
    """How a case ended."""

    name: str
    passed: bool
    said: str


def run_case(folder: Path) -> Outcome:
    """Run one case folder with a ``case.json``."""
    case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    check = _hostile if case["kind"] == "malicious" else _parity
    passed, said = check(folder, case)
    return Outcome(case.get("id", folder.name), passed, said)


def _parity(folder: Path, case: dict[str, Any]) -> tuple[bool, str]:
    try:
        output = compute(folder, case)
    except XlrankError as error:
        return bool(case.get("optional")), f"refused: {error}"
    expected = load_file(folder / case["expected"].get("file", "expected.safetensors"))
    found = {"logits": output.logits, "last_hidden_state": output.last_hidden_state}
    worst = max(_difference(found[name], tensor) for name, tensor in expected.items() if name in found)
    return worst <= case["tolerance"], f"largest difference {worst:.1e}"


def _difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max()) if ours.shape == theirs.shape else float("inf")


def _hostile(folder: Path, case: dict[str, Any]) -> tuple[bool, str]:
    """A case passes if it is refused (or may load) and its payload did not run."""
    with tempfile.TemporaryDirectory() as scratch:
        trap = Path(scratch) / "pwned"
        os.environ["GOLDEN_PWNED"] = str(trap)
        try:
            compute(folder, case)
            refused, said = False, "loaded"
        except XlrankError as error:
            refused, said = True, f"refused: {error}"
        finally:
            del os.environ["GOLDEN_PWNED"]
        if trap.exists():
            return False, "its payload RAN"
    return refused or case["expect"]["outcome"] == "refuse_or_load" or not case.get("required", True), said


def compute(folder: Path, case: dict[str, Any]) -> Output:
    """Logits and hidden states of a case's inputs."""
    base = (
        _base(str(folder.parent / case["base"]))
        if case.get("base")
        else Base(str(folder / next(iter(case["modules"].values()))["path"]))
    )
    modules = {name: _module(folder, entry, base, case.get("head") == name) for name, entry in case["modules"].items()}
    composition = _composition(case, modules)
    inputs = _inputs(case)
    if case["task"] == "masked-lm":
        inverse = bool(case.get("mlm_inverse", "reference_quirk" not in case or not case["reference_quirk"]))
        return PredictionModel(base, composition, inverse=inverse)(*inputs)  # type: ignore[no-any-return]
    return CrossEncoder(base, reference=True).outputs(Batch(*inputs), composition)


@lru_cache(maxsize=8)
def _base(folder: str) -> Base:
    return Base(folder)


def _module(folder: Path, entry: dict[str, Any], base: Base, head: bool) -> Module:
    role: Role = "ranking" if head else "language"
    path, format = folder / entry["path"], FORMATS[entry["format"]]
    return read_module(path, base, format=format, role=role, head=head, same_base=True)  # its base is here under another name


def _composition(case: dict[str, Any], modules: dict[str, Module]) -> Composition:
    def leaf(name: str) -> Composition:
        found = Leaf(name, modules[name])
        return WithoutInvertible(found) if case["modules"][name].get("drop_invertible") else found

    def stage(part: Any) -> Composition:  # noqa: ANN401 - JSON
        return leaf(part) if isinstance(part, str) else Split(leaf(part["split"][0]), leaf(part["split"][1]))

    wanted = case["composition"]
    makers: dict[str, Callable[[], Composition]] = {
        "stack": lambda: Stack(tuple(stage(part) for part in wanted["stack"])),
        "split": lambda: stage(wanted),
        "apply": lambda: Stack(tuple(Leaf(step["mask"], _mask(modules[step["mask"]], step)) for step in wanted["apply"])),
        "lora": lambda: leaf(wanted["lora"]),
        "model": lambda: leaf(wanted["model"]),
    }
    return next(make() for key, make in makers.items() if key in wanted)


def _mask(module: Module, step: dict[str, Any]) -> Module:
    """Without its absolute values a mask only adds its differences."""
    if step["with_abs"]:
        return module
    kept = {name: tensor for name, tensor in module.tensors.items() if name.startswith(("index.", "value."))}
    fields = {name: getattr(module, name) for name in ("name", "kind", "role", "language", "base", "config")}
    return Module.create(kept, **fields)


def _inputs(case: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    given = case["inputs"]
    ids = torch.tensor(given["input_ids"])
    mask = torch.tensor(given.get("attention_mask") or torch.ones_like(ids).tolist())
    types = torch.tensor(given["token_type_ids"]) if given.get("token_type_ids") else torch.zeros_like(ids)
    return ids, mask, types, _sides(case, ids)


def _sides(case: dict[str, Any], ids: Tensor) -> Tensor:
    parts = [case["composition"], *(part for part in case["composition"].get("stack", []) if isinstance(part, dict))]
    index = next((part["split_index"] for part in parts if "split_index" in part), None)
    if index is None:
        return torch.zeros_like(ids)
    rows = case.get("split_index_per_row") or case["composition"].get("split_index_per_row")
    borders = torch.tensor(rows if index == "per_row" else [index] * len(ids))
    return (torch.arange(ids.shape[1])[None, :] >= borders[:, None]).long()
