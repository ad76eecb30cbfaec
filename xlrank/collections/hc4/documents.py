"""The documents of HC4: read, and compared with the checksums that HC4 publishes, within little memory."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xlrank.collections.hc4.objects import json_object
from xlrank.collections.reading import numbered_lines
from xlrank.errors import XlrankError

Texts = tuple[str, str, str]
"""Id, title and text of a document, as they are in its file."""

Checksum = tuple[str, str]
"""Id of a document, and the MD5 of its title and text, hexadecimal."""

EXPECTED = 'one document of HC4 a line: an object with "id", "title" and "text"'
EXPECTED_IDS = 'one object a line with the "id" and "md5" of a document'

BUCKETS = 4096
"""Parts that the ids are divided into by hash: a sum over each tells whether it holds the same documents on both sides."""

MOST_BUCKETS = 64
"""Parts that differ and are looked at document by document; if all do, that is one document in 64."""

REISSUED = {"8d056f3ca11ca0deea8fdac670d40edb": "a0248852c6d3313db8beaa6ee01a1afc"}
"""New to old checksum of a document that has changed on Common Crawl, as HC4 records (changed_docs.md)."""


def read_hc4_documents(path: Path) -> Iterator[Texts]:
    """Documents from JSON lines, streamed.

    Raises:
        XlrankError: the file is missing or cut short, or a line is no document of HC4.
    """
    number = 0
    for number, (place, line) in enumerate(numbered_lines(path, EXPECTED), 1):
        id_, title, text = (json_object(line, place, EXPECTED).get(name) for name in ("id", "title", "text"))
        if not isinstance(id_, str) or not isinstance(text, str) or not isinstance(title, str | None):
            raise XlrankError(f"{place}: expected {EXPECTED}")
        yield id_, title or "", text
    if not number:
        raise XlrankError(f"{path}: holds no documents; expected {EXPECTED}")


def read_checksums(paths: Sequence[Path]) -> Iterator[Checksum]:
    """Ids and checksums from HC4's ``ids*.jsonl.gz``.

    Raises:
        XlrankError: a file is missing or cut short, or a line is malformed.
    """
    for path in paths:
        for place, line in numbered_lines(path, EXPECTED_IDS):
            id_, md5 = (json_object(line, place, EXPECTED_IDS).get(name) for name in ("id", "md5"))
            if not isinstance(id_, str) or not isinstance(md5, str):
                raise XlrankError(f"{place}: expected {EXPECTED_IDS}")
            yield id_, md5


def checksum(document: Texts) -> Checksum:
    """A document's id and checksum, as HC4 computes it; a known new one counts as the old."""
    id_, title, text = document
    md5 = hashlib.md5((title.strip() + text.strip()).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return id_, REISSUED.get(md5, md5)


def differences(published: Callable[[], Iterable[Checksum]], found: Callable[[], Iterable[Checksum]]) -> tuple[int, list[str]]:
    """How many documents were found, and how they differ from what is published: one line each.

    Every document is compared, but none is held: both sides are summed up by hash, and only parts that differ are read again.

    Args:
        published: gives the published checksums, each time from the start.
        found: gives those of the documents.
    """
    (wanted_sums, wanted), (found_sums, count) = _sums(published()), _sums(found())
    different = np.flatnonzero(wanted_sums != found_sums)
    if not len(different):
        return count, []
    buckets = frozenset(different[:MOST_BUCKETS].tolist())
    sought = {id_: md5 for id_, md5 in published() if _bucket(id_) in buckets}
    problems: list[str] = [] if wanted == count else [f"{count} documents, {wanted} are published"]
    seen: set[str] = set()
    for id_, md5 in found():
        if _bucket(id_) not in buckets:
            continue
        if id_ in seen:
            problems.append(f"document {id_!r} stands twice")
        elif id_ not in sought:
            problems.append(f"document {id_!r} is not one of those published")
        elif sought[id_] != md5:
            problems.append(f"document {id_!r} has another text than published: MD5 {md5}, not {sought[id_]}")
        seen.add(id_)
    problems += [f"document {id_!r} is missing" for id_ in sought if id_ not in seen]
    if len(different) > MOST_BUCKETS:
        problems.append(f"only one document in {BUCKETS // MOST_BUCKETS} was looked at one by one, as very many differ")
    return count, problems


def _sums(checksums: Iterable[Checksum]) -> tuple[NDArray[np.uint64], int]:
    sums, count = [0] * BUCKETS, 0
    for count, (id_, md5) in enumerate(checksums, 1):
        sums[_bucket(id_)] += _hash(f"{id_} {md5}")
    return np.array([total % 2**64 for total in sums], np.uint64), count


def _bucket(id_: str) -> int:
    return _hash(id_) % BUCKETS


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
