"""Expressions parse to what they print, and are refused at the place that is wrong."""

import re

import pytest

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.composition import (
    Composition,
    Leaf,
    Split,
    Stack,
    WithoutInvertible,
    as_composition,
    average,
    both,
    drop,
    parse,
    scale,
    split,
    subtract,
    without_invertible,
)
from xlrank.composition.expression import Both, StandIn
from xlrank.composition.functions import Average, Drop, Scale, Subtract
from xlrank.errors import XlrankError

KNOWN = "split, both, average, subtract, scale, noinv, late, drop"


@pytest.mark.parametrize(
    "text",
    [
        "ky",
        "ky+rank",
        "late()",
        "split(ky,none)+late()",
        "drop(ky+late(),0)",
        "late",
        "split(ky,en)+rank",
        "split(query,document)+rank",
        "ug~ky",
        "ug~ky+rank",
        "split(ug~ky,en)+rank",
        "a+b+c",
        "split(language/ky,./my_en-1.0)+/tmp/x@y:z",
        "monobert",
        "my/кыргыз",
        "both(ky,en)+rank",
        "split(average(ky,tr),en)+rank",
        "average(ky,en,tr,language/de)",
        "subtract(rank,en)+scale(ky,0.5)",
        "scale(ky,-0.25)",
        "scale(ky,0.3333333333333333)",
        "scale(ky,1e-07)",
        "scale(ky,1e22)",
        "noinv(ky)+rank",
        "noinv(ky+rank)",
        "drop(ky,0)+drop(rank,0,1,11)",
        "drop(split(noinv(ug~ky),en),0)+rank",
        "split(ug~average(ky,tr),en)+rank",
        "hub:org/name/sub@v1.0#sha256=0af3+rank",
        "split(split(ky,en),tr)",
        "split(ky+en,tr)",
        "both",
        "rank+split",
    ],
)
def test_an_expression_prints_as_it_was_written(text: str) -> None:
    assert str(parse(text)) == text
    assert parse(str(parse(text))) == parse(text)


def test_a_bottomless_expression_is_refused() -> None:
    with pytest.raises(XlrankError, match=r"': more than 300 parts at character 906; expected") as caught:
        parse("noinv(" * 100_000)
    assert len(str(caught.value)) < 400


def test_the_tree() -> None:
    assert parse("split(ug~ky,en)+rank") == Stack((Split(StandIn("ug", Leaf("ky")), Leaf("en")), Leaf("rank")))
    assert [str(leaf) for leaf in parse("split(ug~ky,en)+rank").leaves()] == ["ky", "en", "rank"]
    assert [str(stage) for stage in parse("split(ky,en)+rank").stages()] == ["split(ky,en)", "rank"]
    a, b = Leaf("a"), Leaf("b")
    assert parse("both(a,b)+subtract(a,b)") == Stack((Both(a, b), Subtract(a, b)))
    assert parse("average(a,b,a)") == Stack((Average((a, b, a)),))
    assert parse("scale(a,2)+scale(a,.5)+scale(a,-1e-3)") == Stack((Scale(a, 2.0), Scale(a, 0.5), Scale(a, -0.001)))
    assert parse("noinv(a)+drop(b,1,0)") == Stack((WithoutInvertible(a), Drop(b, (1, 0))))
    assert parse("noinv(a+b)") == Stack((WithoutInvertible(Stack((a, b))),))
    assert [str(leaf) for leaf in parse("drop(average(split(a,b),scale(c,2)),0)+noinv(d)").leaves()] == ["a", "b", "c", "d"]


def test_factors_that_differ_print_differently() -> None:
    factors = [1 / 3, 0.3333333, 0.33333331, 1e6, 1e6 + 0.5, 123456789.0, 2.0, -2.0, 1e-300, 5e200]
    printed = [str(scale("ky", factor)) for factor in factors]
    assert len(set(printed)) == len(factors)
    assert [parse(text) for text in printed] == [Stack((Scale(Leaf("ky"), factor),)) for factor in factors]
    assert str(scale("ky", 2)) == "scale(ky,2)"


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
        ("split(ky en)", "expected ')', got 'en'", 10),
        ("split(ky)", "split takes 2 arguments, got 1,", 1),
        ("split(ky,en,tr)", "split takes 2 arguments, got 3,", 1),
        ("split()", "expected a module's name, got ')'", 7),
        ("split(,en)", "expected a module's name, got ','", 7),
        ("split(split(ky),tr)", "split takes 2 arguments, got 1,", 7),
        ("split(ky,en)rank", "unexpected 'rank'", 13),
        ("sum(ky,en)", f"unknown function 'sum' (known: {KNOWN})", 1),
        ("rank+sum (ky,en)", f"unknown function 'sum' (known: {KNOWN})", 6),
        ("rank+both(ky)", "both takes 2 arguments, got 1,", 6),
        ("subtract(a,b,c)", "subtract takes 2 arguments, got 3,", 1),
        ("average(ky)", "average takes 2 or more arguments, got 1,", 1),
        ("late(ky)", "expected ')', got 'ky'", 6),
        ("ky+late(", "')' is missing", 9),
        ("noinv(ky,en)", "noinv takes 1 arguments, got 2,", 1),
        ("drop(ky)", "drop takes 2 or more arguments, got 1,", 1),
        ("drop(ky,en)", "drop takes a number after the module,", 1),
        ("rank+drop(ky,0,1.5)", "drop takes a number after the module,", 6),
        ("scale(ky)", "scale takes 2 arguments, got 1,", 1),
        ("scale(ky,0.5,2)", "scale takes 2 arguments, got 3,", 1),
        ("scale(ky,en)", "scale takes a number after the module,", 1),
        ("scale(ky,1+2)", "scale takes a number after the module,", 1),
        ("scale(0.5", "')' is missing", 10),
        ("ky?", "unexpected '?'", 3),
        ("ky+ ?", "unexpected '?'", 5),
        ("~ky", "expected a module's name, got '~'", 1),
        ("ky~", "a module's name is missing", 4),
        ("a~b~c", "a stand-in for a stand-in", 1),
        ("a~average(b~c,d)", "a stand-in for a stand-in", 1),
        ("a~(b)", "expected a module's name, got '('", 3),
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


def test_a_name_is_added_as_a_leaf_to_resolve() -> None:
    assert parse("ky") + "rank" == parse("ky+rank")
    assert as_composition("ky") == Leaf("ky")
    assert as_composition("split(ky,en)+rank") == parse("split(ky,en)+rank")
    assert as_composition("my folder/ky") == Leaf("my folder/ky"), "a folder's name need not be an expression"


@pytest.mark.parametrize("value", [None, 3])
def test_what_is_no_module_cannot_be_added(value: object) -> None:
    with pytest.raises(XlrankError, match=f"expected a module or a composition, got {type(value).__name__}"):
        parse("ky") + value  # type: ignore[operator]


def test_functions_take_names_modules_and_compositions(tiny_base: Base) -> None:
    ky, a, b = make_adapter(tiny_base, "ky", 1), Leaf("a"), Leaf("b")
    leaf = Leaf("language/ky", ky)
    assert both(query=ky, document="b") == Both(leaf, b)
    assert average("a", ky, "b") == Average((a, leaf, b))
    assert subtract("a", ky) == Subtract(a, leaf)
    assert scale(ky, 0.5) == Scale(leaf, 0.5)
    assert without_invertible(split(query=ky, document="b")) == WithoutInvertible(Split(leaf, b))
    assert drop(ky, 0, 1) == Drop(leaf, (0, 1))
    with pytest.raises(XlrankError, match="expected a module or a composition, got int"):
        average("a", 3)  # type: ignore[arg-type]


def test_resolving_goes_into_every_node(tiny_base: Base) -> None:
    modules = {name: make_adapter(tiny_base, name, seed) for seed, name in enumerate("abcdefg")}
    text = "split(noinv(a),drop(b,0))+both(average(c,d),scale(e,2))+subtract(f,g)"
    resolved = parse(text).resolve(lambda name: Leaf(name, modules[name]))
    assert str(resolved) == text
    assert [leaf.loaded() for leaf in resolved.leaves()] == list(modules.values())
    with pytest.raises(XlrankError, match="'a' was not resolved"):
        [leaf.loaded() for leaf in parse(text).leaves()]


def test_a_resolved_name_may_stand_for_a_stack() -> None:
    stack = parse("x+y")
    assert Stack((Leaf("a"), Leaf("b"))).with_children((stack, Leaf("c"))) == parse("x+y+c")


def test_an_unresolved_leaf_has_no_module() -> None:
    with pytest.raises(XlrankError, match="'ky' was not resolved to a module"):
        Leaf("ky").loaded()


def test_every_node_is_a_composition() -> None:
    a, b = Leaf("a"), Leaf("b")
    nodes = [
        a,
        Split(a, b),
        Both(a, b),
        Average((a, b)),
        Subtract(a, b),
        Scale(a, 2.0),
        Stack((a,)),
        WithoutInvertible(a),
        Drop(a, (0,)),
    ]
    assert all(isinstance(node, Composition) for node in nodes)
    assert len(set(nodes)) == len(nodes), "nodes of different kinds are different"
