"""What training costs: choosing a mask, its sparse phase, and a language module's step with the restricted softmax."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.modules import MASKABLE
from benchmarks.timing import print_table, take_turns
from xlrank.bases import Base
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.head.layers import MlmHead
from xlrank.training.language import MaskedLanguageModel, Masking
from xlrank.training.recipes import adapter_size, start
from xlrank.training.text import text_blocks

ROWS, TOKENS, SUPPORT = 32, 128, 8_000
"""Of a step; word pieces of the restricted softmax where no text is at hand."""
MILLION = 1_000_000


def run() -> None:
    """Measure and print."""
    base = Base()
    print_table(
        "Choosing the entries of a mask on xlrank/e5-small (in turn)", ["", "seconds", "peak MB", "to ours"], _selection()
    )
    print_table("One phase of a mask's training, 16 x 96 tokens, fresh process", ["", "s a step", "peak MB"], _phases())
    print_table(f"A language adapter's training step, {ROWS} x {TOKENS} tokens", ["", "s a step", "to full"], _softmax(base))


def differences(base: Base) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The maskable parameters before and after something like training."""
    torch.manual_seed(0)
    names = [name for name, _ in base.encoder.named_parameters() if any(part in name for part in MASKABLE)]
    before = {name: base.encoder.get_parameter(name).detach() for name in names}
    return {name: t + 1e-3 * torch.randn_like(t) for name, t in before.items()}, before


def by_list(after: Mapping[str, Tensor], before: Mapping[str, Tensor], k: int) -> float:
    """composable-sft's way: all differences in a Python list, then numpy's partition."""
    changes: list[float] = []
    for name, tensor in after.items():
        changes.extend((tensor - before[name]).abs().reshape(-1).tolist())
    return float(np.partition(changes, len(changes) - k)[len(changes) - k])


def _selection() -> list[list[str]]:
    found = {}
    for way in ("ours", "list"):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.phase", "select", way], capture_output=True, text=True, check=True
        )
        found[way] = json.loads(done.stdout.splitlines()[-1])
    labels = {"ours": "xlrank", "list": "Python list + np.partition (composable-sft's way)"}
    return [
        [labels[way], f"{f['seconds']:.2f}", f"{f['megabytes']:.0f}", f"{f['seconds'] / found['ours']['seconds']:.1f}"]
        for way, f in found.items()
    ] + [["the parameters' own bytes", "", f"{found['ours']['parameters']:.0f}", ""]]


def _phases() -> list[list[str]]:
    rows = []
    for way, label in (("dense", "full phase: AdamW on all"), ("sparse", "sparse phase: AdamW on the chosen entries")):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.phase", "train", way], capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append([label, f"{found['seconds']:.2f}", f"{found['megabytes']:.0f}"])
    return rows


def _softmax(base: Base) -> list[list[str]]:
    text, masking = Path(os.environ.get("XLRANK_SHARED", "")) / "data" / "text" / "ky.tsv.xz", Masking(base)
    if "XLRANK_SHARED" in os.environ and text.is_file():
        blocks = text_blocks([text], base.tokenizer, length=TOKENS, max_tokens=MILLION, seed=0)
        support, rows = torch.from_numpy(blocks.support()), torch.from_numpy(blocks.train[:ROWS]).long()
        what = "word pieces of 1 M Kyrgyz ones"
    else:
        support = torch.arange(1000, 1000 + SUPPORT)
        rows, what = support[torch.randint(SUPPORT, (ROWS, TOKENS))], "word pieces, drawn"
    batch = masking.mask_ids(rows)
    models = {}
    for name, pieces in (("full", torch.arange(int(base.config.vocab_size))), ("restricted", support)):
        trainee = start(AdapterConfig(reduction_factor=2, invertible=True), base)
        head = MlmHead(int(base.config.hidden_size), int(base.config.vocab_size), 1e-12).requires_grad_(requires_grad=False)
        words = base.encoder.get_input_embeddings().weight
        models[name] = MaskedLanguageModel(trainee.encoder, head, trainee.invertible, words, pieces)
    optimisers = {n: torch.optim.AdamW([p for p in m.parameters() if p.requires_grad]) for n, m in models.items()}

    def step(name: str) -> None:
        models[name](**batch)["loss"].backward()
        optimisers[name].step()
        optimisers[name].zero_grad()

    times = take_turns({name: lambda name=name: step(name) for name in models}, rounds=5)  # type: ignore[misc]
    minutes = MILLION / (ROWS * TOKENS) * times["restricted"].best / 60
    return [
        ["softmax over 250,037 word pieces", f"{times['full'].best:.2f}", "1.00"],
        [
            f"restricted to {len(support):,} {what}",
            f"{times['restricted'].best:.2f}",
            f"{times['full'].ratio(times['restricted']):.2f}",
        ],
        [f"  one million word pieces take {minutes:.0f} minutes", "", ""],
    ]


def entries(base: Base) -> int:
    """As many as a language adapter of the paper has parameters."""
    hidden, layers = int(base.config.hidden_size), int(base.config.num_hidden_layers)
    return adapter_size(hidden, layers, 2, invertible=True)
