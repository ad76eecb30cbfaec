"""Which number format this machine computes fastest in: asked of the machine, since processor flags mislead."""

import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key, read_json, write_json

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "fp32", "bf16", "int8"]
ResolvedPrecision = Literal["fp32", "bf16", "int8"]
REQUIRED_GAIN = 1.2
"""bf16 must be this much faster than fp32 to be chosen: its rounding is only worth a real gain."""


def resolve_precision(precision: Precision = "auto") -> ResolvedPrecision:
    """Decide ``auto``: bf16 where a matrix product measured here is at least 1.2 times faster in it, else fp32.

    Some processors list bf16 instructions yet run them slower than fp32. The answer is kept in the cache folder, so that
    one machine always gives the same.
    """
    if precision not in ("auto", "fp32", "bf16", "int8"):
        raise XlrankError(f"unknown precision {precision!r}; expected auto, fp32, bf16 or int8")
    if precision != "auto":
        return precision
    path = cache_folder() / f"precision-{content_key(_machine())}.json"
    if path.is_file():
        return "bf16" if read_json(path) == "bf16" else "fp32"
    answer: ResolvedPrecision = "bf16" if _bf16_gain() >= REQUIRED_GAIN else "fp32"
    write_json(path, answer)
    return answer


def torch_dtype(precision: ResolvedPrecision) -> "torch.dtype":
    """The torch type that weights are held in (for ``int8``: before they are quantised)."""
    import torch

    return torch.bfloat16 if precision == "bf16" else torch.float32


def _machine() -> str:
    """What the answer depends on, found without importing torch: processor, torch's version, whether there is a GPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        lines = []
    kept = [line for line in lines if line.startswith(("model", "flags", "cpu family"))]
    return "\n".join([*kept, version("torch"), str(Path("/proc/driver/nvidia").exists())])


def _bf16_gain() -> float:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.ones(1024, 384, dtype=dtype, device=device)
        w = torch.ones(1536, 384, dtype=dtype, device=device)
        times = []
        for _ in range(8):
            start = time.perf_counter()
            torch.nn.functional.linear(x, w).sum().item()
            times.append(time.perf_counter() - start)
        seconds[dtype] = min(times)
    return seconds[torch.float32] / seconds[torch.bfloat16]
