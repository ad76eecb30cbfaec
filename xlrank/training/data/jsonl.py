"""Training data as JSON lines: groups, triples and labelled pairs, told apart by their keys."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xlrank.collections.lines import text_lines
from xlrank.errors import XlrankError
from xlrank.files import file_record
from xlrank.training.data.records import Entry, Example, Source, Targets, checked_text, query_key

STREAMED_BYTES = 128 * 2**20
"""Files larger than this are streamed instead of held in memory, and packed ones from an eighth of it."""

EXPECTED = 'an object with "query" and "positive" with "negatives" or "negative", or with "document" and "label"'
ALONE = "a positive without negatives serves late interaction with the contrastive loss only"


class JsonLines(Source):
    """Examples of a file of JSON lines, see :func:`read_examples`."""

    shuffled = False

    def __init__(self, path: Path, *, targets: Targets, grouped: bool, alone: bool = False) -> None:
        self.path, self.name, self.targets, self.grouped, self.alone = path, str(path), targets, grouped, alone
        self._record = [file_record(path)]
        self.streams = path.stat().st_size > STREAMED_BYTES // (8 if path.suffix in (".gz", ".xz") else 1)

    def walk(self, skip: frozenset[str] = frozenset()) -> Iterator[Entry]:
        """See :class:`~xlrank.training.data.records.Source`."""
        for example in read_examples(self.path, targets=self.targets, grouped=self.grouped, alone=self.alone):
            if query_key(example.query) not in skip:
                yield example

    def fetch(self, entry: Entry) -> Example:
        """The entry itself: it has its texts."""
        assert isinstance(entry, Example)
        return entry

    def record(self) -> list[dict[str, Any]]:
        """See :class:`~xlrank.training.data.records.Source`."""
        return self._record


def read_groups(path: Path) -> list[Example]:
    """Groups from JSON lines ``{"query", "positive", "negatives": [...]}``, the positive first, all at once.

    Raises:
        XlrankError: as :func:`read_examples`, or a line is no group.
    """
    groups = []
    for number, example in _numbered(path, "labels"):
        if len(example.documents) < 2 or example.targets[0] != 1:
            raise XlrankError(f'{path}, line {number}: no group; expected "query", "positive" and "negatives"')
        groups.append(example)
    return groups


def read_examples(path: Path, *, targets: Targets = "labels", grouped: bool = True, alone: bool = False) -> Iterator[Example]:
    """Examples from JSON lines (``.gz`` and ``.xz`` too), one line at a time.

    * groups ``{"query", "positive", "negatives": [...]}`` and triples ``{"query", "positive", "negative"}``, with
      ``"scores": [...]`` of the positive and the negatives where a teacher gave them;
    * pairs ``{"query", "document", "label"}``, or ``"passage"`` for ``"document"`` as in the paper's files
      (``{"qid", "query", "pid", "passage", "label"}``); a teacher's score is ``"score"``;
    * where ``alone`` allows it, ``{"query", "positive"}``: its negatives are the other documents of a batch.

    Args:
        path: the file.
        targets: ``labels``, or ``scores``, which every line must then have.
        grouped: whether pairs that follow each other with the same query make one example.
        alone: whether a positive may stand without negatives.

    Raises:
        XlrankError: the file is missing, empty, damaged or not UTF-8; a line is not JSON or lacks a key, a text is empty,
            a label is neither 0 nor 1, scores are missing, not finite or of the wrong count (file and line named).
    """
    pending: list[Example] = []
    for _, example in _numbered(path, targets, alone=alone):
        single = grouped and len(example.documents) == 1
        if pending and not (single and example.query == pending[0].query):
            yield _joined(pending)
            pending = []
        if single:
            pending.append(example)
        else:
            yield example
    if pending:
        yield _joined(pending)


def parse_example(fields: Any, place: str, targets: Targets, *, alone: bool = False) -> Example:  # noqa: ANN401 - any JSON value
    """An example from one JSON value.

    Raises:
        XlrankError: as :func:`read_examples`, starting with ``place``.
    """
    if not isinstance(fields, dict) or "query" not in fields:
        raise XlrankError(f"{place}: expected {EXPECTED}")
    if "positive" in fields and isinstance(fields.get("negatives"), list):
        return _group(fields, [fields["positive"], *fields["negatives"]], place, targets, alone=alone)
    if "positive" in fields and "negative" in fields:
        return _group(fields, [fields["positive"], fields["negative"]], place, targets)
    if "positive" in fields and "negatives" not in fields and targets == "labels":
        if not alone:
            raise XlrankError(f"{place}: expected {EXPECTED}; {ALONE}")
        return _group(fields, [fields["positive"]], place, targets, alone=True)
    document = "document" if "document" in fields else "passage"
    if document not in fields or ("label" if targets == "labels" else "score") not in fields:
        raise XlrankError(f"{place}: expected {EXPECTED if targets == 'labels' else _SCORED}")
    target = _label(fields["label"], place) if targets == "labels" else _score(fields["score"], place)
    return Example(checked_text(fields["query"], place), (checked_text(fields[document], place),), (target,))


_SCORED = 'a teacher\'s scores: "scores" of a group\'s positive and negatives, or "score" of a document'


def _numbered(path: Path, targets: Targets, *, alone: bool = False) -> Iterator[tuple[int, Example]]:
    number = 0
    for number, line in text_lines(path, "JSON lines of queries and documents"):
        place = f"{path}, line {number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:  # also numbers of too many digits, and brackets nested too deeply
            raise XlrankError(f"{place}: not JSON ({getattr(error, 'msg', error)}); expected {EXPECTED}") from None
        yield number, parse_example(fields, place, targets, alone=alone)
    if not number:
        raise XlrankError(f"{path}: holds no training examples")


def _group(fields: dict[str, Any], documents: list[Any], place: str, targets: Targets, *, alone: bool = False) -> Example:
    query = checked_text(fields["query"], place)
    texts = tuple(checked_text(document, place) for document in documents)
    if len(texts) < 2 and not alone:
        raise XlrankError(f"{place}: a text is missing or empty; each group needs a query, a positive and a negative")
    if targets == "labels":
        return Example(query, texts, (1.0, *[0.0] * (len(texts) - 1)))
    scores = fields.get("scores")
    if not isinstance(scores, list):
        raise XlrankError(f"{place}: expected {_SCORED}")
    if len(scores) != len(texts):
        raise XlrankError(
            f"{place}: {len(scores)} scores for {len(texts)} documents; expected the positive's and each negative's"
        )
    return Example(query, texts, tuple(_score(score, place) for score in scores))


def _label(value: object, place: str) -> float:
    if not isinstance(value, int | float) or value not in (0, 1):
        raise XlrankError(f"{place}: the label {value!r} is neither 0 nor 1")
    return float(value)


def _score(value: object, place: str) -> float:
    try:
        score = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        raise XlrankError(f"{place}: the score {str(value)[:40]} is not a finite number")
    return score


def _joined(examples: list[Example]) -> Example:
    documents = tuple(example.documents[0] for example in examples)
    return Example(examples[0].query, documents, tuple(example.targets[0] for example in examples))
