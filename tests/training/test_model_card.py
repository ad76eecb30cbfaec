"""Model cards: the Hub can read them, they say how the module was made, and nothing of the machine that made it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import changed_module, make_adapter, make_head, make_ranking
from xlrank.bases import Base
from xlrank.modules import BaseReference, Module
from xlrank.training.model_card import model_card, write_model_card

RECORD: dict[str, Any] = {
    "settings": {"steps": 40, "rate": 0.001, "patience": None},
    "seed": 13,
    "seconds": 99,
    "heldout_loss_before": 2.5,
    "heldout_loss": 1.25,
    "heldout_loss_best": 1.125,
    "curve": [[step, 2 - step / 100] for step in range(1, 41)],
    "versions": {"torch": "2.13.0"},
    "command": "xlrank train ranking --data /home/someone/secret/groups.jsonl --out=/mnt/disk/my/rank --note 'a b'",
    "data": [{"name": "/home/someone/secret/groups.jsonl", "sha256": "ab" * 32}, {"name": "more.jsonl", "sha256": "cd" * 32}],
    "licence": "CC BY-SA 4.0 (SQuAD 2.0)",
    "groups": 17,
    "start": "~/private/other.json",
}


def made(module: Module, **record: Any) -> Module:  # noqa: ANN401 - JSON values
    return changed_module(module, module.tensors, training=RECORD | record)


def front(text: str) -> dict[str, Any]:
    _, matter, _ = text.split("---\n", 2)
    return dict(yaml.safe_load(matter))


def test_the_card_of_a_ranking_module(tiny_base: Base, tmp_path: Path) -> None:
    module = made(make_ranking(tiny_base, 1))
    folder = module.save(tmp_path / "rank")
    path = write_model_card(module, folder)
    assert path == folder / "README.md"
    text = path.read_text(encoding="utf-8")
    matter = front(text)
    assert matter["license"] == "cc-by-sa-4.0"
    assert matter["language"] == ["en"]
    assert matter["library_name"] == "xlrank"
    assert set(matter["tags"]) == {"xlrank", "cross-lingual", "ranking-module", "adapter"}
    for expected in (
        tiny_base.fingerprint,
        module.sha256,
        "| groups.jsonl | CC BY-SA 4.0 (SQuAD 2.0) | `" + "ab" * 32 + "` |",
        "| before training | 2.5 |",
        "| after training | 1.25 |",
        "| best on the way | 1.125 |",
        "| settings: rate | 0.001 |",
        "| versions: torch | 2.13.0 |",
        "| groups | 17 |",
        "    xlrank train ranking --data groups.jsonl --out=rank --note 'a b'",
        "## Limits",
    ):
        assert expected in text, expected
    assert Module.load(folder) == module


def test_the_card_of_a_late_module(tiny_base: Base) -> None:
    module = make_ranking(tiny_base, 1)
    data = [{"name": "a.jsonl", "licence": "CC0"}, {"name": "b.jsonl", "licence": "MIT"}]
    late = changed_module(module, module.tensors, {"late": {}}, training=RECORD | {"data": data, "licence": "CC0; MIT"})
    text = model_card(late)
    assert "for late interaction" in text
    assert 'ranker = base + split(query=ky, document="none") + ranking' in text
    assert "cross-encoder" not in text
    assert front(text)["license"] == "other"
    assert "cross-encoder" in model_card(made(module))


def test_the_curve_is_a_small_table_with_both_ends(tiny_base: Base) -> None:
    for count in (1, 2, 11, 12, 13, 40):
        curve = RECORD["curve"][:count]
        text = model_card(made(make_ranking(tiny_base, 1), curve=curve))
        rows = re.findall(r"^\| (\d+) \| ([\d.]+) \|$", text.split("## Training")[1], re.MULTILINE)
        assert len(rows) <= 13
        assert rows[0] == ("1", "1.99")
        assert rows[-1][0] == str(count)


def test_no_path_of_the_machine_is_left(tiny_base: Base, tmp_path: Path) -> None:
    module = make_adapter(tiny_base, "ky", 1)
    module = Module.create(
        module.tensors,
        name=str(tmp_path / "somewhere" / "ky"),
        kind="adapter",
        role="language",
        language="ky",
        base=BaseReference(str(tmp_path / "bases" / "tiny"), tiny_base.fingerprint),
        config=module.config,
        training=RECORD | {"log": r"C:\Users\someone\log", "seen": {"from": "../../elsewhere/file"}},
    )
    text = model_card(module)
    for hidden in (str(tmp_path), "/home", "/mnt", "secret", "private", "someone", "elsewhere/", "Users"):
        assert hidden not in text, hidden
    assert not re.search(r"(?<![\w.])/\w+/", text)
    assert "base_model" not in front(text)
    assert "# ky" in text
    assert "other.json" in text


def test_the_lines_of_python_are_python(tiny_base: Base) -> None:
    for module in (make_adapter(tiny_base, "ky", 1), make_ranking(tiny_base, 1), make_ranking(tiny_base, 1, "full")):
        code = re.search(r"```python\n(.*?)```", model_card(module), re.DOTALL)
        assert code
        compile(code[1], "card", "exec")
        assert ("language + ranking" in code[1]) == (module.kind != "full")
    assert "```python" not in model_card(make_head(tiny_base, 1))


@pytest.mark.parametrize(
    ("licence", "expected"),
    [("CC0", "cc0-1.0"), ("CC BY 4.0", "cc-by-4.0"), ("mixed, see SOURCES.md", "other"), ("", "other"), ("MIT", "mit")],
)
def test_licences_by_the_hubs_names(tiny_base: Base, licence: str, expected: str) -> None:
    matter = front(model_card(made(make_adapter(tiny_base, "ky", 1), licence=licence)))
    assert matter["license"] == expected
    assert ("license_name" in matter) == (expected == "other")


def test_text_from_strangers_stays_in_its_cell(tiny_base: Base) -> None:
    record = {
        "licence": 'x"\n---\nevil: "yes" | <script>',
        "data": [{"name": "a|b\n# Title", "sha256": "0"}, "odd"],
        "curve": "none",
        "command": "xlrank 'a\n\n# Title\n```' \"",
        "more\n# Title": "[click](https://example.org) <b>",
    }
    text = model_card(made(make_adapter(tiny_base, "ky", 1), **record))
    assert "evil" not in front(text)
    assert not re.search(r"^# Title", text, re.MULTILINE)
    assert "<script>" not in text.split("---\n", 2)[2]
    assert "[click](" not in text


def test_a_module_without_a_record_has_a_card(tiny_base: Base) -> None:
    text = model_card(make_adapter(tiny_base, "ky", 1))
    assert "Licence of the data: not recorded." in text
    assert front(text)["license"] == "other"
