"""First stages as text: what parses prints the same, and what does not is refused at its place."""

import pytest

from xlrank.errors import XlrankError
from xlrank.retrieval.expression import Call, parse_call


def test_calls_arguments_and_options() -> None:
    assert parse_call("dense") == Call("dense")
    assert parse_call(" rrf( dense ,bm25( psq, k1 = 1.2 ),k=60 ) ") == Call(
        "rrf", (Call("dense"), Call("bm25", (Call("psq"),), {"k1": "1.2"})), {"k": "60"}
    )
    assert parse_call("bm25(mt=facebook/m2m100_418M)").options == {"mt": "facebook/m2m100_418M"}
    assert parse_call('run("old runs/{query}-{document}.trec")').arguments == (Call("old runs/{query}-{document}.trec"),)
    assert parse_call("dense()") == Call("dense")


@pytest.mark.parametrize("text", ["dense", "rrf(dense, bm25(psq, k1=1.2), k=60)", 'run("a b(1).trec")', 'bm25(file="x, y.tsv")'])
def test_it_prints_as_it_parses(text: str) -> None:
    assert str(parse_call(text)) == text
    assert parse_call(str(parse_call(text))) == parse_call(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "a name at character 1"),
        ("rrf(dense", "',' or ')' at character 10"),
        ("rrf(dense,)", "a name at character 11"),
        ("rrf(dense bm25)", "',' or ')' at character 10"),
        ("dense)", "the end at character 6"),
        ("bm25(k1=)", "a value at character 9"),
        ("bm25(k1=1, k1=2)", "option 'k1' only once"),
        ('run("a', "a name at character 5"),
    ],
)
def test_what_is_malformed_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(XlrankError, match="^first stage") as caught:
        parse_call(text)
    assert place in str(caught.value)
