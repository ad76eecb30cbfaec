"""The Makefile's treatment of LANG, which is the shell's locale variable too."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CLEAN = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "LC_ALL")}
"""The environment as it is outside of make, which runs these tests itself."""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def recipe(*words: str, locale: str = "de_DE.UTF-8") -> str:
    environment = {**CLEAN, "LANG": locale}
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_lang_on_the_command_line_is_the_query_language() -> None:
    assert "--lang ky " in recipe("eval", "LANG=ky")
    assert "mini-ky-en" in recipe("eval", "LANG=ky")
    assert "--lang ky --lang tr" in recipe("eval", "LANG=ky,tr")


def test_lang_of_the_shell_is_not() -> None:
    assert "--lang" not in recipe("eval")
    assert "mini-all-en" in recipe("eval")


def test_recipes_run_under_a_utf8_locale() -> None:
    probe = "include Makefile\nprobe:\n\t@env | grep -E '^(LANG|LC_ALL|MAKEFLAGS)='\n"
    command, environment = ["make", "-f", "-", "probe", "LANG=ky"], {**CLEAN, "LANG": "de_DE"}
    done = subprocess.run(command, input=probe, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    values = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert values["LANG"] == values["LC_ALL"] == "C.UTF-8"
    assert "LANG=ky" not in values.get("MAKEFLAGS", "")


def test_options_pass_through() -> None:
    line = recipe("eval", "COLLECTION=folder:a b", "DOCUMENTS=de", "SYSTEMS=dense,split", "OUT=some/where")
    assert '--collection "folder:a b" ' in line
    assert '--documents "de"' in line
    assert '--systems "dense,split"' in line
    assert '--out "some/where"' in line


def test_help_lists_the_targets() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, env=CLEAN, capture_output=True, text=True, check=True)
    assert {"eval", "test", "lint", "types", "setup"} <= {
        line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")
    }
