"""Two processes under torchrun learn what one learns from the same batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.distributed_run import ALONE, adapter_run
from tests.training.toy import Toy
from xlrank.training.batches import Shuffled


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without torch.distributed")
def test_two_processes_learn_what_one_learns(tiny_bert_folder: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.training.distributed_run", str(tiny_bert_folder), str(tmp_path)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]

    alone, record = adapter_run(tiny_bert_folder, tmp_path / "alone", ALONE)
    first, second = (load_file(tmp_path / f"adapter-{rank}.safetensors") for rank in (0, 1))
    assert set(first) == set(alone)
    for name, tensor in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], tensor, atol=1e-5, rtol=0, msg=name)
    toys = [load_file(tmp_path / f"toy-{rank}.safetensors") for rank in (0, 1)]
    assert all(torch.equal(toys[0][name], toys[1][name]) for name in Toy().state_dict())

    both = [json.loads((tmp_path / f"record-{rank}.json").read_text()) for rank in (0, 1)]
    assert both[0]["processes"] == 2
    assert record["processes"] == 1
    assert both[0]["seen"] == record["seen"] == {"tokens": 4 * 6 * 12}
    assert both[0]["curve"] == both[1]["curve"]
    assert [step for step, _ in both[0]["curve"]] == [2, 4]
    assert done.stderr.count("training: step 4 of 4") == 1, "more than the main process printed"
    assert not (tmp_path / "work").exists()


def test_two_processes_see_the_examples_of_one_in_the_same_order() -> None:
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

    def seen(processes: int, index: int) -> list[list[int]]:
        data = Shuffled(list(range(10)), 24, 13)
        shard = BatchSamplerShard(BatchSampler(SequentialSampler(data), 3, drop_last=False), processes, index)
        return [[value for _, value in batch] for batch in DataLoader(data, batch_sampler=shard, collate_fn=list)]

    alone = seen(1, 0)
    assert len(alone) == 8
    assert [batch for pair in zip(seen(2, 0), seen(2, 1), strict=True) for batch in pair] == alone
