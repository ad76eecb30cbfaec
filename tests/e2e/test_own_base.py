"""The paper's way on a base of the user's own, by commands: language and ranking modules, reranking, evaluation, report."""

import random
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.conftest import WORDS, headed_checkpoint, write_collection
from xlrank.cli.main import app
from xlrank.modules import Module
from xlrank.runs import Run

KINDS = {"adapter": "--with reduction_factor=8", "mask": "--with entries=300", "lora": "--with rank=2"}
LANGUAGE = "--steps 4 --batch 4 --length 16 --max-tokens 2000"

Command = Callable[[str], str]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command of the command line in a folder of its own."""
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(words: str) -> str:
        done = CliRunner().invoke(app, shlex.split(words))
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done.output

    return run


@pytest.mark.parametrize("kind", ["BertForPreTraining", "XLMRobertaForMaskedLM"])
def test_from_plain_text_to_a_leaderboard(
    kind: str, command: Command, tiny_bert_folder: Path, tiny_xlmr_folder: Path, tmp_path: Path
) -> None:
    headed_checkpoint(tmp_path / "base", tiny_bert_folder if kind.startswith("Bert") else tiny_xlmr_folder, kind)
    write_collection(tmp_path / "small")
    choice = random.Random(0)
    lines = [" ".join(choice.choice(WORDS) for _ in range(20)) for _ in range(100)]
    (tmp_path / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    pairs = [f'{{"query": "{word}", "positive": "the {word} and", "negatives": ["a of"]}}\n' for word in WORDS[4:16]]
    (tmp_path / "pairs.jsonl").write_text("".join(pairs), encoding="utf-8")

    for made, setting in KINDS.items():
        for language in ("ky", "en"):
            given = f"--lang {language} --text text.txt --base base --kind {made} {setting} {LANGUAGE}"
            command(f"train language {given} --out my/{language}-{made}")
        given = f"--data pairs.jsonl --base base --kind {made} {setting} --on my/en-{made} --steps 4 --length 32 --heldout 2"
        command(f"train ranking {given} --out my/rank-{made}")
        assert Module.load(f"my/rank-{made}").base == Module.load(f"my/ky-{made}").base

    command("search --collection folder:small --lang ky --method dense --base base --out dense.trec")
    compositions = {"adapter": "split(ky,en)+rank", "mask": "ky+rank", "lora": "split(ky,en)+rank"}
    for made, composition in compositions.items():
        names = " ".join(f"--module {name}=my/{name}-{made}" for name in ("ky", "en", "rank"))
        given = f'--run dense.trec --collection folder:small --lang ky --base base --compose "{composition}" {names}'
        command(f"rerank {given} --out {made}.trec")
        reranked = {topic: {document for document, _ in ranking} for topic, ranking in Run.read(f"{made}.trec").rankings.items()}
        assert reranked == {topic: {d for d, _ in ranking} for topic, ranking in Run.read("dense.trec").rankings.items()}
    runs = " ".join(f"--run {name}.trec" for name in ("dense", *KINDS))
    table = command(f"evaluate --collection folder:small {runs} --metric map")
    assert all(f"{name}.trec" in table for name in ("dense", *KINDS))

    names = " ".join(f"--module {name}=my/{name}-adapter" for name in ("ky", "en", "rank"))
    systems = '--systems "dense,split(ky,en)+rank"'
    command(f"eval --collection folder:small --lang ky --base base {systems} {names} --out results")
    assert "every figure is as recomputed" in command("report --verify results")
    assert (tmp_path / "results" / "leaderboard.html").is_file()
