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


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder that is all of PATH, with an apt-get that notes how it was called and can be told to fail."""
    note = 'echo "$0 $*" | sed "s:.*/::" >> "$LOG"\n'
    for name, script in {"id": "echo 0\n", "apt-get": note + 'exit "$FAILURE"\n'}.items():
        (tmp_path / name).write_text("#!/bin/sh\n" + script)
        (tmp_path / name).chmod(0o755)
    for name in ("env", "sed"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    return tmp_path


def browser(programs: Path, failure: int = 0) -> tuple[int, str, list[str]]:
    """``make browser``: exit code, what it says on standard error, and the calls of apt-get."""
    log = programs / "log"
    environment = {**CLEAN, "PATH": str(programs), "LOG": str(log), "FAILURE": str(failure)}
    command = [shutil.which("make") or "make", "browser"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, log.read_text().splitlines() if log.exists() else []


def test_a_browser_is_installed_once(programs: Path) -> None:
    code, _, calls = browser(programs)
    assert (code, [call.split()[1] for call in calls]) == (0, ["update", "install"])
    assert calls[1].split()[-1] == "chromium"
    (programs / "chromium").write_text("#!/bin/sh\n")
    (programs / "chromium").chmod(0o755)
    assert browser(programs)[2] == calls, "apt-get is not called again"


def test_a_browser_that_cannot_be_installed_is_said(programs: Path) -> None:
    code, error, _ = browser(programs, failure=100)
    assert code == 2
    assert error.startswith("chromium cannot be installed here; install it in another way, so that one of chromium ")


def test_the_checks_require_what_they_install() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert script.index("make browser") < script.index('XLRANK_REQUIRED="browser originals" make test')
