"""One training run: transformers' Trainer with our defaults, and the record that every module keeps of it."""

import platform
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from xlrank.errors import XlrankError
from xlrank.precision import resolve_precision

if TYPE_CHECKING:
    from torch.utils.data import Dataset

PACKAGES = ("torch", "transformers", "accelerate")


@dataclass(frozen=True)
class Settings:
    """Budget and optimiser of a run.

    Attributes:
        steps: optimiser steps (linear decay to 0 over them).
        batch: sequences a step.
        rate: peak learning rate of AdamW.
        warmup: share of the steps in which the rate rises.
        seed: for initial weights, data order and masking.
        save_every: steps between checkpoints, and between evaluations on held-out data.
    """

    steps: int = 1000
    batch: int = 32
    rate: float = 1e-4
    warmup: float = 0.1
    seed: int = 13
    save_every: int = 250


class Learner(nn.Module):
    """A model whose state, for checkpoints, is only what learns: the frozen base is never written."""

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


def train(
    learner: Learner,
    train_set: "Dataset[Any]",
    heldout_set: "Dataset[Any]",
    collate: Callable[[list[Any]], dict[str, Tensor]],
    settings: Settings,
    work: Path,
) -> dict[str, Any]:
    """Train ``learner`` (its forward returns ``{"loss": ...}``) and return the record of the run.

    Checkpoints go to ``work``, from where an interrupted run of the same command continues.

    Raises:
        XlrankError: the loss became NaN or infinite.
    """
    if find_spec("accelerate") is None:
        raise XlrankError("training needs the package accelerate: pip install 'xlrank[train]'")
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    arguments = TrainingArguments(
        output_dir=str(work),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        learning_rate=settings.rate,
        warmup_steps=round(settings.warmup * settings.steps),
        lr_scheduler_type="linear",
        weight_decay=0.01,
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=resolve_precision("auto") == "bf16",
        save_steps=settings.save_every,
        eval_steps=settings.save_every,
        eval_strategy="steps",
        save_total_limit=2,
        logging_steps=20,
        report_to=[],
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        logging_nan_inf_filter=False,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer: Any = Trainer(
        model=learner, args=arguments, data_collator=collate, train_dataset=train_set, eval_dataset=heldout_set
    )
    trainer.add_callback(_stop_at_nan())
    started = time.monotonic()
    checkpoint = get_last_checkpoint(str(work)) if work.is_dir() else None
    before = None if checkpoint else trainer.evaluate()["eval_loss"]
    trainer.train(resume_from_checkpoint=checkpoint)
    history = trainer.state.log_history
    record = {
        "settings": asdict(settings),
        "seconds": round(time.monotonic() - started),
        "heldout_loss_before": before,
        "heldout_loss": trainer.evaluate()["eval_loss"],
        "precision": "bf16 autocast" if arguments.bf16 else "fp32",
        "curve": [[entry["step"], round(entry["eval_loss"], 4)] for entry in history if "eval_loss" in entry],
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "command": command_line(),
    }
    for folder in work.glob("checkpoint-*"):
        shutil.rmtree(folder, ignore_errors=True)
    if not any(work.iterdir()):
        work.rmdir()
    return record


def command_line() -> str:
    """The command that runs, with files by name only: where they lay on the trainer's disk is nobody's business."""
    return shlex.join(["xlrank", *(Path(word).name if Path(word).is_file() else word for word in sys.argv[1:])])


def _stop_at_nan() -> Any:  # noqa: ANN401 - a class made late, so that importing this module does not import the Trainer
    from transformers import TrainerCallback

    class StopAtNan(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:  # noqa: ANN401
            loss = (logs or {}).get("loss", (logs or {}).get("eval_loss"))
            if loss is not None and not torch.isfinite(torch.tensor(loss)):
                raise XlrankError(f"training: the loss is {loss} at step {state.global_step}; lower --rate and start again")

    return StopAtNan()
