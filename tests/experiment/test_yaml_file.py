"""YAML with lines: where every value stands, and what is refused."""

from pathlib import Path

import pytest

from xlrank.errors import XlrankError
from xlrank.experiment.yaml_file import read_yaml


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_values_and_their_lines(tmp_path: Path) -> None:
    file = read_yaml(written(tmp_path, "a: 1\n\nb:\n  - x\n  - {c: 2,\n     d: 3}\n"))
    assert file.values == {"a": 1, "b": ["x", {"c": 2, "d": 3}]}
    assert [file.line(place) for place in ((), ("a",), ("b",), ("b", 0), ("b", 1), ("b", 1, "c"), ("b", 1, "d"))] == [
        1, 1, 3, 4, 5, 5, 6,
    ]  # fmt: skip
    assert file.line(("b", 1, "none", "deeper")) == 5
    assert file.problems == ()


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    file = read_yaml(written(tmp_path, "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n"))
    assert file.problems == ((4, "'c' stands twice"), (5, "'a' stands twice"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\nb: 2\n", ", line 2: not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", ", line 1: not valid YAML (could not determine a constructor"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        (b"a: \xff\n", "not UTF-8"),
        ("a: \x00\n", "not valid YAML"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(XlrankError) as caught:
        read_yaml(written(tmp_path, text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_huge_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(XlrankError, match="no such file; expected an experiment"):
        read_yaml(tmp_path / "none.yaml")
    monkeypatch.setattr("xlrank.experiment.yaml_file.LARGEST", 3)
    with pytest.raises(XlrankError, match="larger than"):
        read_yaml(written(tmp_path, "a: 12345\n"))
