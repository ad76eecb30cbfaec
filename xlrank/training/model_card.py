"""A README.md beside a module: what it is, how it was made, and what it is not good for, as the Hugging Face Hub shows it."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xlrank.files import write_text
from xlrank.languages import LANGUAGES
from xlrank.modules import Module

FILE = "README.md"
PATH = re.compile(
    r"(?<![\w.:/~-])(?:~|[A-Za-z]:(?=[/\\])|\.\.)?[/\\](?:[^\s/\\'\"`|<>()\[\],;:]+[/\\])+([^\s/\\'\"`|<>()\[\],;:]*)"
)
"""A path from the root, a home, a drive or the folder above; the last part is its name."""
LICENCES = {
    "cc0": "cc0-1.0",
    "cc by-sa 4.0": "cc-by-sa-4.0",
    "cc by-sa 3.0": "cc-by-sa-3.0",
    "cc by-nc-sa 4.0": "cc-by-nc-sa-4.0",
    "cc by-nc 4.0": "cc-by-nc-4.0",
    "cc by 4.0": "cc-by-4.0",
    "apache-2.0": "apache-2.0",
    "mit": "mit",
}
"""How licences of data begin, longest first, and the Hub's names for them."""
SHOWN = ("settings", "seed", "steps", "seconds", "waiting", "seen", "precision", "processes", "device", "resumed", "versions")
ELSEWHERE = {"data", "licence", "curve", "command", *SHOWN}
CURVE_ROWS = 12
SUMMARY = {
    "language": "A language module: it adapts the encoder to {language}, learnt from {ways}.",
    "ranking": "A ranking module: it makes a cross-encoder of the encoder, learnt from relevance judgements in {language}.",
    "late": (
        "A ranking module for late interaction: query and document are encoded apart, and each token of the query meets the most "
        "similar one of the document (MaxSim). Learnt from relevance data in {language}."
    ),
    "head": "A prediction head for masked language modelling, shared by the language modules of its base in training.",
}
WAYS = {
    "mlm": "plain text by masked language modelling",
    "align": "sentence pairs, to give a sentence the vectors that the encoder alone gives its translation into {pivot}",
    "ict": "articles, whose beginnings are to find what follows them",
}
"""How language modules learn, by objective (:mod:`xlrank.training.objectives`)."""
LIMITS = {
    "language": (
        "It does not rank by itself: put a ranking module of the same base on top.",
        "What it knows of the language is what its text held; names, spellings and topics that were rare there stay weak.",
    ),
    "ranking": (
        'It learnt what is relevant from the data above; other notions of relevance, such as "same story", do not carry over.',
        "In other languages it depends on the language module put below it in the place of the one it was trained on.",
    ),
    "late": (
        "It learnt what is relevant from the data above; other notions of relevance do not carry over.",
        "Vectors of both sides must come from the same module: documents encoded with another one have to be encoded anew.",
        "In other languages it depends on the encoder's own vectors, and on the language module put below it on that side.",
    ),
    "head": ("It is needed to train language modules only, never to rank.",),
}


def write_model_card(module: Module, folder: Path) -> Path:
    """Write ``README.md`` for a module, beside its ``module.json``.

    Paths of the machine that trained it are reduced to the names of their files.

    Args:
        module: with its training record.
        folder: where the module was saved.

    Returns:
        The file written.
    """
    write_text(folder / FILE, model_card(module))
    return folder / FILE


def model_card(module: Module) -> str:
    """The text of a module's README.md: YAML front matter, then Markdown."""
    training = dict(module.training)
    sections = [
        _front_matter(module, training),
        _summary(module),
        _use(module),
        _section("Data", _data(training)),
        _section("Training", [*_losses(training), *_curve(training), *_settings(training), *_command(training)]),
        _section("Limits", [f"- {line}" for line in (*LIMITS[_sort(module)], *_base_limit(module))]),
    ]
    return PATH.sub(r"\1", "\n\n".join(section for section in sections if section)) + "\n"


def _front_matter(module: Module, training: Mapping[str, Any]) -> str:
    """JSON strings and lists are YAML too, and need no rules of quoting."""
    licence = str(training.get("licence", ""))
    known = _known_licence(training, licence)
    fields: dict[str, Any] = {"license": known}
    if known == "other":
        fields["license_name"] = _short(licence) or "see the sources"
    if module.language:
        fields["language"] = [module.language]
    fields["library_name"] = "xlrank"
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", module.base.name):
        fields["base_model"] = module.base.name
    fields["tags"] = ["xlrank", "cross-lingual", f"{module.role}-module", module.kind]
    return "\n".join(["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()), "---"])


def _known_licence(training: Mapping[str, Any], licence: str) -> str:
    """The Hub's name for the licence; other, where it has none or files of several licences were learnt from."""
    each = {str(file.get("licence", licence)) for file in _list(training.get("data")) if isinstance(file, dict)} or {licence}
    names = {next((name for start, name in LICENCES.items() if one.lower().startswith(start)), "other") for one in each}
    return names.pop() if len(names) == 1 else "other"


def _sort(module: Module) -> str:
    """The role, or late for ranking modules of late interaction."""
    return "late" if module.interaction == "late" else module.role


def _summary(module: Module) -> str:
    size = sum(tensor.numel() for tensor in module.tensors.values())
    rows = [
        ("kind", module.kind),
        ("role", module.role),
        ("language", _language(module)),
        ("base", f"{module.base.name}, fingerprint `{module.base.fingerprint}`"),
        ("parameters", f"{size:,} ({module.bytes:,} bytes)"),
        ("weights", f"SHA-256 `{module.sha256}`"),
        *((str(key), _value(value)) for key, value in module.config.items()),
    ]
    summary = SUMMARY[_sort(module)].format(language=_language(module), ways=_ways(module.training))
    return "\n".join([f"# {_cell(_name(module))}", "", summary, "", *_table(("", ""), rows)])


def _use(module: Module) -> str:
    if module.role == "head":
        return ""
    name, base = json.dumps(_name(module), ensure_ascii=False), json.dumps(_last(module.base.name), ensure_ascii=False)
    below = '"language/en"' if module.role == "ranking" else name
    rank = name if module.role == "ranking" else '"ranking/en"'
    if module.interaction == "late":
        return _use_late(name, base)
    lines = [
        "import xlrank",
        "",
        f"base = xlrank.Base({base})",
        f"language, ranking = xlrank.Module.load({below}), xlrank.Module.load({rank})",
        "ranker = base + ranking" if module.kind == "full" else "ranker = base + language + ranking",
        'hits = ranker.rank("a question", ["a document", "another document"], top_k=2)',
    ]
    note = "The names stand for this folder and for a module of the same base."
    return "\n".join(["## Use", "", note, "", "```python", *lines, "```"])


def _use_late(name: str, base: str) -> str:
    lines = [
        "import xlrank",
        "from xlrank import split",
        "",
        f"base, ranking = xlrank.Base({base}), xlrank.Module.load({name})",
        'ky = xlrank.Module.load("language/ky")',
        'ranker = base + split(query=ky, document="none") + ranking',
        'hits = ranker.rank("a question in Kyrgyz", ["a document", "another document"], top_k=2)',
    ]
    note = "The names stand for this folder and for a language module of the same base; a side without one is plain (`none`)."
    return "\n".join(["## Use", "", note, "", "```python", *lines, "```"])


def _data(training: Mapping[str, Any]) -> list[str]:
    files = [fields for fields in _list(training.get("data")) if isinstance(fields, dict)]
    licence = _value(training.get("licence", "not recorded"))
    rows = [
        (_last(str(file.get("name", ""))), str(file.get("licence", licence)), f"`{file.get('sha256', 'not recorded')}`")
        for file in files
    ]
    return _table(("file", "licence", "SHA-256"), rows) if rows else [f"Licence of the data: {_cell(licence)}."]


def _losses(training: Mapping[str, Any]) -> list[str]:
    names = {
        "heldout_loss_before": "before training",
        "heldout_loss": "after training",
        "heldout_loss_best": "best on the way",
    }
    rows = [(shown, _value(training[name])) for name, shown in names.items() if training.get(name) is not None]
    return [*_table(("held-out loss", ""), rows), ""] if rows else []


def _curve(training: Mapping[str, Any]) -> list[str]:
    """A dozen points of the curve at most, first and last among them."""
    points = [point for point in _list(training.get("curve")) if isinstance(point, list) and len(point) == 2]
    stride = max(1, -(-(len(points) - 1) // (CURVE_ROWS - 1)))
    kept = points[::stride] + (points[-1:] if points and (len(points) - 1) % stride else [])
    return [*_table(("step", "held-out loss"), [(_value(step), _value(loss)) for step, loss in kept]), ""] if kept else []


def _settings(training: Mapping[str, Any]) -> list[str]:
    others = [name for name in training if name not in ELSEWHERE and not name.startswith("heldout_loss")]
    rows: list[tuple[str, str]] = []
    for name in (*SHOWN, *others):
        value = training.get(name)
        if isinstance(value, dict):
            rows += [(f"{name}: {key}", _value(item)) for key, item in value.items()]
        elif value is not None:
            rows.append((name, _value(value)))
    return [*_table(("setting", "value"), rows), ""] if rows else []


def _command(training: Mapping[str, Any]) -> list[str]:
    command = str(training.get("command", "")).replace("`", "'")
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return ["Command:", "", "    " + " ".join(shlex.join(map(_last, words)).split())] if words else []


def _base_limit(module: Module) -> Iterable[str]:
    yield f"It fits the base with fingerprint `{module.base.fingerprint}` alone; xlrank refuses any other."


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *lines]).rstrip() if lines else ""


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [header, ("---",) * len(header), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _cell(text: str) -> str:
    """Text that cannot leave its cell, nor smuggle in HTML or a link that hides where it goes."""
    return _short(text).replace("|", "\\|").replace("<", "&lt;").replace("](", "] (")


def _short(text: str) -> str:
    return " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())[:300]


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _ways(training: Mapping[str, Any]) -> str:
    """How a language module learnt; masked language modelling is what all learnt by before there were other objectives."""
    objectives, pivot = _list(training.get("objectives")) or ["mlm"], str(training.get("pivot", ""))
    name = LANGUAGES[pivot].name if pivot in LANGUAGES else "another language"
    ways = " and from ".join(WAYS[objective].format(pivot=name) for objective in objectives if objective in WAYS)
    return ways + (", with its vectors of plain text held near the encoder's own" if "hold" in objectives else "")


def _language(module: Module) -> str:
    return LANGUAGES[module.language].name if module.language in LANGUAGES else module.language or "no single language"


def _name(module: Module) -> str:
    return _last(module.name)


def _last(text: str) -> str:
    """The name of a file that is given with a path from the root or the like; other text as it is."""
    path = Path(text)
    return path.name if path.is_absolute() or text.startswith(("~", "..")) else text
