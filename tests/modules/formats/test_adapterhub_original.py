"""What xlrank reads and writes, in the library it comes from: needs a Python with ``adapters==1.3.0`` (it pins transformers)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from xlrank.bases import Base
from xlrank.modules.formats.adapterhub import read
from xlrank.modules.formats.adapterhub_writer import write

PYTHON = os.environ.get("XLRANK_ADAPTERS_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="XLRANK_ADAPTERS_PYTHON names no Python with adapters==1.3.0")

CASES: dict[str, dict[str, Any]] = {
    "seq_bn": {"config": "seq_bn"},
    "inv": {"config": "seq_bn_inv", "settings": {"reduction_factor": 2, "non_linearity": "gelu"}},
    "houlsby": {"config": "double_seq_bn", "settings": {"reduction_factor": 4}},
    "parallel": {"config": "par_bn"},
    "norms": {"config": "seq_bn", "settings": {"ln_before": True, "ln_after": True, "residual_before_ln": "post_add"}},
    "layers": {"config": "seq_bn", "settings": {"reduction_factor": {"0": 2, "default": 8}, "leave_out": [1]}},
    "safe": {"config": "seq_bn_inv", "safetensors": True},
    "flexible": {"config": "seq_bn", "model": "AdapterModel"},
    "xlmr": {"config": "seq_bn_inv", "family": "XLMRoberta"},
    "bare": {"config": "seq_bn", "model": "Model"},
}

SCRIPT = """
import json, sys
from pathlib import Path
import adapters, torch, transformers
from safetensors.torch import save_file

root, cases = Path(sys.argv[2]), json.loads(sys.argv[3])
sizes = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16,
         "max_position_embeddings": 20, "num_labels": 1, "pad_token_id": 1}


def model_of(case, folder):
    name = case.get("family", "Bert") + case.get("model", "ForSequenceClassification")
    library = adapters if name.endswith("AdapterModel") else transformers
    model = getattr(library, name).from_pretrained(folder)
    if library is transformers:
        adapters.init(model)
    return model.eval()


def outputs(model, name):
    model.set_active_adapters(name)
    ids = torch.tensor([[2, 7, 9, 3, 11, 12, 3], [2, 5, 3, 20, 3, 1, 1]])
    with torch.no_grad():
        result = model(input_ids=ids, attention_mask=(ids != 1).long(), output_hidden_states=True, return_dict=True)
    found = {"hidden": result.hidden_states[-1]}
    return found | ({"logits": result.logits} if "logits" in result else {})


for name, case in cases.items():
    folder = root / name
    if sys.argv[1] == "make":
        family = case.get("family", "Bert")
        config = getattr(transformers, family + "Config")(**sizes)
        getattr(transformers, family + "ForSequenceClassification")(config).save_pretrained(folder / "base")
        model = model_of(case, folder / "base")
        settings = adapters.AdapterConfig.load(case["config"], **case.get("settings", {}))
        model.add_adapter("made", config=settings)
        if hasattr(model, "add_classification_head"):
            model.add_classification_head("made", num_labels=1)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if ".made." in key or key.startswith("classifier"):
                    parameter.normal_(0, 0.3)
        model.save_adapter(str(folder / "saved"), "made", use_safetensors=case.get("safetensors", False))
        save_file(outputs(model, "made"), folder / "made.safetensors")
    else:
        for use in (False, True):
            model = model_of(case, folder / "base")
            found = model.load_adapter(str(folder / "written"), use_safetensors=use)
            save_file(outputs(model, found), folder / f"loaded-{use}.safetensors")
"""


def original(step: str, root: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    arguments = [PYTHON, "-c", SCRIPT, step, str(root), json.dumps(CASES)]
    result = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with modules that the library saved, xlrank read and wrote, and the library loaded again."""
    root = tmp_path_factory.mktemp("exchanged")
    original("make", root)
    for name, case in CASES.items():
        base = Base(str(root / name / "base"))
        module = read(root / name / "saved", base, role="ranking", head=case.get("model") != "Model")
        write(module, root / name / "written", base, name="elsewhere")
    original("load", root)
    return root


@pytest.mark.parametrize("name", CASES)
def test_the_library_computes_the_same_from_what_xlrank_wrote(exchanged: Path, name: str) -> None:
    made = load_file(exchanged / name / "made.safetensors")
    for safetensors in (False, True):
        loaded = load_file(exchanged / name / f"loaded-{safetensors}.safetensors")
        assert made.keys() == loaded.keys()
        for key, value in made.items():
            assert torch.equal(value, loaded[key]), key


@pytest.mark.parametrize("name", CASES)
def test_the_settings_are_written_as_the_library_does(exchanged: Path, name: str) -> None:
    saved, written = (json.loads((exchanged / name / f / "adapter_config.json").read_text()) for f in ("saved", "written"))
    left = {"init_weights"}  # training only
    assert {k: v for k, v in saved["config"].items() if k not in left} == {
        k: v for k, v in written["config"].items() if k not in left
    }
    assert {key: saved[key] for key in ("hidden_size", "model_type", "version")} == {
        key: written[key] for key in ("hidden_size", "model_type", "version")
    }
