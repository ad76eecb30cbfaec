"""Settings: wrong values are named before anything is computed, and equal ones mean equal modules."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.toy import SETTINGS
from xlrank.errors import XlrankError
from xlrank.training.loop import Settings


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("steps", 0, "steps is 0; expected a whole number from 1 on"),
        ("steps", 2.5, "steps is 2.5"),
        ("steps", True, "steps is True"),
        ("batch", -1, "batch is -1"),
        ("rate", 0.0, "rate is 0.0; expected a number above 0"),
        ("rate", float("nan"), "rate is nan"),
        ("rate", "fast", "rate is 'fast'"),
        ("warmup", 1.5, "warmup is 1.5; expected a share from 0 to 1"),
        ("seed", -1, "seed is -1"),
        ("seed", 2**32, "seed is 4294967296; expected a whole number below 2"),
        ("save_every", 0, "save every is 0"),
        ("accumulate", 0, "accumulate is 0"),
        ("precision", "int8", "precision is 'int8'; expected one of auto, fp32, bf16, fp16"),
        ("weight_decay", -0.1, "weight decay is -0.1"),
        ("patience", 0, "patience is 0; expected a number of evaluations"),
        ("scheduler", "up", "scheduler is 'up'; expected one of linear, cosine"),
        ("workers", -1, "workers is -1"),
    ],
)
def test_settings_out_of_range_are_one_line(field: str, value: object, problem: str) -> None:
    with pytest.raises(XlrankError) as caught:
        Settings(**{field: value})  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"training: {problem}")
    assert "\n" not in str(caught.value)


def test_settings_are_alike_when_the_module_is(tmp_path: Path) -> None:
    assert repr(replace(SETTINGS, log_folder=tmp_path, workers=3)) == repr(SETTINGS)
    assert replace(SETTINGS, log_folder=tmp_path, workers=3).identity() == SETTINGS.identity()
    for field in ("steps", "batch", "save_every", "accumulate", "patience"):
        assert repr(replace(SETTINGS, **{field: 77})) != repr(SETTINGS)  # type: ignore[arg-type]
