"""From ids to folders: what is an id of the Hub, what is none, and what is found where."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xlrank.files import data_folder
from xlrank.modules.locate import HubId, Place, locate

from .formats.tiny import refused

SHA = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hub:org/name", HubId("org/name")),
        ("hub:AdapterHub/bert-base-uncased.v1_x", HubId("AdapterHub/bert-base-uncased.v1_x")),
        ("hub:org/name/sub", HubId("org/name", "sub")),
        ("hub:org/name/a/b-c/d.e", HubId("org/name", "a/b-c/d.e")),
        ("hub:org/name@v1.0", HubId("org/name", revision="v1.0")),
        ("hub:org/name@refs/pr/1", HubId("org/name", revision="refs/pr/1")),
        (f"hub:org/name/sub@main#sha256={SHA}", HubId("org/name", "sub", "main", SHA)),
        (f"hub:org/name#sha256={SHA.upper()}", HubId("org/name", sha256=SHA)),
    ],
)
def test_ids_of_the_hub(text: str, expected: HubId) -> None:
    assert HubId.parse(text) == expected
    assert str(expected) == text.partition("#")[0].removesuffix("@main")


@pytest.mark.parametrize(
    "text",
    [
        "hub:",
        "hub:name",
        "hub:/name",
        "hub:org/",
        "hub:org/name/",
        "hub:org//name",
        "hub:org/name//sub",
        "hub:../name",
        "hub:org/..",
        "hub:org/name/..",
        "hub:org/name/../other",
        "hub:org/name/./sub",
        "hub:org/a--b",
        "hub:.org/name",
        "hub:-org/name",
        "hub:org/name@",
        "hub:org/name@/etc/passwd",
        "hub:org/name@-x",
        "hub:org/name@a/../b",
        "hub:org/name@a@b",
        "hub:org/name#",
        "hub:org/name#sha256=",
        f"hub:org/name#sha256={SHA[:-1]}",
        f"hub:org/name#md5={SHA}",
        f"hub:org/name#sha256={SHA}@main",
        "hub:org/na me",
        "hub:org/name\n",
        "hub:org/näme",
        "hub:https://example.org/name",
        "hub:org/" + "a." * 50_000 + "!",
    ],
)
def test_what_is_no_id_of_the_hub(text: str) -> None:
    with refused("not the id of a module on the Hub", "expected hub:ORG/NAME"):
        locate(text)


def test_local_folders_come_before_shipped_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = Place(data_folder() / "modules" / "mlm/ky", "xlrank")
    monkeypatch.chdir(tmp_path)
    assert locate("mlm/ky") == shipped
    (tmp_path / "mlm" / "ky").mkdir(parents=True)
    assert locate("mlm/ky") == shipped
    (tmp_path / "mlm" / "ky" / "pytorch_adapter.bin").touch()
    assert locate("mlm/ky") == Place(Path("mlm/ky"), "adapterhub")
    (tmp_path / "mlm" / "ky" / "module.json").touch()
    assert locate("mlm/ky") == Place(Path("mlm/ky"), "xlrank")
    assert locate("mlm/ky", "hf") == Place(Path("mlm/ky"), "hf")


@pytest.mark.parametrize(
    ("names", "format"),
    [
        (("module.json",), "xlrank"),
        (("module.json", "config.json", "adapter_model.bin"), "xlrank"),
        (("pytorch_diff.bin", "config.json"), "composable-sft"),
        (("adapter_config.json", "adapter_model.safetensors", "config.json"), "peft"),
        (("adapter_config.json", "adapter.safetensors", "config.json"), "adapterhub"),
        (("config.json", "model.safetensors"), "hf"),
    ],
)
def test_formats_are_told_by_names(tmp_path: Path, names: tuple[str, ...], format: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert locate(str(tmp_path)).format == format


LOOK = """
import sys
from xlrank.errors import XlrankError
from xlrank.modules.locate import locate

for id in ("langauge/ky", "org/name", "adapter_config.json", "", "x\\0y"):
    try:
        locate(id)
    except XlrankError:
        print("refused")
print(*(name for name in ("huggingface_hub", "torch", "socket") if name in sys.modules))
"""


@pytest.mark.parametrize("beside", [(), ("adapter_config.json", "pytorch_adapter.bin")])
def test_an_adapter_fusion_is_refused_by_name(tmp_path: Path, beside: tuple[str, ...]) -> None:
    for name in ("adapter_fusion_config.json", "pytorch_model_adapter_fusion.bin", *beside):
        (tmp_path / name).touch()
    with refused(str(tmp_path), "is an AdapterFusion of AdapterHub, which cannot be read", "one by one"):
        locate(str(tmp_path))


def test_a_slip_never_goes_to_the_network(tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["refused"] * 5, done.stderr


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    with refused("cannot be read"):
        locate(str(tmp_path / ("x" * 5000)))
