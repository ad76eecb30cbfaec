"""Modules of other libraries that name a base are taken for that base only, whichever of its names is used."""

import json
from pathlib import Path

import pytest

from tests.modules.formats import adapterhub_files, peft_files
from tests.modules.formats.tiny import make_bert, refused
from xlrank.bases import Base
from xlrank.modules import Module
from xlrank.modules.formats.named_base import check_named_base

HERE = Path("adapter_config.json")
SNAPSHOT = "hub/models--FacebookAI--xlm-roberta-base/snapshots/" + 40 * "0"


@pytest.mark.parametrize(
    ("named", "base"),
    [
        ("xlm-roberta-base", "xlm-roberta-base"),
        ("xlm-roberta-base", "FacebookAI/xlm-roberta-base"),
        ("FacebookAI/xlm-roberta-base", "facebookai/XLM-RoBERTa-base"),
        ("FacebookAI/xlm-roberta-base", "xlm-roberta-base"),
        ("/home/someone/models/xlm-roberta-base/", "FacebookAI/xlm-roberta-base"),
        ("C:\\models\\xlm-roberta-base", "xlm-roberta-base"),
        ("./xlm-roberta-base", "FacebookAI/xlm-roberta-base"),
        (f"/cache/{SNAPSHOT}", "xlm-roberta-base"),
        (None, "xlm-roberta-base"),
        ("", "xlm-roberta-base"),
        (3, "xlm-roberta-base"),
    ],
)
def test_one_base_has_many_names(named: object, base: str) -> None:
    check_named_base(named, HERE, Base(base), same_base=False)


@pytest.mark.parametrize(
    ("named", "base"),
    [
        ("bert-base-multilingual-cased", "bert-base-multilingual-uncased"),
        ("xlm-roberta-large", "xlm-roberta-base"),
        ("someone/xlm-roberta-base", "FacebookAI/xlm-roberta-base"),
        (f"/cache/{SNAPSHOT}", "someone/xlm-roberta-base"),
        ("/tmp/checkpoint-500", "xlm-roberta-base"),
        ("org/" + 100 * "long", "xlm-roberta-base"),
        ("org/with\0null", "xlm-roberta-base"),
        ("intfloat/multilingual-e5-small", "xlrank/e5-small"),
    ],
)
def test_another_base_is_refused_unless_the_caller_says_that_it_is_the_same(named: str, base: str) -> None:
    with refused(f"{HERE}: was trained on base {named[:120]!r}, not on {base!r}", "same_base=True", "--same-base"):
        check_named_base(named, HERE, Base(base), same_base=False)
    check_named_base(named, HERE, Base(base), same_base=True)


def test_a_folder_goes_by_its_own_name_and_by_that_of_what_it_links_to(tmp_path: Path) -> None:
    snapshot = tmp_path / SNAPSHOT
    snapshot.mkdir(parents=True)
    (tmp_path / "mine").symlink_to(snapshot)
    for named in ("FacebookAI/xlm-roberta-base", "mine"):
        check_named_base(named, HERE, Base(str(tmp_path / "mine")), same_base=False)
    with refused("someone/xlm-roberta-base"):
        check_named_base("someone/xlm-roberta-base", HERE, Base(str(tmp_path / "mine")), same_base=False)


@pytest.mark.parametrize("format", ["adapterhub", "head", "peft"])
def test_every_format_that_names_a_base_is_held_to_it(format: str, tmp_path: Path) -> None:
    base, other = make_bert(tmp_path / "mbert-uncased"), "someone/mbert-cased"
    folder = tmp_path / "module"
    if format == "peft":
        peft_files.save(folder, peft_files.queries(), base_model_name_or_path=other)
    else:
        sizes = (2, 2)
        adapterhub_files.save(folder, adapterhub_files.adapter(sizes=sizes), adapterhub_files.card(model_name="mbert-uncased"))
        head = adapterhub_files.HEAD_CARD | {"model_name": other}
        adapterhub_files.save(folder, adapterhub_files.linear("classifier", 1, 8), head, "pytorch_model_head.bin")
        if format == "adapterhub":
            path = folder / "adapter_config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"model_name": other}))
    with refused(other, "mbert-uncased", "same_base=True"):
        Module.load(folder, base=base, role="ranking")
    module = Module.load(folder, base=base, role="ranking", same_base=True)
    assert module.base.fingerprint == base.fingerprint
    if format != "head":
        assert module.training["imported"]["model_name"] == other
