"""One lexical engine in a process of its own, so that its peak memory is its own: prints a line of JSON.

``python -m benchmarks.lexical bm25|bm25s LANGUAGE FOLDER``: indexes the folder's documents, then searches them with its
queries; engine and Java together. FOLDER holds ``documents.LANGUAGE.tsv`` and ``queries.LANGUAGE.tsv``.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from xlrank.collections.documents import Documents
from xlrank.collections.records import Document
from xlrank.files import file_record
from xlrank.retrieval.engine import lexical_engine

DEPTH = 1000


def main() -> None:
    """Measure and print: documents and queries a second (by the clock, and by seconds of processor), MB at the highest."""
    name, language, place = sys.argv[1:]
    source = Path(place) / f"documents.{language}.tsv"

    def read() -> Iterator[Document]:
        with source.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                yield Document(f"{language}-{number}", line.rstrip("\n"))

    documents = Documents.stored("benchmark", [language, file_record(source)], read)
    queries = dict(enumerate((Path(place) / f"queries.{language}.tsv").read_text("utf-8").splitlines()))
    asked = {str(number): query for number, query in queries.items()}
    engine = lexical_engine(name, language)
    with TemporaryDirectory() as folder:
        begin = _now()
        index = engine.index(documents, Path(folder))
        indexed = _now()
        size, building = sum(path.stat().st_size for path in index.rglob("*")), _megabytes()
        engine.search(index, asked, DEPTH)
        done = _now()
    facts = {"documents": _speed(len(documents), begin, indexed), "queries": _speed(len(asked), indexed, done)}
    print(json.dumps({**facts, "indexing MB": building, "peak MB": _megabytes(), "index MB": size / 1e6}))


def _now() -> tuple[float, float]:
    """The clock, and seconds of processor of this process and of those it started."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used)


def _speed(count: int, begin: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    return count / (end[0] - begin[0]), count / (end[1] - begin[1])


def _megabytes() -> list[float]:
    """Peak memory of this process, and of the largest one that it started."""
    return [resource.getrusage(who).ru_maxrss / 1e3 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


if __name__ == "__main__":
    main()
