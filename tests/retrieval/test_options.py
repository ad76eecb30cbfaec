"""Options of first-stage expressions."""

import pytest

from xlrank.errors import XlrankError
from xlrank.retrieval.expression import parse_call
from xlrank.retrieval.options import check_options, number, numbers, yes


def test_values() -> None:
    call = parse_call("bm25(k1=1.2, depth=7, rm3=yes)")
    assert (number(call, "k1"), number(call, "depth", int), yes(call, "rm3"), yes(call, "other")) == (1.2, 7, True, False)
    assert numbers(call, {"k1": float, "b": float, "depth": int}) == {"k1": 1.2, "depth": 7}


def test_what_is_refused() -> None:
    for text in ("x(k=a)", "x(k=nan)", "x(k=inf)", 'x(k="")'):
        with pytest.raises(XlrankError, match="expected a number"):
            number(parse_call(text), "k")
    with pytest.raises(XlrankError, match=r"k=1\.5: expected a whole number"):
        number(parse_call("x(k=1.5)"), "k", int)
    with pytest.raises(XlrankError, match="rm3=on: expected yes or no"):
        yes(parse_call("bm25(rm3=on)"), "rm3")
    with pytest.raises(XlrankError, match="unknown option 'k2' of bm25; expected k1, b"):
        check_options(parse_call("bm25(k2=1)"), ("k1", "b"))
    with pytest.raises(XlrankError, match="takes 1 argument, got 2"):
        check_options(parse_call("run(a, b)"), (), arguments=1)
