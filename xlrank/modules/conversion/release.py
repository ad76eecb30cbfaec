"""Which modules a tree of files holds, told by its names alone, so that an archive need not be unpacked to know.

Recognised are folders of every format that can be read, wherever they lie. Role and language come from the path where it is that
of the paper's release (``adapter/mlm/rf_2/ky/checkpoint-225000/mlm_adapter``) or of ours (``language/ky``).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from xlrank.errors import XlrankError
from xlrank.languages import ALIASES, LANGUAGES, language_code
from xlrank.modules.card import Role
from xlrank.modules.formats.layout import FUSION_PROBLEM, detect_names, is_fusion, module_files

SUFFIXES = {"composable-sft": "-mask", "peft": "-lora"}
"""What the ids of other modules than adapters end in, so that they do not collide with adapters'."""
USUAL_FACTOR = 2
"""Reduction factor of the paper's language modules; only others are part of the id."""
RANKING_LANGUAGE = "en"
"""What the paper's ranking modules were trained on."""

_STEP = r"(?:/checkpoint-(?P<step>\d+))"
LAYOUTS: tuple[tuple[str | None, Role, str], ...] = (
    ("adapterhub", "language", rf"rf_(?P<factor>\d+)/(?P<language>[^/]+){_STEP}?/mlm_adapter"),
    ("adapterhub", "ranking", rf"rf_\d+_(?P<factor>\d+){_STEP}?/retrieval"),
    ("adapterhub", "language", rf"rf_(?P<factor>\d+)_\d+{_STEP}/(?P<copy>(?P<language>[^/]+))"),
    ("composable-sft", "language", rf"rf_(?P<factor>\d+)/(?!checkpoint-)(?P<language>[^/]+){_STEP}?"),
    ("composable-sft", "ranking", rf"rf_\d+_(?P<factor>\d+){_STEP}?"),
    ("hf", "ranking", rf"(?P<name>monobert){_STEP}?"),
    (None, "language", r"language/(?P<name>(?P<language>[^/-]+)(?:-[^/]+)?)"),
    (None, "ranking", r"ranking/(?P<name>[^/]+)"),
)
"""Format, role and the end of the path: the release's (case is ignored), then our own ids."""


@dataclass(frozen=True)
class FoundModule:
    """A module in a tree of files.

    Attributes:
        id: what to call it here: ``language/ky``, ``ranking/en-rf16``, ``language/ky-mask``.
        path: its folder, relative to the tree; ``.`` if the tree is the module.
        format: ``xlrank`` or one of :data:`xlrank.modules.formats.FORMATS`.
        files: names of the files in its folder that are read of it, a head's included.
        role: ``language`` or ``ranking``, None if the path does not say.
        language: ISO 639-1 code, None if the path does not say.
        reduction_factor: hidden size / bottleneck size, by the path.
        step: training step of the checkpoint, by the path.
        copy: whether it is the language adapter that lies beside a ranking adapter, only there because that was trained on it.
        problem: what is wrong with the language that the path names.
        laid_out: whether the path is one of :data:`LAYOUTS`, not just anyone's.
    """

    id: str
    path: PurePosixPath
    format: str
    files: tuple[str, ...]
    role: Role | None = None
    language: str | None = None
    reduction_factor: int | None = None
    step: int = 0
    copy: bool = False
    problem: str = ""
    laid_out: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A module that is not taken, and why."""

    path: PurePosixPath
    reason: str


@dataclass(frozen=True)
class Findings:
    """The modules of a tree, no two of one id, and those left out."""

    modules: tuple[FoundModule, ...]
    left_out: tuple[LeftOut, ...]


def find_modules(
    files: Iterable[PurePosixPath], within: PurePosixPath = PurePosixPath("."), role: Role | None = None
) -> Findings:
    """The modules among files.

    Args:
        files: paths relative to the tree.
        within: where the tree itself lies, which may say what it holds (``…/language/ky``).
        role: of modules whose path does not say it. Language modules may then simply lie in folders named by language.

    Returns:
        Sorted by id. Folders in anyone's layout whose names are alike are told apart by their whole path. Else, of modules
        that would have one id, the latest checkpoint is taken, and a language adapter's own folder rather than the copy beside
        a ranking adapter.
    """
    folders: dict[PurePosixPath, set[str]] = {}
    for file in files:
        folders.setdefault(file.parent, set()).add(file.name)
    found, left_out = [], []
    for path, names in folders.items():
        if is_fusion(names):
            left_out.append(LeftOut(path, FUSION_PROBLEM))
            continue
        format = detect_names(names)
        beside, weights = module_files(format, names) if format else ([], [])
        if format and (weights or format != "hf"):  # a config.json alone may be anything's
            found.append(_describe(path, format, (*beside, *weights), within, role))
    often = {id_ for id_, count in Counter(module.id for module in found).items() if count > 1}
    found = [replace(m, id=_long_id(m)) if m.id in often and not m.laid_out else m for m in found]
    best: dict[str, FoundModule] = {}
    for module in sorted(found, key=lambda module: (module.copy, -module.step, module.path)):
        taken = best.setdefault(module.id, module)
        if taken is not module:
            left_out.append(LeftOut(module.path, _why(module, taken)))
    return Findings(tuple(best[id_] for id_ in sorted(best)), tuple(left_out))


def _describe(path: PurePosixPath, format: str, files: tuple[str, ...], within: PurePosixPath, role: Role | None) -> FoundModule:
    full = within / path
    for layout, its_role, end in LAYOUTS:
        match = re.search(rf"(?:^|/){end}$", str(full), re.IGNORECASE) if layout in (None, format) else None
        if match:
            return _as_laid_out(path, format, files, its_role, match.groupdict())
    role = "ranking" if format == "hf" else role
    parts = _telling(full)
    languages = [ALIASES.get(part, part) for part in map(str.lower, parts[:-3:-1])] if role == "language" else []
    # Folders are called my, is or to for other reasons than Burmese, Icelandic and Tongan.
    language = next((part for part in languages if part in LANGUAGES and LANGUAGES[part].family), None)
    name = language or _plain(parts[-1] if parts else "") or "unnamed"
    step = re.fullmatch(r"checkpoint-(\d+)", full.name)
    return FoundModule(_id(role, name, format), path, format, files, role, language, step=int(step[1]) if step else 0)


def _telling(path: PurePosixPath) -> list[str]:
    return [part for part in path.parts if not re.fullmatch(r"checkpoint-\d+|[./]", part)]


def _long_id(module: FoundModule) -> str:
    return _id(module.role, _plain("-".join(_telling(module.path))) or "unnamed", module.format)


def _id(role: Role | None, name: str, format: str) -> str:
    suffix = SUFFIXES.get(format, "")
    return f"{role or 'module'}/{name}" + ("" if name.endswith(suffix.strip("-")) else suffix)


def _as_laid_out(
    path: PurePosixPath, format: str, files: tuple[str, ...], role: Role, said: Mapping[str, str | None]
) -> FoundModule:
    language, problem, spelt = None, "", said.get("language")
    if spelt:
        try:
            language = language_code(spelt)
        except XlrankError as error:
            problem = str(error)
    factor = int(said["factor"] or 0) if "factor" in said else None
    if factor is not None and role == "ranking":
        language = RANKING_LANGUAGE
    name = _plain(said.get("name") or language or spelt or "")
    if role == "language" and spelt and language:
        name = name.replace(spelt.lower(), language, 1)
    if factor is not None and (role == "ranking" or factor != USUAL_FACTOR):
        name += f"-rf{factor}"
    return FoundModule(
        id=_id(role, name, format),
        path=path,
        format=format,
        files=files,
        role=role,
        language=language,
        reduction_factor=factor,
        step=int(said.get("step") or 0),
        copy=bool(said.get("copy")),
        problem=problem,
        laid_out=True,
    )


def _plain(name: str) -> str:
    """A name as part of an id: no white space, nothing that means something in a composition."""
    return re.sub(r"[^\w.-]+", "-", name.lower()).strip("-.")


def _why(module: FoundModule, taken: FoundModule) -> str:
    if module.copy:
        return f"a copy of {module.id}, on which the ranking adapter beside it was trained; {taken.path} is taken"
    if module.step < taken.step:
        return f"an earlier checkpoint of {module.id}; {taken.path} is taken"
    return f"would be called {module.id}, as {taken.path}; convert its folder by itself"
