"""Our settings as the Trainer's arguments."""

import atexit
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from xlrank.errors import XlrankError
from xlrank.precision import resolve_precision
from xlrank.training.settings import Settings

LOG_EVERY = 20
"""Steps between two looks at the training loss."""


def trainer_arguments(settings: Settings, work: Path) -> TrainingArguments:
    """The Trainer's arguments; making them joins the other processes of a distributed run.

    Raises:
        XlrankError: fp16 without a GPU.
    """
    on_gpu = torch.cuda.is_available()
    if settings.precision == "fp16" and not on_gpu:
        raise XlrankError("training: fp16 needs a GPU; take --precision auto, bf16 or fp32")
    options = _options(settings, work, on_gpu=on_gpu)
    joined = TrainingArguments(**options)
    if joined.world_size > 1:
        atexit.register(_part)
    precision = _agreed_precision(settings, joined.world_size)
    arguments = TrainingArguments(**options, bf16=precision == "bf16", fp16=precision == "fp16")
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs take part by torchrun, never by threads of one process
    return arguments


def _options(settings: Settings, work: Path, *, on_gpu: bool) -> dict[str, Any]:
    return {
        "output_dir": str(work),
        "max_steps": settings.steps,
        "per_device_train_batch_size": settings.batch,
        "per_device_eval_batch_size": settings.batch,
        "gradient_accumulation_steps": settings.accumulate,
        "learning_rate": settings.rate,
        "warmup_steps": round(settings.warmup * settings.steps),
        "lr_scheduler_type": settings.scheduler,
        "weight_decay": settings.weight_decay,
        "seed": settings.seed,
        "data_seed": settings.seed,
        "save_steps": settings.save_every,
        "eval_steps": settings.save_every,
        "eval_strategy": "steps",
        # The best one, the newest, and the one before in case that is damaged.
        "save_total_limit": 2 if settings.patience is None else 3,
        "metric_for_best_model": None if settings.patience is None else "eval_loss",
        "greater_is_better": False,
        "logging_steps": LOG_EVERY,
        "logging_nan_inf_filter": False,
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "label_names": ["labels"],
        "prediction_loss_only": True,
        "use_cpu": not on_gpu,
        "dataloader_pin_memory": on_gpu,
        "dataloader_num_workers": settings.workers,
        # The numbered examples start where the checkpoint ends: there is nothing to skip.
        "ignore_data_skip": True,
        # Frozen tables of hundreds of megabytes need not be sent around before each batch.
        "ddp_broadcast_buffers": False,
        "accelerator_config": {"dispatch_batches": False},
    }


def _agreed_precision(settings: Settings, processes: int) -> str:
    """What all processes compute in: each would measure for itself, and might find otherwise."""
    if settings.precision != "auto":
        return settings.precision
    if processes == 1:
        return resolve_precision("auto")
    from accelerate.utils import broadcast_object_list

    answer = [resolve_precision("auto") if torch.distributed.get_rank() == 0 else None]
    return str(broadcast_object_list(answer)[0])


def _part() -> None:
    """Part from the other processes in good order, as torch asks, when this one ends."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
