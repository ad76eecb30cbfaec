"""Memory of twelve resident languages, measured in a process of its own (``python -m benchmarks.resident``): a line of JSON."""

import gc
import json
from pathlib import Path

import torch

from benchmarks.modules import LANGUAGES, language_adapter, language_mask, ranking_adapter
from xlrank.bases import Base
from xlrank.composition import split
from xlrank.ranking.shared import SharedEncoder


def resident() -> int:
    """Bytes of memory that belong to this process alone."""
    gc.collect()
    text = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("Private_Clean", "Private_Dirty")))


def main() -> None:
    """Compose one, then all languages, and print what each step added."""
    base = Base()
    rank = ranking_adapter(base)
    SharedEncoder(base).hold(language_adapter(base, "en", 0) + rank)
    before = resident()
    languages = [language_adapter(base, code, seed) for seed, code in enumerate(LANGUAGES)]
    loaded = resident()
    shared = SharedEncoder(base)
    shared.hold(*(split(query=module, document=languages[0]) + rank for module in languages))
    composed = resident()
    mask = language_mask(base, "ky", 1)
    with_mask = resident()
    masked = SharedEncoder(base)
    masked.hold(mask + rank)
    found = {
        "12 language adapters, their tensors": sum(module.bytes for module in languages),
        "  measured when they are made": loaded - before,
        "  added by composing all of them": composed - loaded,
        "one language mask (4.4 %), its tensors": mask.bytes,
        "  measured when the mask is made": with_mask - composed,
        "  added by composing it (edited layers; words stay sparse)": resident() - with_mask,
        "  the base's parameters, for comparison": sum(p.numel() * 4 for p in base.encoder.parameters()),
    }
    assert len(shared.resident) == len(LANGUAGES) and masked.resident
    print(json.dumps(found))


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
