"""What single tests need beyond the package: they are skipped without it, or fail where ``XLRANK_REQUIRED`` names it."""

import os
from typing import NoReturn

import pytest


def required(what: str) -> bool:
    """Whether ``XLRANK_REQUIRED``, names with spaces between them, asks for ``browser`` or ``originals``."""
    return what in os.environ.get("XLRANK_REQUIRED", "").split()


def without(what: str, reason: str) -> NoReturn:
    """Skip a test that cannot run, or let it fail if it has to."""
    if required(what):
        pytest.fail(f"XLRANK_REQUIRED asks for {what}: {reason}", pytrace=False)
    pytest.skip(reason)
