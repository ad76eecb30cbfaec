"""Two processes on one results folder: each run is made once, and both end with the same results."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base

PROGRAM = """
import json, sys
from pathlib import Path
from xlrank.experiment import run_experiment
from xlrank.experiment.options import experiment_of
from xlrank.progress import silent
options, out = json.loads(sys.argv[1]), Path(sys.argv[2])
print(json.dumps(run_experiment(experiment_of(**options), out, silent)["rows"]))
"""


def test_each_run_is_made_once(small_collection: Path, tiny_bert_folder: Path, tiny_base: Base, tmp_path: Path) -> None:
    modules = {
        name: str(make_adapter(tiny_base, name, seed).save(tmp_path / name)) for seed, name in enumerate(("ky", "tr", "en"))
    }
    modules["cross"] = str(make_ranking(tiny_base, 7).save(tmp_path / "cross"))
    options: dict[str, Any] = {
        "collection": f"folder:{small_collection}",
        "base": str(tiny_bert_folder),
        "precision": "fp32",
        "modules": modules,
        "systems": ["dense", "query", "document", "split", "ens(split)"],
        "depth": 4,
    }
    command = [sys.executable, "-c", PROGRAM, json.dumps(options), str(tmp_path / "out")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    one, other = (json.loads(said) for said, _ in ended)
    assert len(one) == 10
    # Seconds and memory come with a run from its file: were it made twice, they would differ.
    assert one == other
    assert json.loads((tmp_path / "out" / "results.json").read_text())["rows"] == one
    assert not list((tmp_path / "out" / ".journal").glob("*"))
