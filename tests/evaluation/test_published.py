"""The paper's tables as data, and the rows of ours that they belong to."""

from typing import Any

import pytest

from xlrank.collections.catalogue import open_source
from xlrank.errors import XlrankError
from xlrank.evaluation.published import find, published, published_value
from xlrank.languages import language_code

PAPER = published("litschko2022")


def row(system: str, pair: str, collection: str = "clef/2003", label: str = "", composition: str | None = "x") -> dict[str, Any]:
    query, document = pair.split("-")
    named = {"system": system, "label": label, "composition": composition}
    return {**named, "collection": collection, "language": query, "documents": document}


@pytest.mark.parametrize("table", [table for table in PAPER.tables if table.rows[0].average is not None], ids=lambda t: t.name)
def test_printed_averages_are_those_of_the_values(table: Any) -> None:  # noqa: ANN401
    """Rounding to three digits may go either way at a 5."""
    assert len(table.rows) in (4, 8)
    for each in table.rows:
        assert list(each.values) == list(table.collections)
        assert each.average == pytest.approx(sum(each.values.values()) / len(each.values), abs=0.00051)


def test_shapes_and_sources() -> None:
    assert [(table.name, len(table.collections)) for table in PAPER.tables] == [
        ("Table 1", 14),
        ("Table 2", 7),
        ("HC4 baselines", 3),
    ]
    assert "COLING 2022 slides, slide 18" in PAPER.tables[0].source
    assert "COLING 2022 slides, slide 19" in PAPER.tables[1].source
    for table in PAPER.tables:
        for pair, collection in table.collections.items():
            assert [language_code(code) for code in pair.split("-")] == pair.split("-")
            assert open_source(collection)
        for each in table.rows:
            assert all(0 < value < 1 for value in each.values.values())
            assert (each.significant or frozenset()) <= set(each.values)
    stars = sum(len(each.significant or ()) for each in PAPER.tables[0].rows)
    assert stars == 18  # as counted in the table


@pytest.mark.parametrize(
    ("row", "value", "significant"),
    [
        (row("split", "tr-de"), 0.252, True),
        (row("document", "en-ru"), 0.248, False),
        (row("query+rank", "tr-en"), 0.27, False),
        (row("both(query, document)+rank", "fi-ru"), 0.108, True),
        (row("lm-document", "en-fi"), 0.394, True),
        (row("document", "en-fi", label="RM + LM^Doc"), 0.394, True),
        (row("monobert", "tr-en"), 0.235, None),
        (row("first", "de-it", composition=None), 0.267, None),
        (row("dense(model=m)", "de-it", composition=None), 0.267, None),
        (row("document", "ky-en"), 0.305, None),
        (row("bm25", "ug-en", composition=None), 0.091, None),
        (row("document", "en-ru", "hc4/ru/test"), 0.234, None),
        (row("hc4-document-translation", "en-fa", "hc4/fa/test"), 0.2954, None),
    ],
)
def test_rows_find_their_published_value(row: dict[str, Any], value: float, significant: bool | None) -> None:
    found = published_value("litschko2022", row)
    assert found is not None
    assert (found["value"], found["significant"], found["metric"]) == (value, significant, "map")
    assert found["source"]


@pytest.mark.parametrize(
    "row",
    [
        row("document", "en-en"),
        row("document", "ru-ru", "hc4/ru/test"),
        row("split", "ky-en"),
        row("query", "en-fa", "hc4/fa/test"),
        row("document", "en-ru", "hc4/ru/dev"),
        row("document", "tr-en", "mini"),
        row("rank", "tr-en"),
        row("noinv(document)+rank", "tr-en"),
        row("bm25", "tr-en", composition=None),
        row("dense", "ky-en", composition=None),
        row("first", "tr-en"),
        row("ens-document", "tr-en", label="RA + LA^Doc, ENS", composition=None),
        row("split", "en-tr"),
    ],
    ids=lambda each: f"{each['collection']} {each['language']}-{each['documents']} {each['system']}",
)
def test_what_the_paper_does_not_state_is_not_filled_in(row: dict[str, Any]) -> None:
    assert published_value("litschko2022", row) is None


def test_unknown_publications() -> None:
    with pytest.raises(XlrankError, match="no published figures 'litschko2023'; there are litschko2022"):
        published("litschko2023")
    with pytest.raises(XlrankError, match="no published figures '../mini/x'"):
        find("../mini/x", "clef/2003", "tr", "en", "split")
