"""What the tests of collections share."""

from pathlib import Path

import pytest

from tests.collections.hc4_files import write_hc4_home
from xlrank.errors import XlrankError


@pytest.fixture
def hc4_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small HC4 in ``HC4_HOME``, with nothing in ir_datasets' folder and no network."""

    def closed(_: str) -> None:
        raise XlrankError("the network is closed")

    monkeypatch.setenv("HC4_HOME", str(tmp_path / "hc4"))
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "irds"))
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("xlrank.collections.hc4.files.load_dataset", closed)
    return write_hc4_home(tmp_path / "hc4")
