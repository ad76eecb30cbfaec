"""Checkpoints that are whole or do not count: a list of their files, written last, proves that nothing is missing.

The Trainer fills a folder file by file, so a run can die in between. :func:`seal` writes ``checkpoint.json`` when all is there,
with every file's size and checksum; a folder without it, or with files that differ, is passed over.
"""

import errno
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlrank.errors import XlrankError
from xlrank.files import file_hash, read_json, write_json

if TYPE_CHECKING:
    from torch import nn

SEAL = "checkpoint.json"
WEIGHTS, STATE = "model.safetensors", "trainer_state.json"
REQUIRED = (WEIGHTS, STATE, "optimizer.pt", "scheduler.pt")
NAME = re.compile(r"checkpoint-(\d+)")
FULL_DISK = re.compile(r"No space left|Disk quota|File too large|PytorchStreamWriter failed|file write failed", re.IGNORECASE)
LOG = logging.getLogger("xlrank")


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint.

    Attributes:
        folder: with the files.
        step: optimiser steps done.
        progress: what the run had measured so far, as given to :func:`seal`.
    """

    folder: Path
    step: int
    progress: Mapping[str, Any]

    def history(self) -> list[dict[str, Any]]:
        """What was logged up to here, oldest first."""
        return list(read_json(self.folder / STATE)["log_history"])

    def load_into(self, learner: "nn.Module") -> None:
        """Give a learner the parameters of this checkpoint.

        Raises:
            XlrankError: it is a checkpoint of another learner.
        """
        from safetensors.torch import load_file

        result = learner.load_state_dict(load_file(self.folder / WEIGHTS), strict=False)
        if result.missing_keys or result.unexpected_keys:
            odd = [*result.missing_keys, *result.unexpected_keys]
            raise XlrankError(f"{self.folder}: holds other parameters than this run learns ({odd[0]}); delete the folder")


def seal(folder: Path, configuration: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
    """Declare a folder of the Trainer's a whole checkpoint.

    Args:
        folder: named ``checkpoint-STEP``.
        configuration: what another run must share to continue from here, JSON values.
        progress: what the run has measured so far, JSON values.
    """
    files = {path.name: [path.stat().st_size, file_hash(path)] for path in sorted(folder.iterdir()) if path.name != SEAL}
    write_json(folder / SEAL, {"files": files, "configuration": dict(configuration), "progress": dict(progress)})


def newest(work: Path, configuration: Mapping[str, Any], *, quiet: bool = False) -> Checkpoint | None:
    """The newest whole checkpoint in a folder; damaged ones are passed over with a warning that names them.

    Args:
        work: the run's folder.
        configuration: of the run that wants to continue.
        quiet: warn of nothing (all processes but one of a distributed run).

    Returns:
        None when the run must start from the beginning.

    Raises:
        XlrankError: a whole checkpoint belongs to another configuration.
    """
    folders = sorted(_folders(work), reverse=True)
    for step, folder in folders:
        try:
            content = _whole(folder)
        except XlrankError as error:
            if not quiet:
                LOG.warning("%s; going back to an earlier state", error)
            continue
        _same(work, content["configuration"], _plain(configuration))
        return Checkpoint(folder, step, content["progress"])
    if folders and not quiet:
        LOG.warning("%s: no whole checkpoint is left; training starts from the beginning", work)
    return None


def at_step(work: Path, step: int) -> Checkpoint:
    """The checkpoint of a step.

    Raises:
        XlrankError: it is missing or damaged.
    """
    folder = work / f"checkpoint-{step}"
    return Checkpoint(folder, step, _whole(folder)["progress"])


def last_good(work: Path) -> str:
    """Where the newest sealed checkpoint is, for messages."""
    sealed = [folder for _, folder in sorted(_folders(work)) if (folder / SEAL).is_file()]
    return f"the last good state is {sealed[-1]}" if sealed else "no checkpoint had been written yet"


def is_full_disk(error: BaseException) -> bool:
    """Whether an error of writing means that nothing more fits: libraries wrap the operating system's in their own."""
    full = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    return (isinstance(error, OSError) and error.errno in full) or FULL_DISK.search(str(error)) is not None


def _folders(work: Path) -> list[tuple[int, Path]]:
    found = ((NAME.fullmatch(path.name), path) for path in work.iterdir()) if work.is_dir() else ()
    return [(int(match[1]), path) for match, path in found if match and path.is_dir()]


def _whole(folder: Path) -> dict[str, Any]:
    """What the seal says, once every file has been held against it and read as plain data.

    Raises:
        XlrankError: the folder is no whole checkpoint.
    """
    if not (folder / SEAL).is_file():
        raise XlrankError(f"{folder}: unfinished checkpoint (it was being written when the run stopped)")
    content = read_json(folder / SEAL)
    keys = ("files", "configuration", "progress")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), dict) for key in keys):
        raise XlrankError(f"{folder}: damaged checkpoint ({SEAL} is not what xlrank writes)")
    names = set(content["files"])
    missing = [name for name in REQUIRED if name not in names] + [n for n in sorted(names) if not (folder / n).is_file()]
    if missing or any(Path(name).name != name for name in names):
        raise XlrankError(f"{folder}: damaged checkpoint ({missing[0] if missing else 'a file outside of it'} is missing)")
    for name, fact in content["files"].items():
        path = folder / name
        if fact != [path.stat().st_size, file_hash(path)]:
            raise XlrankError(f"{folder}: damaged checkpoint ({name} is not the file that was written)")
    _read_as_data(folder, names)
    return content


def _read_as_data(folder: Path, names: set[str]) -> None:
    """Prove that the files can be loaded, and without running anything that they may contain."""
    import torch
    from safetensors import safe_open
    from transformers.trainer_pt_utils import safe_globals

    for name in sorted(names):
        try:
            if name.endswith(".safetensors"):
                with safe_open(folder / name, framework="pt") as tensors:
                    for key in tensors.keys():
                        tensors.get_slice(key).get_shape()
            elif name.endswith((".pt", ".pth")):
                with safe_globals():
                    torch.load(folder / name, map_location="cpu", weights_only=True)
            elif name.endswith(".json"):
                read_json(folder / name)
        except XlrankError:
            raise
        except Exception as error:
            # Whatever a foreign reader raises, the file is of no use: fall back to an earlier checkpoint.
            raise XlrankError(f"{folder}: damaged checkpoint ({name}: {type(error).__name__})") from None


def _same(work: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    if theirs == ours:
        return
    before, now = _flat(theirs), _flat(ours)
    differing = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    shown = ", ".join(f"{key}: {before.get(key)} there, {now.get(key)} here" for key in differing[:3])
    raise XlrankError(
        f"{work}: holds checkpoints of another run ({shown}); name another folder, or delete this one to start from the beginning"
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from JSON."""
    return dict(json.loads(json.dumps(values)))


def shape_key(learner: "nn.Module") -> str:
    """16 digits for the names and shapes of all that a learner's checkpoints hold."""
    shapes = sorted((name, list(tensor.shape)) for name, tensor in learner.state_dict().items())
    return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()[:16]
