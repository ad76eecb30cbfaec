"""What a system costs: seconds, pairs a second, milliseconds a query, peak memory. Measured while it works, kept in its run."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MIB = 2**20


@dataclass
class Meter:
    """Time and peak memory of a block of work.

    Attributes:
        seconds: wall time.
        peak_memory_mb: the most memory that the process held meanwhile, in MiB (of a GPU, if there is one, what torch held
            there); None where the system does not tell.
    """

    seconds: float = 0.0
    peak_memory_mb: float | None = None


@contextmanager
def measured() -> Iterator[Meter]:
    """Measure a block; the result is complete behind it."""
    meter, started = Meter(), time.monotonic()
    _reset_peak()
    try:
        yield meter
    finally:
        meter.seconds, meter.peak_memory_mb = time.monotonic() - started, _peak()


def costs_of(meter: Meter) -> dict[str, Any]:
    """A meter's readings as a run's metadata has them."""
    return {"seconds": round(meter.seconds, 4), "peak_memory_mb": meter.peak_memory_mb}


def joint_cost(meter: Meter, parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a run costs that was made of others: their seconds and pairs besides its own, and the most memory of any.

    Args:
        meter: of the making alone.
        parts: what these others cost, by their keys; a run that stands behind several of them counts once.
    """
    made_of: dict[str, float] = {}
    for key, part in parts.items():
        behind = part.get("made_of", {})
        made_of |= behind
        made_of[key] = round(part.get("seconds", 0.0) - sum(behind.values()), 4)
    pairs = [part["pairs"] for part in parts.values() if part.get("pairs")]
    memory = [meter.peak_memory_mb, *(part.get("peak_memory_mb") for part in parts.values())]
    return {
        "seconds": round(meter.seconds + sum(made_of.values()), 4),
        "made_of": made_of,
        "peak_memory_mb": max((peak for peak in memory if peak is not None), default=None),
        **({"pairs": sum(pairs)} if pairs else {}),
        **({"resumed": True} if any(part.get("resumed") for part in parts.values()) else {}),
    }


def query_latency(rank: Callable[[], Any]) -> float:
    """Milliseconds that one call takes, the GPU's work included."""
    synchronise()
    started = time.perf_counter()
    rank()
    synchronise()
    return 1000 * (time.perf_counter() - started)


def summary(milliseconds: list[float]) -> dict[str, float] | None:
    """Median and 95th percentile; None of nothing."""
    if not milliseconds:
        return None
    median, p95 = np.quantile(milliseconds, [0.5, 0.95])
    return {"median": round(float(median), 3), "p95": round(float(p95), 3)}


def synchronise() -> None:
    """Wait for the GPU, if one is used; otherwise its work would be counted with whatever comes next."""
    torch = _torch()
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()


def _torch() -> Any:  # noqa: ANN401 - the module, if it has been imported
    return sys.modules.get("torch")


def _reset_peak() -> None:
    torch = _torch()
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        # Linux forgets the peak of a process that writes 5 here (proc(5)).
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        pass


def _peak() -> float | None:
    torch = _torch()
    if torch is not None and torch.cuda.is_available():
        return round(float(torch.cuda.max_memory_allocated()) / MIB, 1)
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    return round(int(kilobytes) / 1024, 1) if kilobytes else None
