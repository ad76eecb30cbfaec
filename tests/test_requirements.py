"""Tests that cannot run are skipped, unless they are required."""

import pytest

from tests.requirements import required, without


def test_what_is_required_fails_and_all_else_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_REQUIRED", "browser originals")
    assert required("browser") and required("originals") and not required("brow")
    with pytest.raises(pytest.fail.Exception, match="XLRANK_REQUIRED asks for browser: no chromium on PATH"):
        without("browser", "no chromium on PATH")
    monkeypatch.delenv("XLRANK_REQUIRED")
    assert not required("browser")
    with pytest.raises(pytest.skip.Exception, match="no chromium on PATH"):
        without("browser", "no chromium on PATH")
