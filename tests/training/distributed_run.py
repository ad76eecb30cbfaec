"""What test_distributed starts under torchrun: train an adapter of a tiny base, and save what came out of it in each process."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.conftest import HIDDEN, LAYERS, load_base
from tests.training.toy import Examples, run
from xlrank.bases import Base
from xlrank.composition.encoder import ComposedEncoder
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.adapter.layers import Adapter
from xlrank.training.loop import Learner, Settings, is_main_process, train
from xlrank.training.trainee import alone

SETTINGS = Settings(steps=4, batch=3, rate=1e-2, save_every=2, precision="fp32")


class Regression(Learner):
    """An encoder with an adapter in it that is to give states of a fixed kind: a loss that every weight of it matters to."""

    def __init__(self, base: Base, adapter: Adapter) -> None:
        super().__init__()
        self.composed = ComposedEncoder(base, [alone(adapter)])

    def forward(self, input_ids: Tensor, labels: Tensor) -> dict[str, Tensor]:
        zeros = torch.zeros_like(input_ids)
        states = self.composed(input_ids, torch.ones_like(input_ids), zeros, zeros)
        return {"loss": ((states - labels) ** 2).mean()}

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        return {"tokens": batch["input_ids"].numel()}


def adapter_run(base_folder: Path, work: Path, settings: Settings) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Training on 10 blocks, which 4 steps of 6 do not divide evenly."""
    base = load_base(base_folder)
    torch.manual_seed(settings.seed)
    adapter = Adapter(AdapterConfig(reduction_factor=4, invertible=True), HIDDEN, LAYERS)
    blocks = torch.randint(5, 60, (14, 12), generator=torch.Generator().manual_seed(1))

    def collate(rows: list[Tensor]) -> dict[str, Tensor]:
        ids = torch.stack(rows)
        return {"input_ids": ids, "labels": ids[:, :, None] / 30 - torch.linspace(0, 1, HIDDEN)}

    record = train(Regression(base, adapter), blocks[:10], blocks[10:], collate, settings, work)  # type: ignore[arg-type]
    return dict(adapter.state_dict()), record


def main(base_folder: str, out: str) -> None:
    """Train on rows and on a stream, and write tensors and record of each process."""
    folder = Path(out)
    tensors, record = adapter_run(Path(base_folder), folder / "work", SETTINGS)
    toy, _ = run(folder / "toy", Examples(), steps=3)
    rank = torch.distributed.get_rank()
    assert is_main_process() == (rank == 0)
    save_file(tensors, folder / f"adapter-{rank}.safetensors")
    save_file(toy.state_dict(), folder / f"toy-{rank}.safetensors")
    (folder / f"record-{rank}.json").write_text(json.dumps(record))


ALONE = replace(SETTINGS, accumulate=2)
"""One process that sees in a step what two see together."""

if __name__ == "__main__":
    main(*sys.argv[1:])
