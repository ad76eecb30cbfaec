"""The table for terminals."""

from tests.report.samples import ARABIC, EVIL, results, row
from xlrank.report import console_table
from xlrank.report.table import verdict


def test_console_table() -> None:
    table = console_table(results())
    assert table[0] == ("language", "system", "MAP", "R@100", "difference", "p (Holm)", "seconds")
    assert table[1] == ("ky-en", "SPLIT", "0.530*", "0.900", "+0.130", "0.049", "20.0")
    assert table[2] == ("ky-en", "DENSE", "0.400", "0.900", "–", "–", "1.3")
    assert [cells[:3] for cells in table[7:]] == [
        ("fa-en", ARABIC, "0.410"),
        ("fa-en", "DENSE", "0.400"),
        ("fa-en", EVIL, "0.400"),
    ]


def test_one_language_of_documents_goes_without_saying_and_several_collections_do_not() -> None:
    rows = [row("dense", "ky-en", 0.4, label="two\nlines"), row("dense", "ky-en", 0.4, collection="clef/2003")]
    value = results(rows=rows)
    value["tests"]["correction"] = "bh"
    table = console_table(value)
    assert table[0][:3] == ("collection", "language", "system") and "p (BH)" in table[0]
    assert [cells[:3] for cells in table[1:]] == [("mini", "ky", "two lines"), ("clef/2003", "ky", "two lines")]


def test_what_could_not_be_tested_is_not_significant() -> None:
    untested = row("late", "ky-en", 0.9, 1.0)
    untested["comparison"] |= {"p_value": None, "p_corrected": None}
    value = results(rows=[row("dense", "ky-en", 0.4), untested])
    assert console_table(value)[1] == ("ky", "LATE", "0.900", "0.900", "+0.500", "n/a", "1.3")
    assert verdict(value).endswith("(p (Holm) n/a).")


def test_a_metric_that_a_row_lacks() -> None:
    value = results(rows=[row("dense", "ky-en", 0.4, metrics={"map": 0.4})])
    assert console_table(value)[1][2:4] == ("0.400", "–")


def test_the_verdict_says_who_won_and_by_how_much() -> None:
    assert verdict(results(rows=[row("dense", "ky-en", 0.4, label="Dense")])) == "Best in ky-en: Dense, MAP 0.400."
    assert verdict(results()) == (
        "Best in 2 of 3 language pairs: SPLIT, mean MAP 0.490, +0.090 against DENSE (significant in 1 of them)."
    )
    one = results()
    one["rows"] = [each for each in one["rows"] if each["language"] == "ky"]
    assert verdict(one).startswith("Best in ky-en: SPLIT, MAP 0.530, +0.130 against DENSE (p (Holm) 0.049).")
