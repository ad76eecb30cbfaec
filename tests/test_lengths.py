"""The length that a checkpoint states, in the files that transformers and sentence-transformers 2 to 6 write."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import POSITIONS
from xlrank.bases import EMBEDDED, Base
from xlrank.lengths import stated_length

SENTENCE, TOKENIZER = "sentence_bert_config.json", "tokenizer_config.json"
NO_LIMIT = 1000000000000000019884624838656


def reader(files: dict[str, dict[str, Any]]) -> Callable[[str], dict[str, Any] | None]:
    return files.get


@pytest.mark.parametrize(
    ("files", "length"),
    [
        ({}, None),
        ({TOKENIZER: {"model_max_length": 64}}, 64),
        ({TOKENIZER: {"max_len": 128}}, 128),
        ({TOKENIZER: {"model_max_length": NO_LIMIT}}, None),
        ({TOKENIZER: {"model_max_length": "64"}}, None),
        ({TOKENIZER: {"model_max_length": True}}, None),
        ({SENTENCE: {"max_seq_length": 48, "do_lower_case": False}, TOKENIZER: {"model_max_length": 512}}, 48),
        ({SENTENCE: {"max_seq_length": None}, TOKENIZER: {"model_max_length": 64}}, 64),
        ({"sentence_xlm-roberta_config.json": {"max_seq_length": 128}}, 128),
        ({SENTENCE: {"tokenizer_args": {"model_max_length": 32}, "max_seq_length": 48}}, 32),
        ({SENTENCE: {"processing_kwargs": {"text": {"max_length": 24}}}, TOKENIZER: {"model_max_length": 64}}, 24),
        ({SENTENCE: {"processing_kwargs": "text"}, TOKENIZER: {"model_max_length": 64}}, 64),
    ],
)
def test_the_first_file_that_states_a_length_decides(files: dict[str, dict[str, Any]], length: int | None) -> None:
    assert stated_length(reader(files)) == length


@pytest.mark.parametrize(
    ("settings", "length"),
    [({"model_max_length": 40}, 40), ({"model_max_length": NO_LIMIT}, POSITIONS), ({"model_max_length": 512}, POSITIONS)],
)
@pytest.mark.parametrize("folder", ["tiny_bert_folder", "tiny_xlmr_folder"])
def test_a_base_keeps_to_what_its_checkpoint_states(
    folder: str, settings: dict[str, int], length: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    copied = Path(shutil.copytree(request.getfixturevalue(folder), tmp_path / "base"))
    path = copied / TOKENIZER
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    base = Base(str(copied))
    assert (base.max_length, base.positions) == (length, POSITIONS)


def test_the_embedded_base_takes_what_it_has_positions_for() -> None:
    base = Base(EMBEDDED)
    assert base.max_length == base.positions == 512
