"""Expressions parse to what they print, and are refused at the place that is wrong."""

import re

import pytest

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.composition import Composition, Leaf, Split, Stack, as_composition, parse, split
from xlrank.errors import XlrankError


@pytest.mark.parametrize(
    "text",
    [
        "ky",
        "ky+rank",
        "split(ky,en)+rank",
        "split(query,document)+rank",
        "ug~ky",
        "ug~ky+rank",
        "split(ug~ky,en)+rank",
        "a+b+c",
        "split(language/ky,./my_en-1.0)+/tmp/x@y:z",
        "monobert",
        "my/кыргыз",
    ],
)
def test_an_expression_prints_as_it_was_written(text: str) -> None:
    assert str(parse(text)) == text
    assert parse(str(parse(text))) == parse(text)


def test_the_tree() -> None:
    assert parse("split(ug~ky,en)+rank") == Stack((Split(Leaf("ug", stand_in="ky"), Leaf("en")), Leaf("rank")))
    assert [str(leaf) for leaf in parse("split(ug~ky,en)+rank").leaves()] == ["ug~ky", "en", "rank"]
    assert [str(stage) for stage in parse("split(ky,en)+rank").stages()] == ["split(ky,en)", "rank"]


def test_spaces_do_not_matter() -> None:
    assert parse("  split( ky ,en )\t+ rank \n") == parse("split(ky,en)+rank")


@pytest.mark.parametrize(
    ("text", "problem", "place"),
    [
        ("", "a module's name is missing", 1),
        ("ky+", "a module's name is missing", 4),
        ("+ky", "expected a module's name, got '+'", 1),
        ("ky++en", "expected a module's name, got '+'", 4),
        ("ky en", "unexpected 'en'", 4),
        ("ky)", "unexpected ')'", 3),
        ("(ky)", "expected a module's name, got '('", 1),
        ("ky,en", "unexpected ','", 3),
        ("split(ky,en", "')' is missing", 12),
        ("split(ky en)", "expected ',', got 'en'", 10),
        ("split(ky)", "expected ',', got ')'", 9),
        ("split(ky,en,tr)", "expected ')', got ','", 12),
        ("split(,en)", "expected a module's name, got ','", 7),
        ("split(split(ky,en),tr)", "expected ',', got '('", 12),
        ("split(ky,en)rank", "unexpected 'rank'", 13),
        ("both(ky,en)", "unknown operator 'both' (known: split)", 1),
        ("rank+both (ky,en)", "unknown operator 'both' (known: split)", 6),
        ("ky?", "unexpected '?'", 3),
        ("ky+ ?", "unexpected '?'", 5),
        ("~ky", "unexpected '~'", 1),
        ("ky~", "unexpected '~'", 3),
        ("a~b~c", "unexpected '~'", 4),
        ("ky*2", "unexpected '*'", 3),
    ],
)
def test_a_malformed_expression_is_refused_at_its_place(text: str, problem: str, place: int) -> None:
    with pytest.raises(XlrankError, match=re.escape(f"composition {text!r}: {problem} at character {place}; expected ")):
        parse(text)


def test_compositions_are_hashable_and_equal_by_content(tiny_base: Base) -> None:
    ky, en, rank = make_adapter(tiny_base, "ky", 1), make_adapter(tiny_base, "en", 2), make_ranking(tiny_base, 3)
    one = split(query=ky, document=en) + rank
    assert one == split(query=make_adapter(tiny_base, "ky", 1), document=en) + rank
    assert (
        len({one, split(query=ky, document=en) + rank, split(query=en, document=ky) + rank, parse("ky+rank"), parse("ky + rank")})
        == 3
    )
    assert one != parse(str(one))


def test_modules_and_compositions_add_up(tiny_base: Base) -> None:
    ky, rank = make_adapter(tiny_base, "ky", 1), make_ranking(tiny_base, 3)
    assert ky + rank == as_composition(ky) + as_composition(rank) == Stack((Leaf("language/ky", ky), Leaf("ranking/en", rank)))
    assert str(parse("a") + parse("b+c") + parse("split(d,e)")) == "a+b+c+split(d,e)"
    assert str(ky + rank) == "language/ky+ranking/en"


def test_split_takes_names_and_modules(tiny_base: Base) -> None:
    ky = make_adapter(tiny_base, "ky", 1)
    assert str(split(query=ky, document="en")) == "split(language/ky,en)"
    assert split(query="ky", document="en") == Split(Leaf("ky"), Leaf("en"))


@pytest.mark.parametrize("value", ["ky", None, 3])
def test_what_is_no_module_cannot_be_added(value: object) -> None:
    with pytest.raises(XlrankError, match=f"expected a module or a composition, got {type(value).__name__}"):
        parse("ky") + value  # type: ignore[operator]


def test_each_side_of_a_split_is_one_module() -> None:
    with pytest.raises(XlrankError, match="each side must be one module"):
        split(query=parse("a+b"), document="c")  # type: ignore[arg-type]


def test_an_unresolved_leaf_has_no_module() -> None:
    with pytest.raises(XlrankError, match="'ky' was not resolved to a module"):
        Leaf("ky").loaded()


def test_every_node_is_a_composition() -> None:
    assert all(isinstance(node, Composition) for node in (Leaf("a"), Split(Leaf("a"), Leaf("b")), Stack((Leaf("a"),))))
