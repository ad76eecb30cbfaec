"""Where collections are looked for."""

from pathlib import Path

import pytest

from xlrank.collections.places import collections_folder


def test_the_variable_or_else_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XLRANK_COLLECTIONS", raising=False)
    assert collections_folder("clef") == tmp_path / "cache" / "collections" / "clef"
    monkeypatch.setenv("XLRANK_COLLECTIONS", str(tmp_path / "data"))
    assert collections_folder("hc4") == tmp_path / "data" / "hc4"
    monkeypatch.setenv("XLRANK_COLLECTIONS", "~/data")
    assert collections_folder("hc4") == Path.home() / "data" / "hc4"
