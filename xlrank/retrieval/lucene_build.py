"""Building a Lucene index in parts: a build that was interrupted goes on after the last whole part.

While an index is built there is a hidden folder beside it. It holds a Lucene index for each part, named by the numbers of
its first document and of the one after its last; at the end they are merged, and the result gets the index's name.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from xlrank.collections.records import Document
from xlrank.files import build_lock, unwritable, write_json
from xlrank.progress import Progress
from xlrank.retrieval.lucene_java import Worker, worker

PART_DOCUMENTS, PART_CHARACTERS, PARTS = 20_000, 1 << 26, 64
"""A part ends at either number, but there are about so many parts at most."""
MANIFEST, IDS = "xlrank.json", "ids.txt"


@dataclass(frozen=True)
class Settings:
    """How documents are indexed.

    Attributes:
        prepare: applied to each text first.
        analyzer: Lucene's, by its code; ``whitespace``: texts are terms already.
        vectors: whether each document's terms are kept, which relevance feedback reads.
        threads: of Java.
    """

    prepare: Callable[[str], str]
    analyzer: str
    vectors: bool
    threads: int


def build(
    index: Path,
    documents: Sequence[Document],
    settings: Settings,
    description: Mapping[str, Any],
    progress: Progress | None = None,
) -> None:
    """Build ``index``, unless it is there, or another process builds it meanwhile.

    Args:
        index: the folder to be; its name stands for all of the following.
        documents: read once, one by one.
        settings: how.
        description: what the index's manifest says.
        progress: told how many documents are indexed.

    Raises:
        XlrankError: Java failed, or the disk is full. Parts that are whole stay for the next call.
    """
    with build_lock(index) as lock:
        work = index.parent / f".{index.name}.building"
        if index.is_dir():
            return
        try:
            (work / "parts").mkdir(parents=True, exist_ok=True)
            with worker("index", f"{index}: cannot be built", inherited=[lock]) as java:
                _build(java, work, documents, settings, progress)
            write_json(work / "whole" / MANIFEST, {**description, "documents": len(documents)})
            (work / "whole").replace(index)
        except OSError as error:
            raise unwritable(index, error) from None
        finally:
            if index.is_dir() or not _finished(work / "parts"):
                shutil.rmtree(work, ignore_errors=True)


def _build(java: Worker, work: Path, documents: Sequence[Document], settings: Settings, progress: Progress | None) -> None:
    parts = work / "parts"
    report = progress or (lambda _done, _total: None)
    done = max((_numbers(part)[1] for part in _finished(parts)), default=0)
    for path in [*(path for path in parts.iterdir() if path not in _finished(parts)), work / "source", work / "whole"]:
        shutil.rmtree(path, ignore_errors=True)
    if done:
        report(done, len(documents))
    waiting: list[tuple[int, Path]] = []

    def finish() -> None:
        stop, source = waiting.pop()
        java.wait()
        shutil.rmtree(source)
        report(stop, len(documents))

    # While Java works on one part, the next one is written.
    for start, stop, source, count in _sources(work / "source", documents, done, settings):
        if waiting:
            finish()
        details = {"analyzer": settings.analyzer, "vectors": settings.vectors, "threads": settings.threads}
        java.give("index", source=str(source), part=str(parts / f"{start:09}-{stop:09}"), documents=count, **details)
        waiting.append((stop, source))
    if waiting:
        finish()
    java.give(
        "merge",
        parts=[str(part) for part in _finished(parts)],
        index=str(work / "whole"),
        ids=str(work / "whole" / IDS),
    )
    java.wait()


def _numbers(part: Path) -> tuple[int, int]:
    start, _, stop = part.name.partition("-")
    return int(start), int(stop)


def _finished(parts: Path) -> list[Path]:
    """The parts that are whole, in order, as far as they follow each other."""
    found: list[Path] = []
    for part in sorted(part for part in parts.glob("*-*") if not part.suffix):
        if _numbers(part)[0] == (_numbers(found[-1])[1] if found else 0):
            found.append(part)
    return found


def _sources(folder: Path, documents: Sequence[Document], start: int, settings: Settings) -> Iterator[tuple[int, int, Path, int]]:
    """Write parts from document ``start`` on; yields first number, number after the last, folder, documents with text.

    One file a thread, since Anserini gives each thread whole files; ASCII, so that no charset can go wrong.
    """
    most, stream = max(PART_DOCUMENTS, -(-len(documents) // PARTS)), enumerate(islice(iter(documents), start, None), start + 1)
    stop = start
    while stop < len(documents):
        source = folder / str(start)
        source.mkdir(parents=True)
        count = characters = 0
        with ExitStack() as stack:
            files = [stack.enter_context((source / f"{i}.jsonl").open("w", encoding="ascii")) for i in range(settings.threads)]
            for stop, document in stream:
                text = settings.prepare(document.full_text)
                if text:
                    line = json.dumps({"id": document.id, "contents": text}) + "\n"
                    files[count % len(files)].write(line)
                    count, characters = count + 1, characters + len(line)
                if stop - start >= most or characters >= PART_CHARACTERS:
                    break
        if count:
            yield start, stop, source, count
        start = stop
