"""transformers' Trainer, with whole checkpoints, every loss looked at, and the time spent waiting for data measured."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, SequentialSampler
from transformers import Trainer

from xlrank.errors import XlrankError
from xlrank.training import checkpoints
from xlrank.training.callbacks import LossGuard

if TYPE_CHECKING:
    from xlrank.training.batches import Collator
    from xlrank.training.loop import Learner


@dataclass
class Progress:
    """What a run has measured so far, over all the sessions in which it was continued.

    Attributes:
        before: held-out loss before the first step.
        seconds: spent until now, steps that an interruption undid left out.
        waiting: seconds in which the steps waited for their batches.
        working: seconds of the steps themselves.
        seen: what the learner counts, by name.
        resumed: steps at which the run was continued.
    """

    before: float | None = None
    seconds: float = 0.0
    waiting: float = 0.0
    working: float = 0.0
    seen: dict[str, int] = field(default_factory=dict)
    resumed: list[int] = field(default_factory=list)


class ModuleTrainer(Trainer):  # type: ignore[misc]
    """The Trainer as :func:`xlrank.training.loop.train` needs it.

    Args:
        learner: what learns.
        arguments: the Trainer's own.
        configuration: what a checkpoint must share to be continued from.
        progress: where the run stands.
        collate: makes batches of numbered examples.
        train_set: numbered examples.
        heldout_set: numbered examples.
    """

    def __init__(
        self,
        learner: "Learner",
        arguments: Any,  # noqa: ANN401 - the Trainer's own types here and below
        *,
        configuration: Mapping[str, Any],
        progress: Progress,
        collate: "Collator",
        train_set: "Dataset[Any]",
        heldout_set: "Dataset[Any]",
    ) -> None:
        super().__init__(model=learner, args=arguments, data_collator=collate, train_dataset=train_set, eval_dataset=heldout_set)
        # Each batch's loss is a mean: batches of a step, and processes, count alike.
        self.model_accepts_loss_kwargs = False
        self.configuration, self.progress = configuration, progress
        self.work = Path(arguments.output_dir)
        self.guard = LossGuard(self.work)
        self.fetched: dict[str, int] = {}
        self.began, self.earlier = time.monotonic(), progress.seconds

    optimizer: Any

    def create_optimizer(self, model: Any = None) -> Any:  # noqa: ANN401
        """AdamW over what the learner says it optimises; biases and layer norms do not decay."""
        if self.optimizer is None:
            named = list(self.model.optimised_parameters())
            own = {id(parameter) for parameter in self.model.parameters()}
            if not named or any(id(parameter) not in own for _, parameter in named):
                # Others would neither be in checkpoints nor be averaged over processes.
                raise ValueError("optimised_parameters() must name parameters of the learner, and at least one")
            decaying = set(self.get_decay_parameter_names(self.model))
            groups = [[p for name, p in named if name in decaying], [p for name, p in named if name not in decaying]]
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            decays = (self.args.weight_decay, 0.0)
            self.optimizer = kind([{"params": g, "weight_decay": d} for g, d in zip(groups, decays, strict=True)], **options)
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:  # noqa: ANN401
        """The numbered examples come shuffled."""
        return SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)

    def get_batch_samples(self, *arguments: Any) -> Any:  # noqa: ANN401
        """The batches of one step, with the time that they took; the global random states stay as they are."""
        started = time.perf_counter()
        # A loader that starts to iterate draws from torch's global state, and a resumed run starts one more often.
        with torch.random.fork_rng(devices=[]):
            try:
                batches, items = super().get_batch_samples(*arguments)
            except XlrankError as error:
                # A worker process sends its whole traceback as the message; the last line is what was said.
                raise XlrankError(str(error).strip().splitlines()[-1].removeprefix("xlrank.errors.XlrankError: ")) from None
        for batch in batches:
            for name, count in self.model.count(batch).items():
                self.fetched[name] = self.fetched.get(name, 0) + count
        self.working_since = time.perf_counter()
        self.progress.waiting += self.working_since - started
        return batches, items

    def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """The learner's loss, which must be finite."""
        result = super().compute_loss(model, inputs, *arguments, **options)
        if model.training:
            loss: Tensor = result[0] if isinstance(result, tuple) else result
            self.guard.see(loss, self.state.global_step + 1)
        return result

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:  # noqa: ANN401
        """The held-out loss, which must be finite."""
        self.guard.check()
        metrics: dict[str, float] = super().evaluate(*arguments, **options)
        self.guard.require_finite(metrics["eval_loss"], self.state.global_step, " on held-out data")
        if not self.state.global_step:
            self.progress.before = metrics["eval_loss"]
        return metrics

    def _maybe_log_save_evaluate(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        self.progress.working += time.perf_counter() - self.working_since
        self.working_since = time.perf_counter()
        super()._maybe_log_save_evaluate(*arguments, **options)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Write what learns, and nothing that would have to be unpickled."""
        from safetensors.torch import save_file

        folder = Path(output_dir or self.work)
        if self.args.should_save:
            folder.mkdir(parents=True, exist_ok=True)
            values = state_dict or self.model.state_dict()
            save_file({name: value.contiguous() for name, value in values.items()}, folder / checkpoints.WEIGHTS)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:  # noqa: ANN401
        """Write a checkpoint, sealed when it is whole; a full disk leaves the one before."""
        self.guard.check()
        folder = self.work / f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            shutil.rmtree(folder, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            progress = asdict(self.measured())
            if self.args.should_save:
                checkpoints.seal(folder, self.configuration, progress)
        except Exception as error:
            # torch and safetensors wrap the operating system's error in types of their own.
            if not (isinstance(error, OSError) or checkpoints.is_full_disk(error)):
                raise
            shutil.rmtree(folder, ignore_errors=True)
            raise self._not_saved(error) from None

    def _not_saved(self, error: Exception) -> XlrankError:
        full = checkpoints.is_full_disk(error)
        cause = "no space left" if full else getattr(error, "strerror", None) or str(error)
        remedy = "make space" if full else "repair that"
        return XlrankError(
            f"training: the checkpoint of step {self.state.global_step} cannot be written to {self.work} ({cause}); "
            f"{checkpoints.last_good(self.work)}; {remedy}, and the same command goes on from there"
        )

    def measured(self) -> Progress:
        """Where the run stands now, with the counts of all processes added up (so all of them must ask)."""
        names = sorted(self.fetched)
        counts = torch.tensor([self.fetched[name] for name in names], dtype=torch.int64, device=self.args.device)
        if names and self.args.world_size > 1:
            counts = self.accelerator.reduce(counts, "sum")
        for name, count in zip(names, counts.tolist(), strict=True):
            self.progress.seen[name] = self.progress.seen.get(name, 0) + int(count)
        self.fetched = {}
        self.progress.seconds = self.earlier + time.monotonic() - self.began
        return self.progress
