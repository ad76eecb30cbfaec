"""Which source an id means, and the list of those that are known."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from xlrank.collections.beir import CORPUS, OPTIONS, BeirSource, found
from xlrank.collections.clef import ClefSource
from xlrank.collections.clef.layouts import TOPIC_IDS
from xlrank.collections.folder import FolderSource
from xlrank.collections.hc4 import Hc4Source
from xlrank.collections.hc4.files import CODES, SPLITS
from xlrank.collections.irds import IrdsSource
from xlrank.collections.irds_loading import PREFIX as IRDS
from xlrank.collections.options import split_options
from xlrank.collections.source import Description, Source
from xlrank.errors import XlrankError
from xlrank.files import data_folder
from xlrank.languages import language_code

FOLDER = "folder:"
EMBEDDED = ("mini",)
PAIR = re.compile(r"(?P<query>[A-Za-z]{2,3})-(?P<document>[A-Za-z]{2,3})")

Pair = tuple[str, str] | tuple[()]
"""Query and document language that an id ends with, or nothing."""


def open_source(id: str) -> tuple[Source, Pair]:
    """The source of a collection, and the languages that its id ends with.

    Raises:
        XlrankError: no such collection, or not that part or language of it.
    """
    if id.startswith(FOLDER):
        return _folder(id), ()
    path, mark, options = id.partition("?")
    name, pair = _pair(path)
    if id.startswith(IRDS):
        return IrdsSource(name + mark + options), pair
    family, _, rest = name.partition("/")
    if family not in FAMILIES:
        raise XlrankError(f"unknown collection {id!r}; known: {', '.join(KNOWN)}, {IRDS}ID, {FOLDER}PATH")
    return FAMILIES[family](name + mark + options, rest + mark + options), pair


def listed() -> Iterator[Description]:
    """All collections that have a name of their own."""
    for id_ in KNOWN:
        source = open_source(id_)[0]
        yield replace(source.describe(), counts=source.expected_counts())


def _pair(id: str) -> tuple[str, Pair]:
    """An id without the languages at its end, and these."""
    name, slash, end = id.rpartition("/")
    found = PAIR.fullmatch(end) if slash else None
    if found is None:
        return id, ()
    return name, (language_code(found["query"]), language_code(found["document"]))


def _folder(id: str) -> Source:
    folder = Path(id.removeprefix(FOLDER))
    if folder.is_dir() and not found(folder, CORPUS):
        return FolderSource(id, folder)
    name, options = split_options(id, OPTIONS)
    folder = Path(name.removeprefix(FOLDER))
    if found(folder, CORPUS) and not any(folder.glob("documents.*.jsonl")):
        return BeirSource(id, folder, options)
    if options:
        raise XlrankError(f"collection {id!r}: options are for folders in BEIR's layout; {folder} holds no {CORPUS}")
    return FolderSource(id, folder)


def _embedded(name: str, rest: str) -> Source:
    if rest:
        raise XlrankError(f"collection {name!r}: expected QUERY-DOCUMENT languages after the slash, e.g. mini/ky-en")
    return FolderSource(name, data_folder() / name)


FAMILIES: dict[str, Callable[[str, str], Source]] = {
    "mini": _embedded,
    "clef": ClefSource,
    "hc4": lambda name, _: Hc4Source.opened(name),
}
"""First part of an id to what opens it; called with the id without languages, and with what follows the first slash; both
end with the id's options, ``?NAME=VALUE``, where it has any."""

KNOWN: list[str] = [
    *EMBEDDED,
    *(f"clef/{year}" for year in TOPIC_IDS),
    *(f"hc4/{language}/{split}" for language in CODES for split in SPLITS),
]
