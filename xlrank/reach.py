"""Whether models of the Hugging Face Hub can be asked for, and what to say where they cannot.

The libraries ask the Hub for every file, and ask again for a minute and more where nothing answers. Here it is asked once; where
it does not answer, they are told to take what the cache holds.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic
from typing import Any

from xlrank.errors import XlrankError

TIMEOUT = 10.0
"""Seconds to wait for the Hub's answer."""
REMEMBERED = 60.0
"""Seconds for which the answer counts."""
VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Environment variables that keep the libraries from the network; the first that is not empty counts."""
ABSENT = re.compile(r"couldn't connect|couldn't find|can't load|does not appear to have", re.IGNORECASE)
"""How the libraries say that the cache lacks something."""


def offline_variable() -> str | None:
    """The environment variable that keeps the libraries from the network, None if nothing does."""
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE:
        return None
    return next((name for name in VARIABLES if os.environ.get(name)), VARIABLES[0])


@contextmanager
def loading(what: str, name: str) -> Iterator[dict[str, Any]]:
    """Options for loading a model in the block: from the cache alone, where the Hub cannot be asked.

    Args:
        what: the model, as the message calls it.
        name: a Hub name or a folder.

    Raises:
        XlrankError: the Hub cannot be asked, and the cache lacks something.
    """
    cached = why_cached(name)
    try:
        yield {"local_files_only": True} if cached else {}
    except Exception as error:  # every version of the libraries has errors of its own
        if cached and is_absent(error):
            raise XlrankError(f"{what} cannot be loaded: {cached}") from None
        raise


def why_cached(name: str) -> str:
    """Why a model that the cache lacks cannot be loaded, as the end of a message; empty for a folder, or if the Hub answers."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # its docs name it here

    if os.path.exists(name):  # unlike pathlib's, it takes names that no file can have
        return ""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return ""
    variable = offline_variable()
    if variable:
        return f"it is no folder and not in the cache, and {variable} is set; unset it to download"
    if _answers(int(monotonic() // REMEMBERED)):
        return ""
    return "it is no folder and not in the cache, and the Hub cannot be reached; check the connection, then try again"


def is_absent(error: Exception) -> bool:
    """Whether a library's error says that the cache lacks a file, and not that something is wrong with one."""
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LocalEntryNotFoundError | OfflineModeIsEnabled):
            return True
        cause = cause.__cause__
    return bool(ABSENT.search(str(error)))


@lru_cache(maxsize=1)
def _answers(_minute: int) -> bool:
    """Whether the Hub gives any answer at all, asked for once a minute."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=TIMEOUT)
    except Exception:  # every version of the library has errors of its own for a connection
        return False
    return True
