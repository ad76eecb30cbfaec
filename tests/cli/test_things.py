"""``xlrank collection`` as it is typed."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collections.hc4_files import write_hc4_home
from xlrank.cli.main import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command: its exit code, and what it printed on standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xlrank", "collection", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, printed.out, printed.err

    return run


def test_the_list_names_languages_sizes_and_what_is_here(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HC4_HOME", str(write_hc4_home(tmp_path / "hc4", "dev")))
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "irds"))
    code, out, _ = command("list")
    rows = {line.split()[0]: line for line in out.splitlines() if line.startswith(" ") and line.strip()}
    assert code == 0
    assert "de 200, en 320, fi 200, it 200, ru 200" in rows["mini"]
    assert "en fa ky ru tr ug zh" in rows["hc4/fa/dev"]
    assert "fa 486,486" in rows["hc4/fa/dev"]
    assert [rows[id_].split()[-1] for id_ in ("mini", "hc4/fa/dev", "hc4/ru/test")] == ["here", "here", "missing"]
    lines = [line for line in out.splitlines() if "Common Crawl" in line]
    assert lines[0].startswith("hc4/fa/train hc4/fa/test hc4/ru/train ")
    assert lines[0].endswith(": ODC-BY 1.0; documents: Common Crawl; not here: topics, judgements")
    assert "irds:ID" in out


def test_the_list_does_not_load_what_is_slow(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ir_datasets", "torch", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
    assert command("list")[0] == 0


def test_a_check_ends_with_what_is_wrong(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("check", "mini")[0] == 0
    monkeypatch.setenv("HC4_HOME", str(write_hc4_home(tmp_path / "hc4")))
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    code, out, error = command("check", "hc4/ru/test")
    assert code == 2
    assert "documents ru: 5 with the checksums that HC4 publishes" in out
    assert "problem: documents.ru: 5 found, expected 4721064" in error
    assert error.splitlines()[-1].startswith("xlrank: collection 'hc4/ru/test': ")
