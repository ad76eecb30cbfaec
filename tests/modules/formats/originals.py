"""Runs scripts in the libraries that the formats come from, which need an environment of their own (``make originals``)."""

import os
import subprocess

import pytest

from tests.requirements import required, without

PYTHON = os.environ.get("XLRANK_ORIGINALS_PYTHON", "")
MISSING = "XLRANK_ORIGINALS_PYTHON names no Python with adapters and peft (`make originals` makes one)"
needs_originals = pytest.mark.skipif(not PYTHON and not required("originals"), reason=MISSING)


def run_original(script: str, *arguments: str) -> None:
    """Run a script with the originals' Python; what it prints is shown if it fails."""
    if not PYTHON:
        without("originals", MISSING)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [PYTHON, "-c", script, *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
