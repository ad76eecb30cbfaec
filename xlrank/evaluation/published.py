"""Figures that others have published, to set beside ours: the paper's tables as data, and which of our rows they belong to.

What a source does not state is absent, never filled in: the paper's Table 3 and its ablations, for example, are not known here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from xlrank.errors import XlrankError
from xlrank.files import data_folder, read_json

FIRST = "first"
"""The row of a table's own first stage."""

EXPRESSIONS = {
    "query+rank": "query",
    "document+rank": "document",
    "split(query,document)+rank": "split",
    "both(query,document)+rank": "lm-both",
}
"""Systems by their expression. The paper's adapters stand for compositions without a name; ``both`` exists for masks only."""

LABELS = {
    "monobert": "monobert",
    "ra+la^split": "split",
    "ra+la^doc": "document",
    "ra+la^query": "query",
    "rm+lm^both": "lm-both",
    "rm+lm^doc": "lm-document",
    "rm+lm^query": "lm-query",
}
"""Systems by the paper's labels, lower case, without spaces and leading plus: these say masks (RM, LM) apart from adapters."""


@dataclass(frozen=True)
class PublishedRow:
    """A system in a published table.

    Attributes:
        system: our name of it, as in ``experiments/paper``.
        label: the table's.
        values: language pair (``ky-en``) to value.
        significant: pairs marked as significant; None: the source does not say.
        average: over the pairs, as printed; None: not printed.
        ensemble_average: the same for its ensemble with the first stage.
    """

    system: str
    label: str
    values: Mapping[str, float]
    significant: frozenset[str] | None
    average: float | None
    ensemble_average: float | None


@dataclass(frozen=True)
class PublishedTable:
    """A published table.

    Attributes:
        name: e.g. ``Table 1``.
        title: what it shows.
        source: where the figures were read.
        metric: of all its values.
        first_stage: what found the candidates.
        depth: how many of them were re-ordered; None: nothing was.
        collections: language pair to our id of its collection.
        our_first_stages: methods of ours whose rows stand beside the table's first stage.
        rows: systems.
    """

    name: str
    title: str
    source: str
    metric: str
    first_stage: str
    depth: int | None
    collections: Mapping[str, str]
    our_first_stages: tuple[str, ...]
    rows: tuple[PublishedRow, ...]


@dataclass(frozen=True)
class Published:
    """A publication: its tables, a citation, and notes on what is known of it."""

    id: str
    citation: str
    notes: tuple[str, ...]
    tables: tuple[PublishedTable, ...]


@lru_cache(maxsize=8)
def published(name: str = "litschko2022") -> Published:
    """The figures of a publication, from the data shipped with the package.

    Raises:
        XlrankError: none of that name is shipped.
    """
    folder = data_folder() / "published"
    known = sorted(path.stem for path in folder.glob("*.json"))
    if name not in known:
        raise XlrankError(f"no published figures {name!r}; there are {', '.join(known) or 'none'}")
    data = read_json(folder / f"{name}.json")
    return Published(data["id"], data["citation"], tuple(data["notes"]), tuple(_table(table) for table in data["tables"]))


def find(
    name: str, collection: str, query: str, document: str, system: str, label: str = "", first_stage: bool = False
) -> tuple[PublishedTable, PublishedRow] | None:
    """The published row that one of our systems stands beside, if it has a value for the language pair.

    Args:
        name: of the publication.
        collection: our id, e.g. ``clef/2003``, ``hc4/fa/test``.
        query: language of the queries.
        document: language of the documents.
        system: ``first``, ``monobert``, ``split``, ``document``, ``query``, ``lm-both``, ``lm-document``, ``lm-query``, or an
            expression such as ``both(query,document)+rank``.
        label: how our row is shown; one that the paper uses decides (``RM + LM^Doc``).
        first_stage: whether the system is a first stage; then ``dense`` and ``bm25`` stand beside the tables that use their like.

    Raises:
        XlrankError: no publication of that name is shipped.
    """
    pair = f"{query}-{document}"
    wanted = LABELS.get(re.sub(r"\s", "", label).lower().lstrip("+")) or EXPRESSIONS.get(re.sub(r"\s", "", system), system)
    for table in published(name).tables:
        if table.collections.get(pair) != collection:
            continue
        is_first = first_stage and (system == FIRST or system.partition("(")[0] in table.our_first_stages)
        for row in table.rows:
            if row.system == (FIRST if is_first else wanted) and (row.system == FIRST) == is_first and pair in row.values:
                return table, row
    return None


def published_value(name: str, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was published for a row of ``results.json``.

    Args:
        name: of the publication.
        row: with ``system``, ``label``, ``composition``, ``collection``, ``language`` and ``documents``.

    Returns:
        ``value``, ``metric``, ``source``, ``significant`` (``None``: the source does not say), the table's ``label`` of the
        system and its ``first_stage``; ``None`` where nothing is known.

    Raises:
        XlrankError: no publication of that name is shipped.
    """
    first_stage = row.get("composition") is None
    found = find(name, row["collection"], row["language"], row["documents"], row["system"], row.get("label", ""), first_stage)
    if found is None:
        return None
    table, theirs = found
    pair = f"{row['language']}-{row['documents']}"
    return {
        "value": theirs.values[pair],
        "metric": table.metric,
        "source": table.source,
        "significant": None if theirs.significant is None else pair in theirs.significant,
        "label": theirs.label,
        "first_stage": table.first_stage,
    }


def _table(data: Mapping[str, Any]) -> PublishedTable:
    rows = tuple(
        PublishedRow(**{**row, "significant": None if row["significant"] is None else frozenset(row["significant"])})
        for row in data["rows"]
    )
    return PublishedTable(**{**data, "rows": rows, "our_first_stages": tuple(data["our_first_stages"])})
