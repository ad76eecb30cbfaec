"""Runs: what a system returns. Every stage reads and writes them as TREC files, so any stage can be somebody else's."""

import gzip
import hashlib
import json
import lzma
import math
import re
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from xlrank.errors import XlrankError
from xlrank.files import DAMAGE, open_packed, replacing

HEADER = "# ir_metadata."
"""Start of a comment line with metadata (https://www.ir-metadata.org), one JSON value a line, at the head of older run files."""

BESIDE = ".meta.yaml"
"""What the name of a run file is followed by in that of its metadata: lines of YAML, each a name and a JSON value."""

TIE = "run_sha256"
"""Metadata in a file: SHA-256 of the run's unpacked text. Metadata of another text are not the run's."""

NOTES = "notes"
"""Metadata: sentences on what was odd about a run."""

EMPTY = "empty"
"""Metadata of a run that found nothing at all: its name, which no line has."""

LONGEST_LINE = 2**20
"""Bytes of a line at most: without a bound, a file that is no run at all would be read into memory whole."""

FORMAT = "lines of 'topic Q0 document rank score name'"
RANK = re.compile("[0-9]{1,9}")
NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Characters that JSON may hold as they are and YAML may not, or reads as ends of lines."""
PACKERS: dict[str, Callable[[bytes], bytes]] = {".gz": lambda text: gzip.compress(text, mtime=0), ".xz": lzma.compress}
SUFFIXES = (".tsv", ".tsv.gz")
"""Of the files of a pre-ranking."""


@dataclass(frozen=True, repr=False)
class Run:
    """Topic id to its ranking: (document id, score) pairs, best first, equal scores in the order of document ids.

    Printed, how many topics and results there are.

    Attributes:
        name: the system's name, the last column of a TREC file.
        rankings: topic id to its ranking.
        metadata: what produced it, JSON values by name; written beside the file, not into it.
    """

    name: str
    rankings: Mapping[str, tuple[tuple[str, float], ...]]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Run({self.name!r}, {len(self.rankings)} topics, {sum(map(len, self.rankings.values()))} results)"

    @classmethod
    def of(cls, name: str, scores: Mapping[str, Mapping[str, float]], metadata: Mapping[str, Any] | None = None) -> "Run":
        """A run from topic id to document id to score, sorted here."""
        return cls(name, {topic: _sorted(found) for topic, found in scores.items()}, metadata or {})

    def top(self, depth: int) -> "Run":
        """The first ``depth`` documents of each topic."""
        return Run(self.name, {topic: ranking[:depth] for topic, ranking in self.rankings.items()}, self.metadata)

    def only(self, topics: Iterable[str]) -> "Run":
        """The results for these topics; a note in the metadata says how many others were left out, and names some.

        Raises:
            XlrankError: there are results for none of them, so the run was made for another collection.
        """
        wanted = dict.fromkeys(topics)
        rankings = {topic: ranking for topic, ranking in self.rankings.items() if topic in wanted}
        if self.rankings and not rankings:
            raise XlrankError(
                f"run {self.name!r} has no results for any topic asked for: its topics are {sample(self.rankings)}, those asked "
                f"for {sample(wanted)}; was it made for another collection?"
            )
        return Run(self.name, rankings, self.metadata).noted(*self.foreign(wanted))

    def foreign(self, topics: Container[str]) -> list[str]:
        """A note on the results for other topics than these, which :meth:`only` leaves out; none where there are none."""
        return topics_noted("topics that are not in the collection, left out", [t for t in self.rankings if t not in topics])

    def noted(self, *notes: str) -> "Run":
        """The run with more notes in its metadata."""
        if not notes:
            return self
        known = self.metadata.get(NOTES, [])
        return Run(self.name, self.rankings, {**self.metadata, NOTES: [*(known if isinstance(known, list) else [known]), *notes]})

    def pairs(self) -> Iterator[tuple[str, str]]:
        """All (topic id, document id), in order."""
        for topic, ranking in self.rankings.items():
            for document, _ in ranking:
                yield topic, document

    def scores(self) -> dict[str, dict[str, float]]:
        """Topic id to document id to score."""
        return {topic: dict(ranking) for topic, ranking in self.rankings.items()}

    def write(self, path: str | Path) -> Path:
        """Write a TREC run file (``topic Q0 document rank score name``), whole or not at all; scores keep full precision.

        The file holds nothing else, so that other tools read it. Metadata lie beside it, in ``PATH.meta.yaml``, tied to the run
        by the hash of its text. A name that ends in ``.gz`` or ``.xz`` gives a packed file.
        """
        path = Path(path)
        metadata = dict(self.metadata) if any(self.rankings.values()) else {**self.metadata, EMPTY: self.name}
        tag = "".join(self.name.split()) or "run"
        lines = [
            f"{topic} Q0 {document} {rank} {float(score)!r} {tag}\n"
            for topic, ranking in self.rankings.items()
            for rank, (document, score) in enumerate(ranking, 1)
        ]
        text = "".join(lines).encode()
        packed = PACKERS[path.suffix](text) if path.suffix in PACKERS else text
        if not metadata:
            with replacing(path) as run:
                run.write_bytes(packed)
                metadata_path(path).unlink(missing_ok=True)
            return path
        said = _metadata_lines({TIE: hashlib.sha256(text).hexdigest(), **metadata})
        # The run takes its name first: until the metadata follow, it is a run without metadata, not one with those of another.
        with replacing(metadata_path(path)) as beside, replacing(path) as run:
            beside.write_text(said, encoding="utf-8")
            run.write_bytes(packed)
        return path

    @classmethod
    def read(cls, path: str | Path) -> "Run":
        """Read a TREC run file, whoever wrote it (``.gz`` and ``.xz`` too), or a folder with a pre-ranking.

        As in trec_eval, scores decide and ranks do not. Where ranks say something else, a note in the metadata tells of it, and
        so it does where the metadata beside the file are of another run.

        Raises:
            XlrankError: unreadable, not six columns, a score that is no finite number, or a document twice in a topic.
        """
        path = Path(path)
        if path.is_dir():
            return read_preranking(path)
        metadata: dict[str, Any] = {}
        scores: dict[str, dict[str, float]] = {}
        ranks: dict[str, list[str]] = {}
        name, digest = "", hashlib.sha256()
        for number, line in _lines(path, "a TREC run", digest.update):
            if line.startswith(HEADER):
                key, _, value = line.removeprefix(HEADER).partition(": ")
                metadata[key] = _metadata_value(value)
            elif line.strip() and not line.startswith("#"):
                topic, document, rank, score, name = _columns(line, f"{path}, line {number}")
                found = scores.setdefault(topic, {})
                if document in found:
                    raise XlrankError(f"{path}, line {number}: document {document!r} stands twice in topic {topic!r}")
                found[document] = score
                ranks.setdefault(topic, []).append(rank)
        beside, problem = _metadata_beside(path, digest.hexdigest())
        metadata |= beside
        empty = metadata.pop(EMPTY, None)
        if not scores and empty is None:
            raise XlrankError(f"{path}: holds no results; expected {FORMAT}")
        run = cls.of(name, scores, metadata) if scores else cls(str(empty), {}, metadata)
        return run.noted(*problem, *_differences(scores, ranks))


def metadata_path(run: Path) -> Path:
    """Where the metadata of a run file are."""
    return run.with_name(run.name + BESIDE)


def read_preranking(folder: str | Path, depth: int | None = None) -> Run:
    """Read rankings as ModularCLIR and EncoderCLIR keep them: a file ``TOPIC.tsv`` a topic, a document a line, best first.

    A line is ``document`` or ``document TAB score``. The order of the lines counts. Scores are kept where they give this same
    order; else, and where there are none, the score of a document is its rank, negated.

    Args:
        folder: with files ``*.tsv`` or ``*.tsv.gz``, named by the topics' ids; other files are left alone.
        depth: lines to read of each (default: all; the original's rankings may hold whole collections).

    Raises:
        XlrankError: no such files, or a line that is not like this, a score that is no finite number, a document twice.
    """
    folder = Path(folder)
    try:
        files = [path for path in sorted(folder.iterdir()) if path.name.endswith(SUFFIXES) and path.is_file()]
    except OSError as error:
        raise XlrankError(f"{folder}: cannot be read ({error.strerror})") from None
    if not files:
        raise XlrankError(f"{folder}: holds no file TOPIC.tsv; expected the pre-ranking of each topic in a file of its own")
    rankings: dict[str, tuple[tuple[str, float], ...]] = {}
    replaced = 0
    for path in files:
        topic = path.name.removesuffix(".gz").removesuffix(".tsv")
        if not topic or topic in rankings or any(character.isspace() for character in topic):
            raise XlrankError(f"{path}: is named by no id of a topic of its own; expected TOPIC.tsv without white space")
        lines = _preranked(path, depth)
        ranking = tuple((document, score) for document, score in lines if score is not None)
        if len(ranking) < len(lines) or ranking != _sorted(dict(ranking)):
            ranking = tuple((document, -float(rank)) for rank, (document, _) in enumerate(lines, 1))
            replaced += any(score is not None for _, score in lines)
        rankings[topic] = ranking
    notes = (
        [f"topics whose scores did not give the order of the lines, and were replaced by ranks: {replaced}"] if replaced else []
    )
    return Run("".join(folder.resolve().name.split()) or "preranking", rankings).noted(*notes)


def append_relevant(run: Run, qrels: Mapping[str, Mapping[str, int]]) -> Run:
    """Append the relevant documents that a run has not found to the end of its rankings, as the original's first stage did.

    This puts judgements into the ranking: every relevant document then counts, however badly it was found, and where little was
    found, a reranker is handed the answers. It serves to repeat published figures and nothing else; the name and the metadata
    of the run say that it was done.

    Args:
        run: the system's own rankings; topics that it lacks stay absent.
        qrels: topic id to document id to grade; relevant from 1.

    Returns:
        The run, with the missing documents of each topic in the order of their ids and scores below all others.
    """
    rankings: dict[str, tuple[tuple[str, float], ...]] = {}
    appended = 0
    for topic, ranking in run.rankings.items():
        found = {document for document, _ in ranking}
        missing = sorted(document for document, grade in qrels.get(topic, {}).items() if grade >= 1 and document not in found)
        floor = ranking[-1][1] if ranking else 0.0
        rankings[topic] = (*ranking, *((document, _below(floor, place)) for place, document in enumerate(missing, 1)))
        appended += len(missing)
    oracle = f"relevant documents that were not found, appended out of the judgements: {appended}"
    return Run(f"{run.name}+relevant", rankings, {**run.metadata, "oracle": oracle})


def _metadata_lines(metadata: Mapping[str, Any]) -> str:
    """Metadata as YAML of one line each, whose values are JSON."""
    lines = (f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in metadata.items())
    return NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", "".join(lines))


def _metadata_beside(run: Path, digest: str) -> tuple[dict[str, Any], list[str]]:
    """The metadata that lie beside a run file with this text, and a note where there are some that are not its own."""
    path, metadata = metadata_path(run), dict[str, Any]()
    if not path.exists():
        return {}, []
    try:
        for number, line in _lines(path, "metadata of a run"):
            name, colon, value = line.partition(": ")
            if line.strip() and not line.startswith("#"):
                metadata[name] = json.loads(value) if colon else None
                if not colon:
                    raise XlrankError(f"{path}, line {number}: expected a name, a colon and a JSON value")
    except (XlrankError, ValueError, RecursionError) as error:
        return {}, [f"{path.name} cannot be read, so that the run counts as one without metadata ({error})"]
    if metadata.pop(TIE, None) != digest:
        return {}, [f"{path.name} was written for another content of the run, which counts as one without metadata"]
    return metadata, []


def _lines(path: Path, expected: str, told: Callable[[bytes], object] = len) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers, from 1, without line ends; ``told`` gets the bytes of each."""
    number = 0
    try:
        with open_packed(path) as stream:
            for number, raw in enumerate(_raw_lines(stream), 1):
                if len(raw) > LONGEST_LINE:
                    raise XlrankError(f"{path}, line {number}: longer than {LONGEST_LINE // 2**20} MiB; expected {expected}")
                told(raw)
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise XlrankError(f"{path}, line {number}: not UTF-8 text; expected {expected}") from None
    except DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise XlrankError(f"{path}: cannot be read ({reason})") from None


def _raw_lines(stream: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: stream.readline(LONGEST_LINE + 1), b"")


def _columns(line: str, place: str) -> tuple[str, str, str, float, str]:
    """Topic, document, rank, score, name."""
    fields = line.split()
    if len(fields) != 6:
        raise XlrankError(f"{place}: {len(fields)} columns; expected 6: topic Q0 document rank score name")
    return fields[0], sys.intern(fields[2]), fields[3], _score(fields[4], place), fields[5]


def _preranked(path: Path, depth: int | None) -> list[tuple[str, float | None]]:
    """The documents of a topic's file, each with its score if there is one, best first."""
    found: dict[str, float | None] = {}
    for number, line in _lines(path, "lines of 'document' or 'document TAB score'"):
        if depth is not None and len(found) == depth:
            break
        fields, place = line.split(), f"{path}, line {number}"
        if len(fields) > 2:
            raise XlrankError(f"{place}: {len(fields)} columns; expected one or two: document and score")
        if fields and fields[0] in found:
            raise XlrankError(f"{place}: document {fields[0]!r} stands twice")
        if fields:
            found[sys.intern(fields[0])] = _score(fields[1], place) if len(fields) == 2 else None
    return list(found.items())


def _score(text: str, place: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise XlrankError(f"{place}: the score {text!r} is not a finite number")
    return score


def _differences(scores: Mapping[str, Mapping[str, float]], ranks: Mapping[str, list[str]]) -> Iterator[str]:
    """Notes on topics whose ranks, where they are numbers and all different, do not give the order of scores and ids."""
    equal = against = 0
    for topic, found in scores.items():
        if len(set(ranks[topic])) < len(found) or not all(RANK.fullmatch(rank) for rank in ranks[topic]):
            continue
        ranked = [item for _, item in sorted(zip(map(int, ranks[topic]), found.items(), strict=True))]
        falling = all(ranked[i][1] >= ranked[i + 1][1] for i in range(len(ranked) - 1))
        against += not falling
        equal += falling and tuple(ranked) != _sorted(found)
    if against:
        yield f"topics whose ranks contradict their scores: {against}; scores counted (if smaller ones are better, negate them)"
    if equal:
        yield f"topics whose equal scores were put in the order of document ids, not of ranks: {equal}"


def _sorted(found: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _below(floor: float, place: int) -> float:
    """A score below ``floor``, also where that is so large that subtracting 1 would change nothing."""
    return floor - place * max(1.0, abs(floor) * 1e-9)


def topics_noted(what: str, topics: Sequence[str]) -> list[str]:
    """A note on topics that were treated in some way: how many, and the first of them; none where there are none."""
    return [f"{what}: {len(topics)} ({sample(topics)})"] if topics else []


def sample(topics: Iterable[str]) -> str:
    """The first three topic ids."""
    named = list(topics)
    return ", ".join(named[:3]) + (", …" if len(named) > 3 else "") if named else "none"


def _metadata_value(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
