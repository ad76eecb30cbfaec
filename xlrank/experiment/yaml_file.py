"""A YAML file with the line of every value, so that whatever is wrong with a value can be said with its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlrank.errors import XlrankError

LARGEST = 2**20
"""Bytes of an experiment file at most; aliases could otherwise blow a small file up, so these are refused as well."""

Place = tuple[str | int, ...]
"""Keys and positions that lead to a value."""


@dataclass(frozen=True)
class YamlFile:
    """The values of a file and where they stand.

    Attributes:
        path: of the file.
        values: plain data.
        lines: line numbers, from 1, by place; a value's key if it has one.
        problems: what is wrong with the file as YAML: (line, text).
    """

    path: Path
    values: Any
    lines: dict[Place, int]
    problems: tuple[tuple[int, str], ...]

    def line(self, place: Sequence[str | int]) -> int:
        """The line of a place, or of the nearest one around it that the file has."""
        known = tuple(place)
        while known and known not in self.lines:
            known = known[:-1]
        return self.lines.get(known, 1)


def read_yaml(path: Path) -> YamlFile:
    """Read a file with the safe subset of YAML: mappings, lists, text, numbers, no tags and no aliases.

    Raises:
        XlrankError: missing, too large, not UTF-8, or no YAML at all, with the line.
    """
    try:
        import yaml
    except ImportError:
        raise XlrankError("experiment files need PyYAML; `pip install xlrank[eval]` brings it") from None
    text = _text(path)
    lines: dict[Place, int] = {(): 1}
    problems: list[tuple[int, str]] = []
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise XlrankError(f"{path}: aliases (*name) are not supported; write the values out")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise XlrankError(f"{path}, line {line}: not valid YAML ({error.problem})") from None
    except (yaml.YAMLError, ValueError) as error:
        raise XlrankError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if root is not None:
        _walk(root, (), lines, problems)
    return YamlFile(path, values, lines, tuple(problems))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise XlrankError(f"{path}: larger than {LARGEST // 2**20} MiB; expected an experiment file")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise XlrankError(f"{path}: no such file; expected an experiment in YAML (see experiments/)") from None
    except OSError as error:
        raise XlrankError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise XlrankError(f"{path}: not UTF-8 text") from None


def _walk(node: Any, place: Place, lines: dict[Place, int], problems: list[tuple[int, str]]) -> None:  # noqa: ANN401 - PyYAML's
    """Note the line of every value, and keys that stand twice, of which YAML would silently keep the last."""
    if node.id == "mapping":
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                problems.append((line, f"{key.value!r} stands twice"))
            seen.add(key.value)
            lines[(*place, key.value)] = line
            _walk(value, (*place, key.value), lines, problems)
    elif node.id == "sequence":
        for number, value in enumerate(node.value):
            lines[(*place, number)] = value.start_mark.line + 1
            _walk(value, (*place, number), lines, problems)
