"""LoRA modules of peft (Hu et al., ICLR 2022): ``adapter_config.json`` with ``adapter_model.safetensors`` or ``.bin``."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from xlrank.errors import XlrankError
from xlrank.files import file_hash, make_folder, replacing, write_json
from xlrank.modules.formats.files import first_file, read_config, read_tensors
from xlrank.modules.formats.named_base import check_named_base
from xlrank.modules.formats.naming import ABSOLUTE, PREDICTIONS, Names, check_writable
from xlrank.modules.formats.peft_config import LoraSettings
from xlrank.modules.module import Module, Role

if TYPE_CHECKING:
    from xlrank.bases import Base

CONFIG, WEIGHTS, OLD_WEIGHTS = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
BASE_NAME = "base_model_name_or_path"
WRAPPER = "base_model.model."
DOWN, UP = ".lora_A.weight", ".lora_B.weight"


def read(
    folder: Path,
    base: "Base",
    *,
    role: Role,
    language: str | None = None,
    name: str | None = None,
    same_base: bool = False,
) -> Module:
    """A module of kind ``lora`` from a folder of peft.

    Args:
        folder: holds ``adapter_config.json`` and the weights.
        base: the base that the LoRA was learned for.
        role: ``ranking`` or ``language``.
        language: code of the language, if it is a language module.
        name: the module's name; the folder if not given.
        same_base: the model that the files name is this base under another name.

    Returns:
        ``A.{module}`` [r, in], ``B.{module}`` [out, r], ``absolute.{param}``, ``head.*``, float32; config ``scaling`` by module
        and ``rank`` (a number, or by module where they differ).

    Raises:
        XlrankError: the files are damaged or hold code, it is no plain LoRA, or it does not fit the base.
    """
    folder = Path(folder)
    card = read_config(folder / CONFIG)
    settings = LoraSettings.of(card, folder / CONFIG)
    check_named_base(card.get(BASE_NAME), folder / CONFIG, base, same_base=same_base)
    names = Names(base, first_file(folder, (WEIGHTS, OLD_WEIGHTS)))
    linear = _linear_layers(base)
    tensors: dict[str, Tensor] = {}
    scaling: dict[str, float] = {}
    for key, tensor in sorted(read_tensors(names.path).items()):
        canonical = _canonical(key, tensor, names, linear)
        if canonical in tensors:
            raise names.error(f"holds {canonical!r} twice, with and without the model prefix")
        tensors[canonical] = tensor
        if canonical.startswith("A."):
            module = key.removeprefix(WRAPPER).removesuffix(DOWN)
            _check_settings(module, int(tensor.shape[0]), settings, names)
            scaling[canonical.removeprefix("A.")] = settings.scaling_of(module)
    _check_pairs(tensors, names)
    _one_bias(tensors)
    _keep_decoder(tensors, names)
    ranks = {module: int(tensors[f"A.{module}"].shape[0]) for module in scaling}
    rank: Any = next(iter(ranks.values())) if len(set(ranks.values())) == 1 else ranks
    config = {"scaling": scaling, "rank": rank, **names.check_head(tensors, role)}
    named = {"model_name": text[:200]} if isinstance(text := card.get(BASE_NAME), str) and text else {}
    training = {"imported": {"format": "peft", "sha256": file_hash(names.path), **named}}
    return names.module(tensors, kind="lora", role=role, language=language, name=name, config=config, training=training)


def write(module: Module, folder: Path, base: "Base") -> None:
    """Write a module of kind ``lora`` so that peft loads it onto transformers' model with a head (keys carry its prefix).

    Raises:
        XlrankError: the module is of another kind or base, its head is not of the architecture's own form, it replaces a part of
            what the base has not, or the folder cannot be written.
    """
    from safetensors.torch import save_file

    check_writable(module, base, "lora", ("A.", "B."))
    folder = Path(folder)
    names = Names(base, folder / WEIGHTS)
    whole = _whole_modules(module, names)
    tensors = {WRAPPER + name: tensor.clone() for name, tensor in whole.items()}
    for name, tensor in module.tensors.items():
        if name.startswith(("A.", "B.")):
            tensors[WRAPPER + names.prefix + name[2:] + (DOWN if name.startswith("A.") else UP)] = tensor.clone()
    make_folder(folder)
    with replacing(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_json(folder / CONFIG, _config(module, sorted(_saved_modules(whole)), base))


def _linear_layers(base: "Base") -> dict[str, tuple[int, int]]:
    """[out, in] of every linear layer of the encoder, by name."""
    layers = base.encoder.named_modules()
    return {name: (layer.out_features, layer.in_features) for name, layer in layers if isinstance(layer, nn.Linear)}


def _canonical(key: str, tensor: Tensor, names: Names, linear: Mapping[str, tuple[int, int]]) -> str:
    """The canonical name of one tensor of the file, its shape checked but for the rank."""
    if not key.startswith(WRAPPER):
        raise names.error(f"{key[:80]!r} does not start with {WRAPPER!r}; expected weights as peft saves them")
    name = key.removeprefix(WRAPPER)
    if not tensor.is_floating_point():
        raise names.error(f"{key[:80]!r} has no floating values")
    for end, letter, axis in ((DOWN, "A", 1), (UP, "B", 0)):
        if name.endswith(end):
            module = names.strip(name.removesuffix(end))
            if module not in linear:
                raise names.error(
                    f"{name[:80]!r} is for no linear layer of the encoder of base {names.base.name!r}; use its own base"
                )
            if tensor.dim() != 2 or tensor.shape[axis] != linear[module][axis] or tensor.shape[1 - axis] < 1:
                expected = f"[rank, {linear[module][1]}]" if letter == "A" else f"[{linear[module][0]}, rank]"
                raise names.error(f"{name[:80]!r} has shape {list(tensor.shape)}, expected {expected}; use its own base")
            return f"{letter}.{module}"
    if "lora_" in name:
        raise names.error(f"{name[:80]!r} belongs to a variant of LoRA; only plain LoRA on linear layers can be read")
    return names.absolute(name, tensor)


def _check_settings(module: str, rank: int, settings: LoraSettings, names: Names) -> None:
    """Refuse weights that the settings give another rank, or no place."""
    if rank != settings.rank_of(module):
        raise names.error(f"{module[:80]!r} has rank {rank}, but {CONFIG} says {settings.rank_of(module)}; get both files anew")
    if not settings.selects(module):
        raise names.error(f"holds weights for {module[:80]!r}, which {CONFIG} does not name; get both files anew")


def _check_pairs(tensors: Mapping[str, Tensor], names: Names) -> None:
    """Refuse an A without its B, different ranks of the two, layers that are both saved whole and adapted, and no LoRA at all."""
    if not any(name.startswith("A.") for name in tensors):
        raise names.error("holds no LoRA weights")
    for name, tensor in tensors.items():
        if name.startswith(("A.", "B.")):
            module = name[2:]
            other = tensors.get(f"B.{module}" if name.startswith("A.") else f"A.{module}")
            if other is None:
                raise names.error(f"has only one of lora_A and lora_B for {module!r}; get a whole copy")
            if tensor.shape[int(name.startswith("B."))] != other.shape[int(name.startswith("A."))]:
                raise names.error(f"lora_A and lora_B of {module!r} have different ranks; get a whole copy")
            if f"{ABSOLUTE}{module}.weight" in tensors or f"{ABSOLUTE}{module}.bias" in tensors:
                raise names.error(f"{module!r} is both adapted and saved whole; merge it into a full model")


def _one_bias(tensors: dict[str, Tensor]) -> None:
    """Name the bias of a masked-language-model head once: transformers has it twice, and computes with its decoder's."""
    for head in PREDICTIONS.values():
        decoder = tensors.pop(f"{ABSOLUTE}{head}.decoder.bias", None)
        if decoder is not None:
            tensors[f"{ABSOLUTE}{head}.bias"] = decoder


def _keep_decoder(tensors: dict[str, Tensor], names: Names) -> None:
    """Where the table of words is replaced, peft leaves a prediction head's decoder, tied to it until then, as it was."""
    head, words = PREDICTIONS[names.architecture], "embeddings.word_embeddings.weight"
    decoder, own = f"{head}.decoder.weight", names.base.head_tensors if ABSOLUTE + words in tensors else {}
    if f"{head}.bias" in own and decoder not in own:
        tensors.setdefault(ABSOLUTE + decoder, names.base.encoder.get_parameter(words).detach())


def _whole_modules(module: Module, names: Names) -> dict[str, Tensor]:
    """The replaced values and the head by transformers' names, with the base's for what else their modules hold.

    peft saves modules whole, and does not load a file with a part of one.

    Raises:
        XlrankError: a part is replaced of what the base does not have.
    """
    found = names.foreign(module)
    head = PREDICTIONS[names.architecture]
    if f"{head}.bias" in found:
        found[f"{head}.decoder.bias"] = found.pop(f"{head}.bias")
    for saved in sorted(_saved_modules(found) - {"classifier"}):
        for name in names.parameters_of(saved):
            if name not in found:
                found[name] = _own_value(name, found, names)
    return found


def _own_value(name: str, found: Mapping[str, Tensor], names: Names) -> Tensor:
    """The base's value of a parameter with model prefix, or of its prediction head; a tied decoder's is the table of words."""
    head, words, base = PREDICTIONS[names.architecture], f"{names.prefix}embeddings.word_embeddings.weight", names.base
    if name.startswith(names.prefix):
        value: Tensor = base.encoder.get_parameter(names.strip(name)).detach()
        return value
    own = base.head_tensors.get(f"{head}.bias" if name == f"{head}.decoder.bias" else name)
    if own is None and name == f"{head}.decoder.weight":
        own = found[words] if words in found else _own_value(words, found, names)
    if own is None:
        raise names.error(
            f"needs {name!r} beside what the module replaces, and base {base.name!r} has none; add it to the module"
        )
    return own


def _saved_modules(whole: Mapping[str, Tensor]) -> set[str]:
    """What peft calls modules_to_save: the modules that hold the replaced values, a classifier as one."""
    return {"classifier" if name.startswith("classifier.") else name.rpartition(".")[0] for name in whole}


def _config(module: Module, saved: list[str], base: "Base") -> dict[str, Any]:
    """The content of ``adapter_config.json``: the commonest rank and alpha, and patterns for the other layers."""
    scaling = module.config.get("scaling", 1.0)
    layers = sorted(name.removeprefix("A.") for name in module.tensors if name.startswith("A."))
    if not isinstance(scaling, Mapping):
        scaling = dict.fromkeys(layers, scaling)
    if sorted(scaling) != layers or sorted(name[2:] for name in module.tensors if name.startswith("B.")) != layers or not layers:
        raise XlrankError(f"module {module.name!r}: its scaling, A and B are not for the same layers")
    ranks = {layer: int(module.tensors[f"A.{layer}"].shape[0]) for layer in layers}
    alphas = {layer: _whole(float(scaling[layer]) * ranks[layer]) for layer in layers}
    rank, alpha = Counter(ranks.values()).most_common(1)[0][0], Counter(alphas.values()).most_common(1)[0][0]
    return {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS" if "classifier" in saved else None,
        BASE_NAME: base.name,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {layer: r for layer, r in ranks.items() if r != rank},
        "alpha_pattern": {layer: a for layer, a in alphas.items() if a != alpha},
        "target_modules": layers,
        "modules_to_save": saved or None,
        "bias": "none",
        "lora_dropout": 0.0,
        "fan_in_fan_out": False,
        "use_rslora": False,
    }


def _whole(value: float) -> float | int:
    return int(value) if value.is_integer() else value
