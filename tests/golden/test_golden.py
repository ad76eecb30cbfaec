"""Parity with the original libraries and refusal of hostile files, case by case."""

import os
from pathlib import Path

import pytest

from tests.golden.cases import run_case

GOLDENS = Path(os.environ.get("XLRANK_SHARED", "")) / "goldens"
CASES = sorted(path.parent.name for path in GOLDENS.glob("*/case.json")) if "XLRANK_SHARED" in os.environ else []

pytestmark = pytest.mark.skipif("XLRANK_SHARED" not in os.environ, reason="XLRANK_SHARED is not set: no goldens to compare with")


def test_there_are_goldens() -> None:
    assert CASES, f"{GOLDENS} holds no case"


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    outcome = run_case(GOLDENS / name)
    assert outcome.passed, f"{outcome.name}: {outcome.said}"
