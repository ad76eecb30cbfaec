import re
import time

import pytest

from xlrank.modules.formats.patterns import full_match

NAMES = [
    "bert.encoder.layer.1.attention.self.query",
    "bert.encoder.layer.11.attention.output.dense",
    "encoder.layer.0.output.dense",
    "pooler.dense",
    "",
    "a]-1",
]
PATTERNS = [
    r".*layer\.[12]\.(attention\.self\.query|output\.dense)",
    r"(.*\.)?(dense)",
    r"(.*\.)?(^pooler.dense)$",
    r".*\.(?:0|1|11)\..*(query|value)$",
    r".*\.\d{1,2}\.[^.]+\..*",
    r"(?:.*?\.)+?dense",
    r"(bert\.)?encoder(\.\w+){2,}",
    r"[]a\]-]+\d",
    r"[^\]]*",
    r"",
    r"pooler|.{6}\.dense",
    r"(a|b*)*",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_agrees_with_re(pattern: str) -> None:
    assert [full_match(pattern, name) for name in NAMES] == [bool(re.fullmatch(pattern, name)) for name in NAMES]


@pytest.mark.parametrize(
    "pattern",
    ["(a", "a)", "*a", "a**", "a*+", "(?!a)", "(?i)a", r"(a)\1", r"\bq", "[a", "a{", "a{9999}", "a{2,1}", "\\", "[b-a]"],
)
def test_refuses_what_it_cannot_follow(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        full_match(pattern, "a")


@pytest.mark.parametrize("pattern", ["(a+)+b", "(" * 20 + "a*" + ")*" * 20 + "b", "(a|a)" * 150 + "b", "a?" * 300 + "a{300}"])
def test_takes_bounded_time(pattern: str) -> None:
    started = time.monotonic()
    assert full_match(pattern, "a" * 200) is False
    assert time.monotonic() - started < 10


def test_refuses_patterns_that_are_too_long_or_deep() -> None:
    for pattern in ("a" * 2000, "(" * 500 + ")" * 500):
        with pytest.raises(ValueError, match="too"):
            full_match(pattern, "a")
