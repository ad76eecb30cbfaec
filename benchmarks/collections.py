"""Reading CLEF's newspapers: megabytes a second and memory of every layout, beside lxml's HTML parser (as published)."""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import Times, print_table
from xlrank.collections.clef.documents import read_documents
from xlrank.collections.clef.layouts import LAYOUTS, Layout

MEGABYTES, ROUNDS, WORDS_A_DOCUMENT = 20, 3, 400
ALPHABETS = {"ru": "абвгдежзийклмнопрстуфхцчшщыьэюя", "en": "abcdefghijklmnoprstuvwy"}
ACCENTED = "abcdefghiklmnoprstuvz" * 3 + "äöüéàèß"


def run() -> None:
    """Measure and print."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, layout in enumerate(LAYOUTS):
            path = Path(folder) / f"{number}.sgml"
            _write(path, layout)
            rows.append(_row(path, number, layout))
            path.unlink()
    print_table(
        f"CLEF documents read, {MEGABYTES} MB a newspaper, a process each; processor time, best of {ROUNDS} rounds",
        ["newspaper", "documents", "MB/s", "memory MB", "lxml MB/s", "lxml memory MB", "time to lxml", "memory to lxml"],
        rows,
    )


def _row(path: Path, number: int, layout: Layout) -> list[str]:
    found = {reader: [_child(reader, path, number) for _ in range(ROUNDS)] for reader in ("xlrank", "lxml")}
    ours, theirs = (Times([each["seconds"] for each in of_reader]) for of_reader in found.values())
    memory = {reader: max(each["memory"] for each in of_reader) / 2**20 for reader, of_reader in found.items()}
    counts = {each["documents"] for of_reader in found.values() for each in of_reader}
    assert len(counts) == 1, f"{layout.name}: the readers found different numbers of documents: {counts}"
    size = path.stat().st_size / 1e6
    return [
        f"{layout.language} {layout.name}",
        str(counts.pop()),
        f"{size / ours.best:.0f}",
        f"{memory['xlrank']:.1f}",
        f"{size / theirs.best:.0f}",
        f"{memory['lxml']:.0f}",
        f"{ours.ratio(theirs):.2f}",
        f"{memory['xlrank'] / memory['lxml']:.3f}",
    ]


def _child(reader: str, path: Path, number: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.collections", reader, str(path), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main() -> None:
    """Read one file in this process and print a line of JSON: processor seconds, bytes of memory on top, documents."""
    reader, path, layout = sys.argv[1], Path(sys.argv[2]), LAYOUTS[int(sys.argv[3])]
    if reader == "lxml":
        import lxml.html  # noqa: F401 - before the clock starts

        from tests.collections.clef.peer import peer_documents
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    if reader == "lxml":
        count = sum(1 for _ in peer_documents(path.read_text(layout.encoding), layout))
    else:
        count = sum(1 for _ in read_documents([(path, layout)]))
    seconds = time.process_time() - start  # of this process: the machine may be busy
    memory = 1024 * max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 1)
    print(json.dumps({"seconds": seconds, "memory": memory, "documents": count}))


def _write(path: Path, layout: Layout) -> None:
    """A file of made-up documents in a layout: lines of words, now and then an entity, and fields that are not read."""
    source = random.Random(0)
    letters = ALPHABETS.get(layout.language, ACCENTED)
    words = ["".join(source.choices(letters, k=source.randint(2, 11))) for _ in range(5000)] + ["AT&amp;T", "caf&eacute;", "R&D"]
    written, number = 0, 0
    with path.open("wb") as stream:
        while written < MEGABYTES * 10**6:
            number += 1
            document = _document(number, layout, words, source).encode(layout.encoding)
            stream.write(document)
            written += len(document)


def _document(number: int, layout: Layout, words: list[str], source: random.Random) -> str:
    parts = [f"<DOC>\n<DOCNO> X{number:06} </DOCNO>\n<DOCID>X{number:06}</DOCID>\n<DATE>940101</DATE>\n<PAGE>3</PAGE>\n"]
    paths = [field.removesuffix("*").split("/") for field in layout.fields]
    tops = list(dict.fromkeys(path[0] for path in paths))
    for top in tops:
        inside = [path[1:] for path in paths if path[0] == top]
        parts.append(f"<{top.upper()}>\n{''.join(_field(path, words, source) for path in inside)}</{top.upper()}>\n")
    return "".join([*parts, "<SECTION>not read</SECTION>\n</DOC>\n"])


def _field(path: list[str], words: list[str], source: random.Random) -> str:
    if not path:
        return _lines(words, source, WORDS_A_DOCUMENT // 2)
    if path == ["p"]:
        return "".join(f"<P>\n{_lines(words, source, WORDS_A_DOCUMENT // 12)}</P>\n" for _ in range(6))
    return f"<{path[0].upper()}>{_field(path[1:], words, source)}</{path[0].upper()}>\n"


def _lines(words: list[str], source: random.Random, count: int) -> str:
    chosen = source.choices(words, k=count)
    return "".join(f"{' '.join(chosen[at : at + 10])}\n" for at in range(0, count, 10))


if __name__ == "__main__":
    main()
