"""How ir_datasets (https://ir-datasets.com) is loaded, and its errors told in one line; it is imported when first needed."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xlrank.errors import XlrankError

PREFIX = "irds:"

LONGEST_REASON = 300
"""Characters that are kept of what ir_datasets says."""

UNREACHED = re.compile(r"host='([^']+)', port=[0-9]+\): Max retries exceeded")
"""How the library that ir_datasets downloads with says, at length, that it cannot connect."""


def load_dataset(id: str) -> Any:  # noqa: ANN401 - ir_datasets' own
    """A dataset of ir_datasets by its id; nothing of it is read or downloaded.

    Raises:
        XlrankError: ir_datasets is not installed, does not know the id, or cannot fetch what it needs to know about it.
    """
    if find_spec("ir_datasets") is None:
        raise XlrankError(f"{PREFIX}{id}: needs the package ir_datasets: pip install 'xlrank[collections]'")
    import ir_datasets

    with told(id, "dataset"):
        try:
            return ir_datasets.load(id)
        except KeyError:
            raise XlrankError(f"{PREFIX}{id}: ir_datasets knows no such dataset; see https://ir-datasets.com") from None


@contextmanager
def told(id: str, part: str) -> Iterator[None]:
    """Turn whatever goes wrong within ir_datasets into one line: what it said, and how the files are obtained.

    Args:
        id: of the dataset.
        part: of it, such as ``documents``.

    Raises:
        XlrankError: instead of any other exception, which is its cause.
    """
    try:
        yield
    except XlrankError:
        raise
    except Exception as error:  # its readers and downloads raise whatever the libraries below them do
        top = id.partition("/")[0]
        raise XlrankError(
            f"{PREFIX}{id}: ir_datasets cannot read the {part} ({reason(error)}); it downloads what may be downloaded, where "
            f"there is a network; https://ir-datasets.com/{top}.html says what else to put under {irds_folder() / top}"
        ) from error


def told_items(id: str, part: str, items: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """What a function of ir_datasets gives one by one, with its errors as of :func:`told`."""
    with told(id, part):
        yield from items()


def irds_folder() -> Path:
    """Where ir_datasets keeps its files; it is not created, and ir_datasets not imported."""
    return Path(os.environ.get("IR_DATASETS_HOME") or Path.home() / ".ir_datasets")


def reason(error: BaseException) -> str:
    """What went wrong within ir_datasets, in a few words."""
    if isinstance(error, FileNotFoundError) and len(error.args) == 1:
        return f"{error} is missing"
    text = " ".join(str(error).split())
    host = UNREACHED.search(text)
    text = f"no connection to {host[1]}" if host else f"{type(error).__name__}: {text}"
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "…"
