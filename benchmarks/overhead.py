"""What modules cost in a forward pass: composed encoders against the plain base, and the same in the `adapters` library."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import torch

from benchmarks.modules import LANGUAGES, language_adapter, language_mask, ranking_adapter
from benchmarks.timing import Times, print_table, take_turns
from xlrank.bases import Base
from xlrank.composition import split
from xlrank.composition.compose import compose, compose_many
from xlrank.composition.encoder import ComposedEncoder

ROWS, TOKENS, ROUNDS = 32, 128, 15
PEER = Path(__file__).parent / "originals" / "adapters_overhead.py"


def run() -> None:
    """Measure and print."""
    base, threads = Base(), torch.get_num_threads()
    rank = ranking_adapter(base)
    languages = {code: language_adapter(base, code, seed) for seed, code in enumerate(LANGUAGES)}
    ky, en = languages["ky"], languages["en"]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, int(base.config.vocab_size), (ROWS, TOKENS), generator=generator)
    borders = torch.randint(10, 40, (ROWS, 1), generator=generator)
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
        "sides": (torch.arange(TOKENS)[None, :] >= borders).long(),
    }
    mixed = {**batch, "variants": torch.arange(ROWS) % len(LANGUAGES)}
    encoders = {
        "plain base": (ComposedEncoder(base), batch),
        "LA + RA (rf 2, rf 16)": (compose(base, en + rank), batch),
        "LA^Split + RA, ragged": (compose(base, split(query=ky, document=en) + rank), batch),
        "LA + RA, 12 languages in the batch": (compose_many(base, [m + rank for m in languages.values()]), mixed),
        "LA^Split + RA, 12 pairs in the batch": (
            compose_many(base, [split(query=m, document=en) + rank for m in languages.values()]),
            mixed,
        ),
        "LM (mask, 4.4 %) + RA": (compose(base, language_mask(base, "ky", 1) + rank), batch),
    }
    with torch.inference_mode():
        times = take_turns({name: lambda e=e, b=b: e(**b) for name, (e, b) in encoders.items()}, ROUNDS)  # type: ignore[misc]
    plain, single = times["plain base"], times["LA + RA (rf 2, rf 16)"]
    rows = [_row("xlrank", name, each, plain, single if "12" in name else None) for name, each in times.items()]
    print_table(
        f"Forward pass of xlrank/e5-small, float32, {ROWS} x {TOKENS} tokens, {threads} threads; median of {ROUNDS} rounds",
        ["library  composition", "best ms", "to plain", "to LA + RA"],
        [*rows, *_peer(base, threads)],
    )


def _row(library: str, name: str, times: Times, plain: Times, single: Times | None = None) -> list[str]:
    beside = f"{times.ratio(single):.3f}" if single else ""
    return [f"{library:8s} {name}", f"{1000 * times.best:.0f}", f"{times.ratio(plain):.3f}", beside]


def _peer(base: Base, threads: int) -> list[list[str]]:
    """The same model in the `adapters` library, in its own environment; it cuts all rows at one position."""
    python = os.environ.get("XLRANK_ORIGINALS_PYTHON", "")
    if not python:
        return [["adapters not measured: XLRANK_ORIGINALS_PYTHON names no Python that has it (make originals)", "", "", ""]]
    with tempfile.TemporaryDirectory() as folder:
        base.encoder.save_pretrained(folder)
        command = [python, str(PEER), folder, str(threads), str(ROWS), str(TOKENS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    seconds = {name: Times(values) for name, values in json.loads(done.stdout.splitlines()[-1]).items()}
    plain = seconds["plain"]
    return [_row("adapters", name, times, plain) for name, times in seconds.items()]
