"""The package as a whole: instant import, names that exist, and a command line that explains itself."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

import xlrank
from xlrank.cli.console import progress_bars
from xlrank.cli.main import app, main

PROBE = """
import json, sys, time
start = time.perf_counter()
import xlrank
seconds = time.perf_counter() - start
heavy = [name for name in ("torch", "transformers", "ranx", "jnius") if name in sys.modules]
print(json.dumps({"seconds": seconds, "heavy": heavy}))
"""
COMMANDS = [
    "eval",
    "run",
    "index",
    "search",
    "translate",
    "fuse",
    "rerank",
    "explain",
    "evaluate",
    "report",
    "module",
    "module list",
    "module show",
    "module convert",
    "module verify",
    "collection",
    "collection list",
    "collection check",
    "train",
    "train language",
    "train head",
    "train pairs",
    "train score",
    "train ranking",
]


def run(*words: str) -> Any:  # noqa: ANN401 - click's result
    return CliRunner().invoke(app, list(words))


def plain(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text).split())


def test_importing_is_instant_and_needs_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["heavy"] == []
    assert result["seconds"] < 0.5


def test_the_command_line_answers_without_torch() -> None:
    code = "import sys; from xlrank.cli.main import app; print('torch' in sys.modules, 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False False\n"


@pytest.mark.parametrize("name", xlrank.__all__)
def test_public_names_resolve(name: str) -> None:
    value = getattr(xlrank, name)
    assert value.__doc__
    assert value.__name__ == name


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        xlrank.nothing
    assert set(dir(xlrank)) == {*xlrank.__all__, "__version__"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0, result.output
    assert f"Usage: root {command}" in plain(result.output)


def test_help_lists_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in {command.split()[0] for command in COMMANDS}:
        assert re.search(rf"\b{command}\b", result.output)


def test_the_list_of_commands_is_complete() -> None:
    from typer.main import get_command

    def walk(command: Any, prefix: str = "") -> list[str]:  # noqa: ANN401 - click's own types
        below = getattr(command, "commands", {})
        return [name for key, child in below.items() for name in (prefix + key, *walk(child, f"{prefix}{key} "))]

    assert sorted(walk(get_command(app))) == sorted(COMMANDS)


def test_version() -> None:
    assert run("--version").output == f"xlrank {xlrank.__version__}\n"


def test_bad_input_is_one_line_and_exit_code_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["xlrank", "collection", "check", "nowhere"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("xlrank: unknown collection 'nowhere'")
    assert error.count("\n") == 1


def test_an_interruption_is_exit_code_130_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        with progress_bars():
            raise KeyboardInterrupt

    monkeypatch.setattr("xlrank.modules.shipped_modules", interrupted)
    monkeypatch.setattr(sys, "argv", ["xlrank", "module", "list"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    assert capsys.readouterr().err.strip() == "interrupted; the same command continues where this one stopped"
