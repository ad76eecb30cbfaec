"""The training loop: interrupted anywhere it ends with the same bits, it says what went wrong, and records what it did."""

import errno
import json
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import TensorDataset

from tests.training.toy import SETTINGS, Examples, Toy, collate, rows, run, same
from xlrank.errors import XlrankError
from xlrank.training import checkpoints
from xlrank.training.batches import Collator, Shuffled, Stream, drawing_from
from xlrank.training.loop import command_line, is_main_process, train


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def raising(function: Callable[..., Any], call: int, error: BaseException) -> Callable[..., Any]:
    """The function, raising at its ``call``-th call (from 1) instead of doing its work."""
    calls = 0

    def wrapped(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever it takes
        nonlocal calls
        calls += 1
        if calls == call:
            raise error
        return function(*arguments, **options)

    return wrapped


def test_the_trainer_is_not_imported_with_the_loop() -> None:
    code = "import sys, xlrank.training.loop; print('transformers.trainer' in sys.modules, 'accelerate' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


# Where a run can be stopped: in the forward pass of a step or of an evaluation, between an optimiser step and its bookkeeping,
# while a checkpoint is written, before it is sealed, while it is sealed, and when all is done but the record.
PLACES = [
    ("tests.training.toy.Toy.forward", 4),
    ("tests.training.toy.Toy.forward", 7),
    ("tests.training.toy.Toy.forward", 9),
    ("tests.training.toy.Toy.after_step", 1),
    ("tests.training.toy.Toy.after_step", 5),
    ("torch.save", 3),
    ("torch.save", 4),
    ("xlrank.training.checkpoints.seal", 1),
    ("xlrank.training.checkpoints.seal", 2),
    ("xlrank.training.checkpoints.write_json", 3),
    ("xlrank.training.loop._record", 1),
    ("xlrank.training.loop._clear", 1),
]


OPTIONS: dict[bool, dict[str, Any]] = {False: {"scheduler": "cosine"}, True: {"accumulate": 2}}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, tuple[Toy, dict[str, Any]]]:
    """Runs that nobody interrupts, on rows and on a stream."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("straight")
    return {stream: run(folder / str(stream), Examples() if stream else None, **OPTIONS[stream]) for stream in OPTIONS}


@pytest.mark.parametrize("stream", [False, True], ids=["rows", "stream"])
@pytest.mark.parametrize(("place", "call"), PLACES)
def test_interrupted_anywhere_it_ends_with_the_same_bits(
    tmp_path: Path, straight: dict[bool, tuple[Toy, dict[str, Any]]], place: str, call: int, stream: bool
) -> None:
    whole, expected = straight[stream]
    options = OPTIONS[stream]
    owner, _, name = place.rpartition(".")
    with pytest.MonkeyPatch.context() as patch:
        target = _resolve(owner)
        patch.setattr(target, name, raising(getattr(target, name), call, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "work", Examples() if stream else None, **options)
    torch.rand(100)  # the global state of a new process is another one
    resumed, record = run(tmp_path / "work", Examples() if stream else None, **options)
    assert same(whole, resumed)
    for key in ("curve", "heldout_loss_before", "heldout_loss", "seen", "steps", "best_step"):
        assert record[key] == expected[key], key
    assert not (tmp_path / "work").exists()


def _resolve(path: str) -> Any:  # noqa: ANN401 - a module or a class
    module, _, last = path.rpartition(".")
    return getattr(_resolve(module), last) if last[:1].isupper() else __import__(path, fromlist=["_"])


def test_an_interrupted_run_is_continued_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for call in (7, 5):  # in step 3, and in step 5 of what is left
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Toy, "forward", raising(Toy.forward, call, KeyboardInterrupt()))
            run(tmp_path)
    assert "interrupted; the last good state is" in capsys.readouterr().err
    learner, record = run(tmp_path)
    assert record["resumed"] == [2, 4]
    assert learner.steps == 2, "the finished steps were repeated"


def test_early_stopping_keeps_the_best_state_and_survives_interruptions(tmp_path: Path) -> None:
    # A rate at which the held-out loss soon rises again.
    options: dict[str, Any] = {"steps": 40, "save_every": 1, "rate": 0.6, "scheduler": "constant", "warmup": 0, "patience": 3}
    whole, expected = run(tmp_path / "whole", **options)
    losses = [loss for _, loss in expected["curve"]]
    assert expected["steps"] < 40, "it never stopped early"
    assert expected["steps"] == expected["best_step"] + 3
    assert expected["heldout_loss"] == expected["heldout_loss_best"] == pytest.approx(min(losses), abs=1e-4)
    patient, _ = run(tmp_path / "short", **options | {"steps": expected["best_step"], "patience": None})
    assert same(whole, patient), "the state kept is not the one of the best step"
    for call in (1, expected["steps"] - 1, expected["steps"]):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(checkpoints, "seal", _after(checkpoints.seal, call))
            run(tmp_path / f"work-{call}", **options)
        moved = (tmp_path / f"work-{call}").rename(tmp_path / f"moved-{call}")
        resumed, record = run(moved, **options)
        assert same(whole, resumed)
        assert record["curve"] == expected["curve"]


def _after(function: Callable[..., Any], call: int) -> Callable[..., Any]:
    """The function, with an interruption right after its ``call``-th call."""
    calls = 0

    def wrapped(*arguments: Any) -> None:  # noqa: ANN401 - whatever it takes
        nonlocal calls
        function(*arguments)
        calls += 1
        if calls == call:
            raise KeyboardInterrupt

    return wrapped


def test_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["xlrank", "train", "--out", "/some/where/rank", "--text=/else/ky.txt", "a b"])
    _, record = run(tmp_path / "work", accumulate=2, steps=3, log_folder=None)
    assert json.loads(json.dumps(record)) == record
    assert record["seen"] == {"rows": 3 * 2 * 3}
    assert [step for step, _ in record["curve"]] == [2, 3]
    assert record["heldout_loss"] < record["heldout_loss_before"]
    assert (record["steps"], record["seed"], record["processes"], record["precision"]) == (3, 13, 1, "fp32")
    assert 0 <= record["waiting"] <= 1
    assert record["device"].startswith(("CPU", "NVIDIA"))
    assert record["settings"]["accumulate"] == 2
    assert "log_folder" not in record["settings"]
    assert record["command"] == "xlrank train --out rank --text=ky.txt 'a b'"
    assert command_line() == record["command"]
    assert is_main_process()


def test_the_same_call_gives_the_same_module_and_workers_change_nothing(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "a")
    assert same(whole, run(tmp_path / "b")[0])
    assert same(whole, run(tmp_path / "c", workers=1)[0])
    assert not same(whole, run(tmp_path / "d", seed=14)[0])
    streamed, _ = run(tmp_path / "e", Examples())
    assert same(streamed, run(tmp_path / "f", Examples(), workers=2)[0])


def test_accumulation_is_a_larger_batch(tmp_path: Path) -> None:
    class Plain(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.dropout.p = 0.0

    def still(batch: list[Any]) -> dict[str, torch.Tensor]:
        x = torch.stack([row[0] for row in batch])
        return {"x": x, "labels": 2 * x}

    learners = []
    for i, changes in enumerate(({"batch": 4}, {"batch": 2, "accumulate": 2}, {"batch": 1, "accumulate": 4})):
        learner = Plain()
        train(learner, TensorDataset(rows(7)), TensorDataset(rows(5)), still, replace(SETTINGS, **changes), tmp_path / str(i))  # type: ignore[arg-type]
        learners.append(learner)
    for learner in learners[1:]:
        torch.testing.assert_close(learner.inner.weight, learners[0].inner.weight, atol=1e-6, rtol=1e-5)


def test_a_learner_may_choose_what_is_optimised(tmp_path: Path) -> None:
    class BiasOnly(Toy):
        def optimised_parameters(self) -> Any:  # noqa: ANN401 - names and parameters
            return [("inner.bias", self.inner.bias)]

    learner, _ = run(tmp_path / "a", learner=BiasOnly())
    assert torch.equal(learner.inner.weight, Toy().inner.weight)
    assert not torch.equal(learner.inner.bias, Toy().inner.bias)
    assert learner.steps == SETTINGS.steps

    class Foreign(Toy):
        def optimised_parameters(self) -> Any:  # noqa: ANN401
            return [("other", torch.nn.Parameter(torch.zeros(1)))]

    with pytest.raises(ValueError, match="must name parameters of the learner"):
        run(tmp_path / "b", learner=Foreign())


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(("call", "step", "good"), [(5, 3, "checkpoint-2"), (1 + 2, 1, "no checkpoint had been written yet")])
def test_a_loss_that_is_not_finite_stops_at_once(tmp_path: Path, value: str, call: int, step: int, good: str) -> None:
    """Call 1 and 2 of forward are the first evaluation; step 3 is never logged by itself."""
    forward, calls = Toy.forward, 0

    def broken(self: Toy, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += self.training
        loss = forward(self, x, labels)["loss"]
        return {"loss": loss * float(value) if calls == step and self.training else loss}

    with pytest.MonkeyPatch.context() as patch, pytest.raises(XlrankError) as caught:
        patch.setattr(Toy, "forward", broken)
        run(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"training: the loss is {value} at step {step}; ")
    assert good in message
    assert "lower --rate" in message
    assert "\n" not in message
    if step > 1:
        assert checkpoints.at_step(tmp_path, 2).step == 2


def test_a_held_out_loss_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    forward = Toy.forward

    def broken(self: Toy, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": forward(self, x, labels)["loss"] * (1 if self.training or self.steps < 4 else float("nan"))}

    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(XlrankError, match="loss is nan on held-out data at step 4.*checkpoint-2"),
    ):
        patch.setattr(Toy, "forward", broken)
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError(
            "[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed writing file data/1: file write failed"
        ),
    ],
    ids=["system", "torch"],
)
@pytest.mark.parametrize("place", ["torch.save", "safetensors.torch.save_file", "xlrank.training.checkpoints.write_json"])
def test_a_full_disk_keeps_the_last_good_state(tmp_path: Path, place: str, error: Exception) -> None:
    whole, _ = run(tmp_path / "whole")
    module, _, name = place.rpartition(".")
    target = __import__(module, fromlist=["_"])
    call = 4 if name == "save" else 2  # within the second checkpoint
    with pytest.MonkeyPatch.context() as patch, pytest.raises(XlrankError) as caught:
        patch.setattr(target, name, raising(getattr(target, name), call, error))
        run(tmp_path / "work")
    message = str(caught.value)
    assert message.startswith("training: the checkpoint of step 4 cannot be written to ")
    assert "no space left" in message
    assert str(tmp_path / "work" / "checkpoint-2") in message
    assert message.endswith("make space, and the same command goes on from there")
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["checkpoint-2"]
    resumed, record = run(tmp_path / "work")
    assert record["resumed"] == [2]
    assert same(whole, resumed)


@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 works here")
def test_fp16_without_a_gpu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="fp16 needs a GPU"):
        run(tmp_path, precision="fp16")


def test_bf16_is_autocast(tmp_path: Path) -> None:
    learner, record = run(tmp_path, precision="bf16", steps=2)
    assert record["precision"] == "bf16 autocast"
    assert learner.inner.weight.dtype == torch.float32


def test_tensorboard_is_needed_only_where_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(XlrankError, match="needs the package tensorboard: pip install tensorboard"):
        run(tmp_path / "a", log_folder=tmp_path / "log")
    written: list[tuple[str, int]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            assert (folder, purge_step) == (str(tmp_path / "log"), 1)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, step))

        def close(self) -> None:
            written.append(("closed", 0))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    run(tmp_path / "b", log_folder=tmp_path / "log", steps=20, save_every=10)
    assert {name for name, _ in written} == {"loss", "held-out loss", "learning rate", "gradient norm", "closed"}
    assert ("held-out loss", 10) in written
    assert written[-1] == ("closed", 0)


def test_data_without_examples_is_refused(tmp_path: Path) -> None:
    for data in (TensorDataset(rows(0)), Examples(0)):
        with pytest.raises(XlrankError, match="the data holds no examples"):
            run(tmp_path, data)


def test_an_error_of_a_worker_is_one_line(tmp_path: Path) -> None:
    class Broken(Examples):
        def __iter__(self) -> Any:  # noqa: ANN401 - an iterator
            yield from super().__iter__()
            raise XlrankError("text.gz: cannot be read")

    with pytest.raises(XlrankError, match=r"^text\.gz: cannot be read$"):
        run(tmp_path, Broken(), workers=1)


def test_the_order_is_one_sequence_that_can_be_entered_anywhere() -> None:
    data: Any = list(range(5))
    whole = [Shuffled(data, 12, 3)[i] for i in range(12)]
    assert [place for place, _ in whole] == list(range(12))
    assert sorted(value for _, value in whole[:5]) == sorted(value for _, value in whole[5:10]) == data
    assert whole[:5] != [(place - 5, value) for place, value in whole[5:10]]
    assert [Shuffled(data, 12, 3, start=7)[i] for i in range(5)] == whole[7:]
    assert [Shuffled(data, 12, 4)[i] for i in range(12)] != whole
    stream = iter(Stream(Examples()))
    entered = iter(Stream(Examples(), start=9))
    for _ in range(9):
        next(stream)
    for _ in range(8):
        assert str(next(stream)) == str(next(entered))


def test_collating_draws_by_place_and_leaves_the_global_states_alone() -> None:
    import random

    import numpy as np

    batches = Collator(lambda _: {"x": torch.rand(2) + random.random() + np.random.rand()}, 3)  # noqa: NPY002
    torch.manual_seed(0)
    numpy: Any = np.random.get_state
    states = torch.get_rng_state(), random.getstate(), numpy()[2]
    first = batches([(4, None), (5, None)])["x"]
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), numpy()[2]) == states[1:]
    torch.rand(5)
    assert torch.equal(batches([(4, None)])["x"], first)
    assert not torch.equal(batches([(5, None)])["x"], first)
    with pytest.raises(ValueError, match="inside"), drawing_from(1):
        raise ValueError("inside")


def test_what_lies_in_the_work_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    run(tmp_path, steps=1)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    assert collate([(torch.ones(4),)])["labels"].tolist() == [[2.0] * 4]
