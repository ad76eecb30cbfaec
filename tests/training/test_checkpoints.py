"""Checkpoints: damaged ones are passed over and named, others' are refused, and none can run code."""

import json
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.test_loop import raising
from tests.training.toy import Toy, run, same
from xlrank.errors import XlrankError
from xlrank.files import file_hash
from xlrank.training import checkpoints
from xlrank.training.checkpoints import Checkpoint, newest, seal


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """The folder of a run of 6 steps that stopped in step 5, with the checkpoints of steps 2 and 4."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Toy, "forward", raising(Toy.forward, 11, KeyboardInterrupt()))
        run(tmp_path / "work")
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["checkpoint-2", "checkpoint-4"]
    return tmp_path / "work"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    torch.set_num_threads(1)
    return run(tmp_path_factory.mktemp("whole"))[0]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))


FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "checkpoint.json")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [cut, flip, Path.unlink], ids=["cut", "flipped", "missing"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(
    interrupted: Path, whole: Toy, caplog: pytest.LogCaptureFixture, name: str, damage: Callable[[Path], None]
) -> None:
    damage(interrupted / "checkpoint-4" / name)
    configuration = json.loads((interrupted / "checkpoint-2" / checkpoints.SEAL).read_text())["configuration"]
    found = newest(interrupted, configuration)
    assert found is not None
    assert found.step == 2
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "checkpoint-4" in caplog.text
    assert "going back to an earlier state" in caplog.text
    if name == "model.safetensors":
        resumed, record = run(interrupted)
        assert record["resumed"] == [2]
        assert same(resumed, whole)


def test_without_a_whole_checkpoint_it_starts_from_the_beginning(
    interrupted: Path, whole: Toy, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (2, 4):
        cut(interrupted / f"checkpoint-{step}" / "optimizer.pt")
    resumed, record = run(interrupted)
    assert record["resumed"] == []
    assert same(resumed, whole)
    assert "checkpoint-2" in caplog.text
    assert "checkpoint-4" in caplog.text
    assert caplog.records[-1].getMessage().endswith("no whole checkpoint is left; training starts from the beginning")


@pytest.mark.parametrize("changes", [{"rate": 0.5}, {"steps": 8}, {"key": "other data"}, {"patience": 2}], ids=str)
def test_checkpoints_of_another_configuration_are_refused(interrupted: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(XlrankError) as caught:
        run(interrupted, **changes)
    message = str(caught.value)
    assert message.startswith(f"{interrupted}: holds checkpoints of another run ({next(iter(changes))}: ")
    assert "delete this one to start from the beginning" in message
    assert (interrupted / "checkpoint-4").is_dir()


def test_checkpoints_of_other_parameters_are_refused(interrupted: Path) -> None:
    class Wider(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.more = torch.nn.Linear(2, 2)

    with pytest.raises(XlrankError, match="checkpoints of another run \\(parameters: "):
        run(interrupted, learner=Wider())
    with pytest.raises(XlrankError, match=r"other parameters than this run learns \(more"):
        Checkpoint(interrupted / "checkpoint-4", 4, {}).load_into(Wider())


class Bomb:
    def __reduce__(self) -> Any:  # noqa: ANN401 - a function and its arguments
        return os.mkdir, (os.environ["XLRANK_CACHE"] + "/exploded",)


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_no_code_in_a_checkpoint_is_run(interrupted: Path, whole: Toy, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """A seal that fits, made by whoever changed the file, does not help."""
    folder = interrupted / "checkpoint-4"
    torch.save({"state": Bomb()}, folder / name)
    content = json.loads((folder / checkpoints.SEAL).read_text())
    content["files"][name] = [(folder / name).stat().st_size, file_hash(folder / name)]
    (folder / checkpoints.SEAL).write_text(json.dumps(content))
    resumed, record = run(interrupted)
    assert record["resumed"] == [2]
    assert f"checkpoint-4: damaged checkpoint ({name}: {pickle.UnpicklingError.__name__})" in caplog.text
    assert same(resumed, whole)
    assert not Path(os.environ["XLRANK_CACHE"], "exploded").exists()


def test_a_checkpoint_holds_what_learns_and_nothing_to_unpickle(interrupted: Path) -> None:
    from safetensors.torch import load_file

    folder = interrupted / "checkpoint-4"
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert set(load_file(folder / "model.safetensors")) == {"inner.weight", "inner.bias"}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"files": {}},
        {"files": {}, "configuration": {}, "progress": {}},
        {"files": {"../x": [1, ""]}, "configuration": {}, "progress": {}},
    ],
    ids=["list", "incomplete", "empty", "outside"],
)
def test_a_seal_of_another_make_is_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: object) -> None:
    folder = tmp_path / "checkpoint-3"
    folder.mkdir()
    (folder / checkpoints.SEAL).write_text(json.dumps(content))
    assert newest(tmp_path, {}) is None
    assert "checkpoint-3: damaged checkpoint" in caplog.text


def test_other_folders_are_no_checkpoints(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert newest(tmp_path / "none", {}) is None
    for name in ("checkpoint-x", "checkpoint-3.old", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-5").write_text("a file")
    assert newest(tmp_path, {}) is None
    assert caplog.text == ""
    (tmp_path / "checkpoint-7").mkdir()
    assert newest(tmp_path, {}, quiet=True) is None
    assert caplog.text == ""
    seal(tmp_path / "checkpoint-7", {}, {})
    assert checkpoints.last_good(tmp_path).endswith("checkpoint-7")
