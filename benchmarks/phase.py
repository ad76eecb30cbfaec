"""One measurement in a process of its own, so that its peak memory is its own: prints a line of JSON.

``python -m benchmarks.phase select ours|list`` or ``train dense|sparse``.
"""

import json
import sys
import time
from pathlib import Path

import torch

from benchmarks.training import by_list, differences, entries
from xlrank.bases import Base
from xlrank.modules.kinds.head.layers import MlmHead
from xlrank.training.language import MaskedLanguageModel, Masking
from xlrank.training.recipes import MaskRecipe, start
from xlrank.training.selection import most_changed
from xlrank.training.sparse import keep_only
from xlrank.training.trainee import FullTrainee

ROWS, TOKENS, SUPPORT, STEPS = 16, 96, 8_000, 4


def megabytes(of: str) -> float:
    """Memory of this process in MB: ``VmRSS`` now, ``VmHWM`` at its highest."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(of)) / 1000


def forget_peak() -> None:
    """Let the highest memory be counted from now on."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def select(way: str) -> dict[str, float]:
    """Choose the entries of a language mask."""
    base = Base()
    after, before = differences(base)
    size = sum(tensor.numel() * 4 for tensor in after.values()) / 1e6
    forget_peak()
    at_rest, begin = megabytes("VmRSS"), time.perf_counter()
    choose = most_changed if way == "ours" else by_list
    choose(after, before, entries(base))
    return {"seconds": time.perf_counter() - begin, "megabytes": megabytes("VmHWM") - at_rest, "parameters": size}


def train(way: str) -> dict[str, float]:
    """A few steps of a mask's full or sparse phase."""
    base = Base()
    torch.manual_seed(0)
    trainee = start(MaskRecipe(), base)
    assert isinstance(trainee, FullTrainee)
    head = MlmHead(int(base.config.hidden_size), int(base.config.vocab_size), 1e-12).requires_grad_(requires_grad=False)
    support = torch.arange(1000, 1000 + SUPPORT)
    words = base.encoder.get_input_embeddings().weight
    model = MaskedLanguageModel(trainee.encoder, head, None, words, support)
    if way == "sparse":
        share = entries(base) / sum(tensor.numel() for tensor in trainee.start.values())
        keep_only(trainee.encoder, {n: (torch.rand(t.numel()) < share).nonzero().squeeze(1) for n, t in trainee.start.items()})
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    seconds = []
    for _ in range(STEPS):
        batch = Masking(base).mask_ids(support[torch.randint(SUPPORT, (ROWS, TOKENS))])
        begin = time.perf_counter()
        model(**batch)["loss"].backward()
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.perf_counter() - begin)
    return {"seconds": min(seconds), "megabytes": megabytes("VmHWM")}


if __name__ == "__main__":
    torch.set_num_threads(2)
    print(json.dumps({"select": select, "train": train}[sys.argv[1]](sys.argv[2])))
