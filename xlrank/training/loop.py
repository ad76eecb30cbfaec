"""One training run: transformers' Trainer with our defaults, and the record that every module keeps of it.

Runs under ``torchrun`` and ``accelerate launch`` as it does alone. Interrupted anywhere, the same call goes on from the last
checkpoint and ends, on the same processor, with the same bits.
"""

import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from xlrank.errors import XlrankError
from xlrank.files import make_folder
from xlrank.progress import Stage, shown
from xlrank.training import checkpoints
from xlrank.training.batches import Collator, InOrder, Shuffled, Stream, StreamInOrder
from xlrank.training.settings import Settings

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from xlrank.training.trainer import ModuleTrainer, Progress

__all__ = ["Learner", "Settings", "command_line", "is_main_process", "train"]

PACKAGES = ("torch", "transformers", "accelerate")


class Learner(nn.Module):
    """A model whose state, for checkpoints, is only what learns: the frozen base is never written.

    ``forward`` takes what the collator returns and returns ``{"loss": ...}``, a scalar; losses of its own go into that sum. The
    methods below :meth:`load_state_dict` may be overridden.
    """

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]  # noqa: ANN401 - torch's own
        """The trainable parameters by name."""
        wanted = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        return {name: value for name, value in super().state_dict(*args, **kwargs).items() if name in wanted}

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - torch's own signature
        """Take over what :meth:`state_dict` gave; that the frozen rest is not in it is no fault."""
        result = super().load_state_dict(state_dict, strict=False)
        wanted = self.state_dict()
        result.missing_keys[:] = [name for name in result.missing_keys if name in wanted]
        return result

    def optimised_parameters(self) -> Iterable[tuple[str, nn.Parameter]]:
        """The parameters that the optimiser changes, by their names in this model."""
        return [(name, parameter) for name, parameter in self.named_parameters() if parameter.requires_grad]

    def after_step(self) -> None:
        """Called after each step of the optimiser, in every process, before the gradients are cleared."""

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """What of a batch the record adds up, e.g. ``{"tokens": 512}``; from shapes, since values may lie on a GPU."""
        return {}


def train(
    learner: Learner,
    train_set: "Dataset[Any]",
    heldout_set: "Dataset[Any]",
    collate: Callable[[list[Any]], dict[str, Tensor]],
    settings: Settings,
    work: Path,
    *,
    key: str = "",
) -> dict[str, Any]:
    """Train ``learner`` and return the record of the run.

    Checkpoints go to ``work``, from where an interrupted run of the same configuration continues; they are deleted at the end.
    In a distributed run every process gets the same learner state and record; :func:`is_main_process` says which of them writes.

    Args:
        learner: what learns.
        train_set: examples; one without a length is read as a stream, in its order.
        heldout_set: examples for the held-out loss.
        collate: makes a batch of a list of examples. What it draws from global random states depends on the batch's place alone;
            the datasets themselves should draw from generators of their own.
        settings: budget and optimiser.
        work: folder for checkpoints, best one of the run's own.
        key: of all else that decides the result (base, data): checkpoints of another key are refused.

    Returns:
        JSON values: settings, seed, steps, seconds, waiting (share of the time in which steps waited for data), seen (what the
        learner counted), held-out losses (nats or whatever the learner computes), curve [[step, held-out loss]], precision,
        processes, device, resumed (steps at which the run was continued), versions, command.

    Raises:
        XlrankError: a loss became NaN or infinite, the disk is full, or ``work`` belongs to another configuration. The message
            says where the last good state is.
    """
    if find_spec("accelerate") is None:
        raise XlrankError("training needs the package accelerate: pip install 'xlrank[train]'")
    from xlrank.training.arguments import trainer_arguments

    arguments = trainer_arguments(settings, work)
    configuration = _configuration(learner, settings, arguments.world_size, key)
    main = arguments.process_index == 0
    checkpoint = checkpoints.newest(work, configuration, quiet=not main)
    start = 0 if checkpoint is None else checkpoint.step
    if main:
        make_folder(work)
    trainer = _trainer(learner, train_set, heldout_set, collate, settings, arguments, configuration, checkpoint)
    with shown("training") as stage, ExitStack() as watching:
        if main:
            _watch(trainer, stage, settings, start, watching)
        try:
            history = _run(trainer, learner, settings, checkpoint)
        except KeyboardInterrupt:
            stage.say(f"interrupted; {checkpoints.last_good(work)}; the same command continues")
            raise
    record = _record(trainer, settings, history)
    trainer.accelerator.wait_for_everyone()
    if main:
        _clear(work)
    return record


def is_main_process() -> bool:
    """Whether this process of a distributed run is the one that writes files and prints; true where there is only one."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank() == 0
    return int(os.environ.get("RANK", "0")) == 0


def command_line() -> str:
    """The command that runs, with files by name only: where they lay on the trainer's disk is nobody's business."""
    return shlex.join(["xlrank", *map(_without_place, sys.argv[1:])])


def _without_place(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    path = Path(value)
    return option + equals + (path.name if path.is_absolute() or path.is_file() or ".." in path.parts else value)


def _configuration(learner: Learner, settings: Settings, processes: int, key: str) -> dict[str, Any]:
    """What two runs must share for one to continue the other."""
    return {**settings.identity(), "processes": processes, "parameters": checkpoints.shape_key(learner), "key": key}


def _trainer(
    learner: Learner,
    train_set: "Dataset[Any]",
    heldout_set: "Dataset[Any]",
    collate: Callable[[list[Any]], dict[str, Tensor]],
    settings: Settings,
    arguments: Any,  # noqa: ANN401
    configuration: Mapping[str, Any],
    checkpoint: checkpoints.Checkpoint | None,
) -> "ModuleTrainer":
    from transformers import PrinterCallback

    from xlrank.training.trainer import ModuleTrainer, Progress

    progress = Progress() if checkpoint is None else _continued(Progress(**checkpoint.progress), checkpoint.step)
    # By the Trainer itself: a model that was evaluated before it trains would not be joined with those of the other processes.
    arguments.eval_on_start = checkpoint is None
    per_step = settings.batch * settings.accumulate * arguments.world_size
    start = 0 if checkpoint is None else checkpoint.step * per_step
    if isinstance(train_set, IterableDataset):
        numbered: Any = Stream(train_set, start)
        # Several workers would each read the whole stream, or, for datasets that split themselves, change the order.
        arguments.dataloader_num_workers = min(settings.workers, 1)
    else:
        numbered = Shuffled(train_set, settings.steps * per_step, settings.seed, start)
    heldout: Any = StreamInOrder(heldout_set) if isinstance(heldout_set, IterableDataset) else InOrder(heldout_set)
    trainer = ModuleTrainer(
        learner,
        arguments,
        configuration=configuration,
        progress=progress,
        collate=Collator(collate, settings.seed),
        train_set=numbered,
        heldout_set=heldout,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _continued(progress: "Progress", step: int) -> "Progress":
    progress.resumed.append(step)
    return progress


def _watch(trainer: "ModuleTrainer", stage: Stage, settings: Settings, done: int, watching: ExitStack) -> None:
    """Add what shows and logs the run, in the main process, until ``watching`` ends."""
    from xlrank.training.callbacks import Display, TensorBoardLog

    trainer.add_callback(Display(stage, settings.steps, done))
    if settings.log_folder is not None:
        log = TensorBoardLog(settings.log_folder, done)
        watching.callback(log.close)
        trainer.add_callback(log)


def _run(
    trainer: "ModuleTrainer", learner: Learner, settings: Settings, checkpoint: checkpoints.Checkpoint | None
) -> list[dict[str, Any]]:
    """Train to the end and leave the learner in the state that counts; what was logged is returned."""
    from xlrank.training.callbacks import Flow, evaluations, is_exhausted

    trainer.add_callback(Flow(learner, settings.patience, trainer.work))
    history = [] if checkpoint is None else checkpoint.history()
    if checkpoint is not None and (checkpoint.step >= settings.steps or is_exhausted(history, settings.patience)):
        checkpoint.load_into(learner)  # interrupted after the last step: the Trainer would take one more
    else:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint.folder))
        history = trainer.state.log_history
    if settings.patience is not None:
        step, _ = min(evaluations(history), key=lambda entry: (entry[1], entry[0]))
        checkpoints.at_step(trainer.work, step).load_into(learner)
    return history


def _record(trainer: "ModuleTrainer", settings: Settings, history: list[dict[str, Any]]) -> dict[str, Any]:
    from xlrank.training.callbacks import evaluations

    progress, curve = trainer.measured(), evaluations(history)
    best_step, best = min(curve, key=lambda entry: (entry[1], entry[0]))
    arguments = trainer.args
    return {
        "settings": {name: value for name, value in asdict(settings).items() if name != "log_folder"},
        "seed": settings.seed,
        "steps": curve[-1][0],
        "seconds": round(progress.seconds),
        "waiting": round(progress.waiting / max(progress.waiting + progress.working, 1e-9), 3),
        "seen": progress.seen,
        "heldout_loss_before": progress.before,
        "heldout_loss": curve[-1][1] if settings.patience is None else best,
        "heldout_loss_best": best,
        "best_step": best_step,
        "curve": [[step, round(loss, 4)] for step, loss in curve],
        "precision": "bf16 autocast" if arguments.bf16 else "fp16 autocast" if arguments.fp16 else "fp32",
        "processes": arguments.world_size,
        "device": torch.cuda.get_device_name() if arguments.device.type == "cuda" else f"CPU ({platform.machine()})",
        "resumed": progress.resumed,
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "command": command_line(),
    }


def _clear(work: Path) -> None:
    """Delete the run's checkpoints, and its folder if nothing else lies there."""
    for folder in work.glob("checkpoint-*"):
        shutil.rmtree(folder, ignore_errors=True)
    if not any(work.iterdir()):
        work.rmdir()
