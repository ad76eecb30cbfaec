"""What the README and the pages in docs show runs: their Python blocks one after the other, and their commands' options exist."""

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from xlrank.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = sorted({line.partition("  #")[0].strip() for line in TEXT.splitlines() if line.startswith("    xlrank ")})


@pytest.mark.e2e
def test_the_python_blocks_run() -> None:
    namespace: dict[str, Any] = {}
    printed = io.StringIO()
    local = [block for block in BLOCKS if "hub:" not in block]
    assert len(local) >= 2
    with contextlib.redirect_stdout(printed):
        for block in local:
            fewer = block.replace(
                '("mini/ky-en").documents()', '("mini/ky-en").documents()[:12]'
            )  # all 320 take long on two cores
            exec(compile(fewer, "README.md", "exec"), namespace)
    first = printed.getvalue().splitlines()[0]
    assert "en0" in first or re.match(r"-?\d+\.\d+ ", first), first


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_command_reads_is_there_or_made_by_one_before(page: Path) -> None:
    made: set[str] = set()
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("    xlrank "):
            continue
        words = shlex.split(line.partition("  #")[0])[1:]
        options = [(name, value) for name, value in zip(words, words[1:], strict=False) if name in ("--run", "--out")]
        read = [value for name, value in options if name == "--run"]
        if words[0] == "report":
            read += [word for word in words[1 : words.index("--out") if "--out" in words else None] if not word.startswith("-")]
        absent = [path for path in read if path not in made and not (ROOT / path).exists()]
        assert not absent, line
        made |= {value for name, value in options if name == "--out"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_and_their_options_exist(command: str) -> None:
    words = shlex.split(command)[1:]
    verbs = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word) and not Path(word).exists()]
    while verbs:
        shown = CliRunner().invoke(app, [*verbs, "--help"])
        if shown.exit_code == 0:
            break
        verbs.pop()
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    help_text = re.sub(r"\s+", " ", shown.output)
    assert verbs and all(option in help_text for option in options), (verbs, options)
