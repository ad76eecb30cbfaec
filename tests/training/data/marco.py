"""A tiny folder in the layout of MS MARCO."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

TRIPLES = "qidpidtriples.train.tsv"
HELDOUT = "msmarco-qidpidtriples.rnd-shuf.train-eval.tsv"


def write_marco(folder: Path, queries: int = 12, passages: int = 40, *, rows: int = 60, packed: bool = False) -> Path:
    """Queries 100, 101, …, passages 0, 1, …, and triples in which query 100 + i has passage i relevant."""
    folder.mkdir(parents=True, exist_ok=True)
    collection = "".join(f"{i}\tpassage number {i}\n" for i in range(passages))
    asked = "".join(f"{100 + i}\tquestion number {i}\n" for i in range(queries))
    triples = "".join(f"{100 + i % queries}\t{i % queries}\t{queries + i % (passages - queries)}\n" for i in range(rows))
    if packed:
        write_tar(folder / "collection.tar.gz", {"collection.tsv": collection})
        half = len(asked.splitlines()) // 2
        parts = asked.splitlines(keepends=True)
        write_tar(
            folder / "queries.tar.gz",
            # The last line of the first file has no end: it must not run into the next file's first.
            {"x/queries.dev.tsv": "".join(parts[:half]).rstrip("\n"), "readme": "no", "queries.train.tsv": "".join(parts[half:])},
        )
        (folder / f"{TRIPLES}.gz").write_bytes(gzip.compress(triples.encode()))
    else:
        (folder / "collection.tsv").write_text(collection)
        (folder / "queries.train.tsv").write_text(asked)
        (folder / TRIPLES).write_text(triples)
    return folder


def write_tar(path: Path, members: Mapping[str, str]) -> None:
    """A ``.tar.gz`` of text files."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
