"""From an experiment file to an experiment: everything that is wrong with it is said at once, each with its line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from xlrank.errors import XlrankError
from xlrank.experiment.model import Experiment
from xlrank.experiment.yaml_file import YamlFile, read_yaml


def read_experiment(path: Path) -> tuple[Experiment, YamlFile]:
    """An experiment and the lines of its file.

    Raises:
        XlrankError: the file is no YAML, or its keys and values are not an experiment's; all problems, one a line.
    """
    file = read_yaml(path)
    values = file.values
    if not isinstance(values, dict):
        raise XlrankError(f"{path}: expected keys and values of an experiment (collections, systems, …); see experiments/")
    if "collection" in values and "collections" not in values:
        raise XlrankError(f"{path}, line {file.line(('collection',))}: write collections: with a list, also for one collection")
    values = {"name": path.stem, **values}
    if isinstance(values.get("collections"), list):
        values["collections"] = [{"id": one} if isinstance(one, str) else one for one in values["collections"]]
    problems = [f"{path}, line {line}: {text}" for line, text in file.problems]
    try:
        experiment = Experiment.model_validate(values)
    except ValidationError as error:
        found = [(file.line(each["loc"]), each) for each in error.errors()]
        problems += [f"{path}, line {line}: {_said(each)}" for line, each in sorted(found, key=lambda item: item[0])]
    if problems:
        raise listed(problems)
    return experiment, file


def listed(problems: list[str]) -> XlrankError:
    """One error for several problems, one a line."""
    return XlrankError("\n".join(dict.fromkeys(problems)))


def _said(error: Mapping[str, Any]) -> str:
    """A problem that pydantic found, in one line."""
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key {error['loc'][-1]!r} in {'.'.join(map(str, error['loc'][:-1])) or 'the experiment'}"
    if error["type"] == "missing":
        return f"{place} is missing"
    text = message(error)
    return f"{place}: {text}" if place else text


def message(error: Mapping[str, Any]) -> str:
    """What pydantic says of one value, as the end of a line of ours."""
    text = str(error["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
