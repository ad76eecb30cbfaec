"""Switching sparse masks in place, as composable-sft does: add the differences to the parameters, subtract them to go back.

Needs torch and numpy: ``composable_sft_switch.py STATE MASK OTHER [ROUNDS]``, three safetensors files: a state dict, and two
masks with ``index.PARAMETER`` (flat positions) and ``value.PARAMETER``. Prints one line of JSON: ``decode``, the seconds of
decoding both masks once; ``seconds`` of every round, which reverts the mask that is applied and applies the other one; and
``changed``, how many of the ``entries`` are not the base's any more, bit by bit, once the last mask is reverted too.

The method is written anew after its description: positions are stored as steps, decoded to coalesced sparse tensors, which are
added and subtracted.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
State = dict[str, Tensor]


def read_safetensors(path: str) -> State:
    """The tensors of a file: eight bytes of length, a JSON header, then the values."""
    content = Path(path).read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    header = {name: entry for name, entry in json.loads(content[8:begin]).items() if name != "__metadata__"}
    found = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        array = np.frombuffer(content[begin + first : begin + last], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        found[name] = torch.from_numpy(array.copy())
    return found


def encode(mask: State) -> dict[str, tuple[list[int], list[float]]]:
    """Masks as composable-sft stores them: the steps between positions, and the values."""
    names = [name.removeprefix("index.") for name in mask if name.startswith("index.")]
    return {n: (np.diff(mask[f"index.{n}"].numpy(), prepend=0).tolist(), mask[f"value.{n}"].tolist()) for n in names}


def decode(encoded: dict[str, tuple[list[int], list[float]]], state: State) -> State:
    """Sparse tensors in the shapes of the parameters."""
    found = {}
    for name, (steps, values) in encoded.items():
        shape = state[name].shape
        places = np.stack(np.unravel_index(np.cumsum(np.array(steps, dtype=np.int64)), tuple(shape)))
        sparse = torch.sparse_coo_tensor(torch.from_numpy(places), torch.tensor(values), shape, check_invariants=False)
        found[name] = sparse.coalesce()
    return found


def add(state: State, differences: State) -> None:
    """Apply a mask."""
    for name, difference in differences.items():
        state[name] += difference


def subtract(state: State, differences: State) -> None:
    """Revert a mask."""
    for name, difference in differences.items():
        state[name] -= difference


def main(state_file: str, mask_file: str, other_file: str, rounds: int = 15) -> None:
    """Switch to and fro, then count what is left of it."""
    base = {name: tensor.float() for name, tensor in read_safetensors(state_file).items() if tensor.is_floating_point()}
    state = {name: tensor.clone() for name, tensor in base.items()}
    encoded = [encode(read_safetensors(path)) for path in (mask_file, other_file)]
    start = time.perf_counter()
    mask, other = (decode(part, state) for part in encoded)
    decoded = time.perf_counter() - start
    seconds = []
    add(state, mask)
    for _ in range(rounds):
        start = time.perf_counter()
        subtract(state, mask)
        add(state, other)
        seconds.append(time.perf_counter() - start)
        mask, other = other, mask
    subtract(state, mask)
    changed = sum(int((state[name].view(torch.int32) != base[name].view(torch.int32)).sum()) for name in base)
    entries = sum(tensor.numel() for tensor in base.values())
    print(json.dumps({"decode": decoded, "seconds": seconds, "rounds": rounds, "changed": changed, "entries": entries}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], *(int(number) for number in sys.argv[4:]))
