"""What it takes to change a ranker's language, to load a module, and to hold twelve languages at once."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

from safetensors.torch import save_file

from benchmarks.modules import language_adapter, language_mask, ranking_adapter
from benchmarks.timing import print_table, take_turns
from xlrank.bases import Base
from xlrank.composition import Composition, split
from xlrank.composition.compose import Composer
from xlrank.composition.plan import plan
from xlrank.modules import Module
from xlrank.ranking.shared import SharedEncoder

ROUNDS = 15
PEER = Path(__file__).parent / "originals" / "composable_sft_switch.py"


def run() -> None:
    """Measure and print."""
    base = Base()
    rank, en = ranking_adapter(base), language_adapter(base, "en", 0)
    ky, ug = (language_adapter(base, code, seed) for seed, code in enumerate(("ky", "ug"), 1))
    ky_mask, ug_mask = (language_mask(base, code, seed) for seed, code in enumerate(("ky", "ug"), 3))
    split_ky, split_ug = (split(query=query, document=en) + rank for query in (ky, ug))
    cases = {
        "adapter ranker, LA + RA": _alternating(base, ky + rank, ug + rank),
        "adapter ranker, LA^Split + RA": _alternating(base, split_ky, split_ug),
        "adapter ranker, both languages resident": _resident(base, split_ky, split_ug),
        "mask ranker, LM (4.4 %) + RA": _alternating(base, ky_mask + rank, ug_mask + rank),
    }
    with tempfile.TemporaryDirectory() as folder:
        for module, name in ((ky, "adapter"), (ky_mask, "mask")):
            saved = module.save(Path(folder) / name)
            cases[f"load {name} ({module.bytes / 1e6:.1f} MB): read, checksum, finite"] = lambda s=saved: Module.load(s).tensors  # type: ignore[misc]
        times = take_turns(cases, ROUNDS)
        rows = [[name, f"{1000 * each.best:.2f}"] for name, each in times.items()]
        rows += _peer(base, [ky_mask, ug_mask], Path(folder))
    print_table("Changing the language (modules in memory), and loading", ["", "best ms"], rows)
    print_table("Twelve languages resident, fresh process", ["", "MB"], _memory())


def _alternating(base: Base, one: Composition, other: Composition) -> Callable[[], object]:
    """Switch to the composition that is not in place."""
    composer, turns = Composer(base), cycle([plan(one), plan(other)])
    return lambda: composer.compose([next(turns)])


def _resident(base: Base, one: Composition, other: Composition) -> Callable[[], None]:
    shared = SharedEncoder(base)
    return lambda: shared.hold(one, other)


def _peer(base: Base, masks: list[Module], folder: Path) -> list[list[str]]:
    """composable-sft's way: add the differences in place, take them off again, add others."""
    save_file({name: p.detach().clone() for name, p in base.encoder.named_parameters()}, folder / "base.safetensors")
    paths = [str(folder / f"{i}.safetensors") for i in range(len(masks))]
    for mask, path in zip(masks, paths, strict=True):
        save_file(dict(mask.tensors), path)
    python = os.environ.get("XLRANK_ORIGINALS_PYTHON") or sys.executable
    command = [python, str(PEER), str(folder / "base.safetensors"), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    rows = [["composable-sft's way, same masks: revert, apply", f"{1000 * min(found['seconds']):.2f}"]]
    return [*rows, [f"  its weights that differ from the base's after {found['rounds']} rounds", f"{found['changed']:,}"]]


def _memory() -> list[list[str]]:
    command = [sys.executable, "-m", "benchmarks.resident"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [[name, f"{value / 1e6:.1f}"] for name, value in json.loads(done.stdout.splitlines()[-1]).items()]
