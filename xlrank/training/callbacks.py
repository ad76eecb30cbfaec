"""What watches a run: every loss, early stopping, the learner's own hook, progress on the terminal, TensorBoard."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from xlrank.errors import XlrankError
from xlrank.progress import Stage
from xlrank.training.checkpoints import last_good

if TYPE_CHECKING:
    from xlrank.training.loop import Learner

ADVICE = "the same command would end alike: lower --rate (or take --precision fp32) and start again"


class LossGuard:
    """Sees the loss of every batch, and stops the run at one that is not finite.

    On a GPU a loss is looked at one batch late, when it has arrived by itself: waiting for it would keep the GPU idle. Nothing is
    saved before :meth:`check` has seen the last one.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        self.pending: tuple[int, Tensor, Any] | None = None

    def see(self, loss: Tensor, step: int) -> None:
        """Take note of the loss of a batch of optimiser step ``step``."""
        self.check()
        if loss.is_cuda:
            value = torch.empty((), dtype=loss.dtype, pin_memory=True).copy_(loss.detach(), non_blocking=True)
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
            self.pending = (step, value, event)
        else:
            self.require_finite(float(loss.detach()), step)

    def check(self) -> None:
        """Look at the loss that is still on its way, if there is one."""
        if self.pending is not None:
            (step, value, event), self.pending = self.pending, None
            event.synchronize()
            self.require_finite(float(value), step)

    def require_finite(self, loss: float, step: int, where: str = "") -> None:
        """Refuse a loss that is NaN or infinite.

        Raises:
            XlrankError: it is; the message says where the last good state is.
        """
        if not math.isfinite(loss):
            raise XlrankError(f"training: the loss is {loss}{where} at step {step}; {last_good(self.work)}; {ADVICE}")


def evaluations(history: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """(step, held-out loss) of every evaluation after a step in a Trainer's history, each step once."""
    return sorted(
        {int(entry["step"]): float(entry["eval_loss"]) for entry in history if entry["step"] and "eval_loss" in entry}.items()
    )


def is_exhausted(history: Sequence[dict[str, Any]], patience: int | None) -> bool:
    """Whether so many evaluations have passed since the best one that training should stop.

    It depends on the history alone, which checkpoints hold, so there is no state of its own to restore.
    """
    losses = [loss for _, loss in evaluations(history)]
    return patience is not None and bool(losses) and len(losses) - 1 - losses.index(min(losses)) >= patience


class Flow(TrainerCallback):  # type: ignore[misc]
    """Early stopping, an evaluation and a checkpoint at the very end, and the learner's own hook after each step."""

    def __init__(self, learner: "Learner", patience: int | None, work: Path) -> None:
        self.learner, self.patience, self.work = learner, patience, work

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401 - the Trainer's own types
        """Find the best checkpoint where it is now: the run's folder may have been moved."""
        best = self.work / f"checkpoint-{state.best_global_step}"
        if state.best_global_step and best.is_dir():
            state.best_model_checkpoint = str(best)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        """Let the learner do what it wants done after each step."""
        self.learner.after_step()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        """Evaluate and save at the last step, whatever the intervals."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        """Stop where the held-out loss has not fallen for too long."""
        if is_exhausted(state.log_history, self.patience):
            control.should_training_stop = True


class Display(TrainerCallback):  # type: ignore[misc]
    """Steps and losses in a stage that is shown; where it has no bar, also a line at each evaluation."""

    def __init__(self, stage: Stage, steps: int, done: int) -> None:
        self.stage = stage
        self.losses: dict[str, float] = {}
        stage(done, steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        """Count the step."""
        self.stage(state.global_step, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:  # noqa: ANN401
        """Show the losses."""
        names = {"loss": "loss", "eval_loss": "held-out loss"}
        self.losses |= {shown: logs[name] for name, shown in names.items() if name in (logs or {})}  # type: ignore[index]
        self.stage.note = ", ".join(f"{name} {value:.4g}" for name, value in self.losses.items())
        self.stage.show()
        if "eval_loss" in (logs or {}) and not self.stage.console.is_interactive:
            self.stage.say(f"training: step {state.global_step} of {args.max_steps}, {self.stage.note}")


class TensorBoardLog(TrainerCallback):  # type: ignore[misc]
    """Losses, learning rate and gradient norm as TensorBoard's event files."""

    def __init__(self, folder: Path, done: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise XlrankError(
                "training: logging for TensorBoard needs the package tensorboard: pip install tensorboard"
            ) from None
        # What an interrupted run logged beyond its last checkpoint is about to be computed again.
        self.writer: Any = SummaryWriter(str(folder), purge_step=done + 1)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:  # noqa: ANN401
        """Write the numbers."""
        names = {"loss": "loss", "eval_loss": "held-out loss", "learning_rate": "learning rate", "grad_norm": "gradient norm"}
        for name, shown in names.items():
            if name in (logs or {}):
                self.writer.add_scalar(shown, logs[name], state.global_step)  # type: ignore[index]

    def close(self) -> None:
        """Write out what is left."""
        self.writer.close()
