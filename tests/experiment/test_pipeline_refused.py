"""What an experiment is refused for before anything is done: its options, the data, the results folder."""

from pathlib import Path
from typing import Any

import pytest

from tests.experiment.plans import Options, folder_of, forbid, run
from xlrank.errors import XlrankError


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"collection": "nonsense"}, "unknown collection 'nonsense'"),
        ({"collection": "folder:/no/where"}, "is no folder"),
        ({"languages": ("ky", "xx")}, "unknown language 'xx'"),
        ({"languages": ("en",)}, "has no topics in 'en'; there are ky, tr"),
        ({"documents": "fi"}, "has no documents in 'fi'"),
        ({"systems": ("dense", "split(ky")}, r"system 'split\(ky': not one of"),
        ({"systems": ("dense", "nothing")}, "module 'nothing': no such folder"),
        ({"systems": ("dense", "bm25"), "languages": ["ky"]}, "bm25 searches with translated topics"),
        ({"first_stage": "bm25", "languages": ["ky"]}, "bm25 searches with translated topics"),
        ({"first_stage": "split"}, "first stage 'split': 'split' is unknown; expected one of bm25"),
        ({"fields": "title+body"}, "fields: input should be 'title', 'description' or"),
        ({"fields": ""}, "fields: input should be"),
        ({"depth": 0}, "depth: input should be greater than or equal to 1"),
        ({"precision": "fp8"}, "precision: input should be 'auto'"),
        ({"base": "no/such-base"}, "base 'no/such-base' cannot be loaded"),
        ({"systems": ("dense", "query"), "modules": {}, "languages": ["ky"]}, "was made for base"),
        ({"systems": ("dense", "ky")}, "composition 'ky': it needs a ranking module to give scores"),
        ({"systems": ("dense", "average(ky,en)")}, "it needs a ranking module to give scores"),
        ({"systems": ("dense", "cross+ky")}, "has an invertible adapter, which works on the embeddings; put it lowest"),
        ({"systems": ("dense", "split(monobert,ky)+cross")}, "the two sides of a split must be of one kind"),
        ({"systems": ("dense", "split(monobert,monobert)+cross")}, "a split needs adapters or LoRAs; a full module changes"),
        ({"systems": ("dense", "subtract(ky,en)+cross")}, "only masks and LoRAs are differences to a base"),
        ({"systems": ("dense", "drop(monobert,1)")}, "only adapters can be left out of single layers"),
        ({"systems": ("dense", "scale(ky,x)+cross")}, r"system 'scale\(ky,x\)\+cross': not one of .* scale takes a number"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_bad_plan_is_refused_before_anything_is_done(
    plan: Options, out: Path, change: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch)
    with pytest.raises(XlrankError, match=problem) as caught:
        run(plan, out, **change)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_topics_without_the_field_are_refused(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)
    path = folder_of(plan) / "topics.tr.tsv"
    path.write_text(path.read_text().replace("elma pazar\t", "elma pazar").replace("pazar ve elma", ""))
    with pytest.raises(XlrankError, match="topic '10' has no description"):
        run(plan, out, fields="description")
    assert not out.exists()


def test_bad_judgements_are_refused(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)
    with (folder_of(plan) / "qrels.txt").open("a") as stream:
        stream.write("1 0 d99 1\n")
    with pytest.raises(XlrankError, match="judges document 'd99'"):
        run(plan, out)
    assert not out.exists()


def test_a_results_folder_that_cannot_be_written_is_refused(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)
    out.write_text("a file")
    with pytest.raises(XlrankError, match="cannot be written"):
        run(plan, out)
    assert out.read_text() == "a file"
