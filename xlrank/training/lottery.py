"""The lottery-ticket schedule: train everything, keep what moved most, start again with only that free (Ansell et al. 2022)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlrank.files import read_json, replacing
from xlrank.progress import shown
from xlrank.training.loop import Learner, Settings, is_main_process
from xlrank.training.recipes import MaskRecipe
from xlrank.training.selection import most_changed
from xlrank.training.sparse import keep_only, whole_again
from xlrank.training.trainee import FullTrainee, parameter_of

Fit = Callable[[Learner, Settings, Path], dict[str, Any]]
"""Trains a learner in a folder of its own and returns the record."""
Tensors = dict[str, Tensor]


class Lottery:
    """Trains a mask. What finished phases gave is kept on disk, so that an interrupted run goes on where it was.

    Args:
        trainee: the encoder whose parameters may move.
        learner: the model around it, with a head that learns as well or does not.
        recipe: the schedule.
        entries: how many entries may change in the end.
    """

    def __init__(self, trainee: FullTrainee, learner: Learner, recipe: MaskRecipe, entries: int) -> None:
        self.trainee, self.learner, self.recipe, self.entries = trainee, learner, recipe, entries
        self.chosen: Tensors = {}
        inside = {id(parameter_of(trainee.encoder, name)) for name in trainee.names}
        self._head = {n: p.detach().clone() for n, p in learner.named_parameters() if p.requires_grad and id(p) not in inside}

    def run(self, fit: Fit, settings: Settings, work: Path) -> dict[str, Any]:
        """Go through all phases and return the last one's record, with the others' under ``phases``."""
        rounds = self.recipe.iterations
        full = replace(settings, steps=max(1, round(settings.steps * self.recipe.full_share / rounds)))
        sparse = replace(settings, steps=max(1, settings.steps // rounds - full.steps))
        records: list[dict[str, Any]] = []
        for number in range(1, rounds + 1):
            folder = work / f"round-{number}"
            for parameter in self.trainee.values().values():  # the sparse phase of the round before has frozen most of them
                parameter.requires_grad_()
            reached = {name: (self.chosen[name].long(), values) for name, values in self._values().items()}
            record, self.chosen = _once(folder / "chosen", lambda f=folder, n=number: self._full_phase(fit, full, f, n))  # type: ignore[misc]
            self._rewind(reached)
            keep_only(self.trainee.encoder, self.chosen)
            last, state = _once(folder / "reached", lambda f=folder: self._sparse_phase(fit, sparse, f))  # type: ignore[misc]
            self.learner.load_state_dict(state)
            records += [record, last]
            whole_again(self.trainee.encoder)
        return {**records[-1], "phases": records[:-1], "entries": self.entries}

    def tensors(self) -> Tensors:
        """The mask: ``index.PARAMETER`` and ``value.PARAMETER``, differences to where training started."""
        found: Tensors = {}
        for name, values in sorted(self._values().items()):
            start = self.trainee.start[name].reshape(-1)[self.chosen[name].long()]
            found |= {f"index.{name}": self.chosen[name], f"value.{name}": values - start}
        return found

    def _values(self) -> Tensors:
        """The present values of the chosen entries."""
        now = self.trainee.values()
        return {name: now[name].detach().reshape(-1)[index.long()] for name, index in self.chosen.items()}

    def _full_phase(self, fit: Fit, settings: Settings, folder: Path, number: int) -> tuple[dict[str, Any], Tensors]:
        """Train everything, and add to the chosen entries those that moved most of the others."""
        with shown(f"mask, round {number} of {self.recipe.iterations}: all parameters learn"):
            record = fit(self.learner, settings, folder / "full")
        with shown("mask: choosing the entries that moved most"):
            return record, self._grown(number)

    def _grown(self, number: int) -> Tensors:
        """The chosen entries of a round: those of the rounds before, and what moved most of the others."""
        start, after = self.trainee.start, self.trainee.values()
        with torch.no_grad():
            for name, index in self.chosen.items():  # they are in already, however far they moved
                after[name].view(-1)[index.long()] = start[name].reshape(-1)[index.long()]
        wanted = self.entries * number // self.recipe.iterations - sum(map(len, self.chosen.values()))
        new = most_changed(after, start, wanted)
        parts = {name: [t[name] for t in (self.chosen, new) if name in t] for name in {*self.chosen, *new}}
        return {name: torch.cat(indices).sort().values for name, indices in parts.items()}

    def _sparse_phase(self, fit: Fit, settings: Settings, folder: Path) -> tuple[dict[str, Any], Tensors]:
        with shown("mask: the chosen entries learn"):
            record = fit(self.learner, settings, folder / "sparse")
        return record, {name: tensor.detach().clone() for name, tensor in self.learner.state_dict().items()}

    def _rewind(self, reached: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Everything to where training began, but for the entries that earlier rounds trained: to where these left them."""
        with torch.no_grad():
            for name, parameter in self.trainee.values().items():
                parameter.copy_(self.trainee.start[name])
                if name in reached:
                    index, values = reached[name]
                    parameter.view(-1)[index] = values
            for name, parameter in self.learner.named_parameters():
                if name in self._head:
                    parameter.copy_(self._head[name])


def _once(path: Path, make: Callable[[], tuple[dict[str, Any], Tensors]]) -> tuple[dict[str, Any], Tensors]:
    """What ``make`` gives, from the folder ``path`` if an earlier run has put it there; of several processes one writes."""
    from safetensors.torch import load_file, save_file

    if path.is_dir():
        return read_json(path / "record.json"), load_file(path / "tensors.safetensors")
    record, tensors = make()
    if is_main_process():
        with replacing(path) as temporary:
            temporary.mkdir()
            (temporary / "record.json").write_text(json.dumps(record), encoding="utf-8")
            save_file(tensors, temporary / "tensors.safetensors")
    return record, tensors
