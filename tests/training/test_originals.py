"""Steps of training in the `adapters` library and here: the same adapters come out, for a language and for a task on it."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.modules.formats.originals import needs_originals, run_original
from xlrank.bases import Base
from xlrank.modules.formats.adapterhub import read
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.training.trainee import AdapterTrainee

pytestmark = needs_originals

STEPS, RATE, DECAY = 3, 0.01, 0.1
SCRIPT = f"""
import sys
from pathlib import Path
import adapters, torch, transformers
from adapters.composition import Stack
from safetensors.torch import save_file

root = Path(sys.argv[1])
torch.manual_seed(0)
config = transformers.BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16,
                                 max_position_embeddings=20, pad_token_id=1, initializer_range=0.2)
transformers.BertModel(config, add_pooling_layer=False).save_pretrained(root / "base")
ids, target = torch.randint(2, 30, (4, 9)), torch.randn(4, 9, 16)
save_file({{"ids": ids, "target": target}}, root / "batch.safetensors")
for learning, active in (("language", "language"), ("task", Stack("language", "task"))):
    torch.manual_seed(1)
    model = transformers.BertModel.from_pretrained(root / "base", add_pooling_layer=False)
    adapters.init(model)
    model.add_adapter("language", config=adapters.SeqBnInvConfig(reduction_factor=2))
    model.add_adapter("task", config=adapters.SeqBnConfig(reduction_factor=8, non_linearity="gelu"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".language." in name or ".task." in name:
                parameter.normal_(0, 0.3)
    model.train_adapter(learning)
    model.set_active_adapters(active)
    model.eval()
    (root / learning / "before").mkdir(parents=True)
    for name in ("language", "task"):
        model.save_adapter(str(root / learning / "before" / name), name)
    chosen = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(chosen, lr={RATE}, weight_decay={DECAY})
    for _ in range({STEPS}):
        (model(input_ids=ids).last_hidden_state - target).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_adapter(str(root / learning / "after"), learning)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with adapters before and after training there."""
    root = tmp_path_factory.mktemp("trained")
    run_original(SCRIPT, str(root))
    return root


@pytest.mark.parametrize("learning", ["language", "task"])
def test_steps_give_the_same_adapter(trained: Path, learning: str) -> None:
    base, batch = Base(str(trained / "base")), load_file(trained / "batch.safetensors")
    before = {n: read(trained / learning / "before" / n, base, role="language") for n in ("language", "task")}
    module = before[learning]
    trainee = AdapterTrainee(base, AdapterConfig.of(module), [before["language"]] if learning == "task" else [])
    trainee.adapter.load_state_dict(dict(module.tensors))
    optimiser = torch.optim.AdamW(trainee.adapter.parameters(), lr=RATE, weight_decay=DECAY)
    ids: Tensor = batch["ids"]
    zeros = torch.zeros_like(ids)
    for _ in range(STEPS):
        states = trainee.encoder(ids, torch.ones_like(ids), zeros, zeros)
        (states - batch["target"]).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    after = read(trained / learning / "after", base, role="language")
    found = trainee.tensors()
    assert found.keys() == after.tensors.keys()
    for name, tensor in after.tensors.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=0, msg=name)
    assert max(float((found[n] - t).abs().max()) for n, t in module.tensors.items()) > 0.01
