"""Bases of the Hub without a network: what the cache holds is used at once, and what it lacks is said in one line."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from xlrank import reach
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.retrieval.dense.sentence import SentenceEncoder
from xlrank.retrieval.translation.model import ModelTranslator

NOBODY = "http://127.0.0.1:9"
"""Where no server listens."""


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The libraries may ask the Hub, which does not answer; whoever waits before asking again fails."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", NOBODY)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a library tries again"))
    reach._answers.cache_clear()
    yield
    reach._answers.cache_clear()


@pytest.fixture
def cached(tiny_bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A base that is in the Hub's cache."""
    commit = "a" * 40
    repository = tmp_path / "hub" / "models--org--tiny"
    shutil.copytree(tiny_bert_folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return "org/tiny"


def said(name: str) -> str:
    with pytest.raises(XlrankError) as caught:
        _ = Base(name).config
    return str(caught.value)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
        ({"TRANSFORMERS_OFFLINE": "1"}, "TRANSFORMERS_OFFLINE"),
        ({"HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "1"}, "TRANSFORMERS_OFFLINE"),
        ({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
    ],
)
def test_the_variable_that_is_set_is_named(variables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in reach.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert said("org/unknown") == (
        f"base 'org/unknown' cannot be loaded: it is no folder and not in the cache, and {named} is set; unset it to download"
    )


@pytest.mark.usefixtures("no_network")
def test_without_a_network_nothing_is_asked_for_twice() -> None:
    ending = "cannot be loaded: it is no folder and not in the cache, and the Hub cannot be reached"
    assert said("org/unknown") == f"base 'org/unknown' {ending}; check the connection, then try again"
    with pytest.raises(XlrankError, match=f"^sentence-transformers model 'org/unknown' {ending}; "):
        SentenceEncoder("org/unknown").encode(["text"])
    with pytest.raises(XlrankError, match=f"^translation model 'org/unknown' {ending}; "):
        _ = ModelTranslator("org/unknown")._tokenizer


@pytest.mark.usefixtures("no_network")
def test_without_a_network_the_cache_does(cached: str, tiny_base: Base) -> None:
    base = Base(cached)
    assert base.fingerprint == tiny_base.fingerprint
    assert base.frame == tiny_base.frame and base.max_length == tiny_base.max_length


def test_offline_the_cache_does(cached: str, tiny_base: Base) -> None:
    assert Base(cached).fingerprint == tiny_base.fingerprint


def test_what_is_wrong_with_a_cached_file_is_not_blamed_on_the_network(cached: str, tmp_path: Path) -> None:
    next(tmp_path.rglob("config.json")).write_text("{")
    assert "cannot be loaded" in said(cached) and "not in the cache" not in said(cached)


def test_what_is_no_name_on_the_hub_is_not_looked_for_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(reach, "_answers", lambda _minute: pytest.fail("the Hub was asked"))
    assert "reached" not in said(str(tmp_path / "missing"))
    assert "reached" not in said(str(tmp_path))
