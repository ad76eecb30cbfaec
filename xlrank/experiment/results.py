"""From runs to the rows of ``results.json``: metrics, intervals, costs, published figures, and how they were made."""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from xlrank.collections.reading import read_qrels
from xlrank.composition import Composition
from xlrank.errors import XlrankError
from xlrank.evaluation import evaluate
from xlrank.evaluation.metrics import mean
from xlrank.evaluation.significance import interval
from xlrank.evaluation.verify import figures_key
from xlrank.experiment.model import Experiment, System
from xlrank.experiment.pairs import LanguagePair
from xlrank.files import write_text
from xlrank.runs import Run

FORMAT = 2
PACKAGES = ("torch", "transformers", "ranx", "numpy", "scipy", "pyserini", "bm25s", "sentence-transformers")
SHOWN = 10
"""Places of a ranking whose documents' first words are kept for the report."""
SNIPPET = 300
"""Characters that are kept of a text."""

Row = dict[str, Any]


def row(
    experiment: Experiment,
    system: System,
    pair: LanguagePair,
    run: Run,
    paths: tuple[Path, Path | None],
    composition: Composition | None,
    known: Mapping[str, Row],
) -> Row:
    """One system on one pair, not yet compared with others.

    Args:
        experiment: what is measured, and how.
        system: of the row.
        pair: of the row.
        run: the system's.
        paths: of the run and of the candidates that it re-ordered, relative to the results folder.
        composition: the ranker's.
        known: rows of an earlier time by key, whose figures need not be computed again.
    """
    tests = experiment.tests
    treatment = (list(experiment.metrics), experiment.ties, experiment.missing)
    settings = (*treatment, tests.seed, tests.resamples, experiment.without_relevant)
    key = figures_key(str(run.metadata["key"]), pair.qrels, *settings)
    figures = known.get(key) or _figures(experiment, pair, run)
    modules = {str(leaf): _module(leaf) for leaf in composition.leaves()} if composition else {}
    return {
        "system": system.name,
        "label": system.shown,
        "composition": str(composition) if composition else None,
        "modules": modules,
        "collection": pair.collection.source.id,
        "language": pair.query,
        "documents": pair.document,
        "metrics": figures["metrics"],
        "intervals": figures["intervals"],
        "per_topic": figures["per_topic"],
        "topics": figures["topics"],
        "comparison": None,
        "reference_comparison": None,
        "published": None,
        "cost": _cost(run, modules),
        "run": str(paths[0]),
        "candidates": str(paths[1]) if paths[1] else None,
        "key": key,
        "note": "",
        "series": system.series,
        "x": system.x,
    }


def environment() -> dict[str, str]:
    """Versions and the machine, as far as results may depend on them; no names of users, hosts or folders."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}", "cpu": _cpu()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    torch = sys.modules.get("torch")
    if torch is not None:
        found["threads"] = str(torch.get_num_threads())
        found["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return found


def write_evidence(
    out: Path, pairs: list[LanguagePair], runs: Mapping[tuple[str, str], Run], staying: Sequence[Row] = ()
) -> None:
    """Copy the judgements beside the runs, and the first words of topics and of the documents that a report shows.

    What the files hold for rows that stay from an earlier evaluation is kept.

    Args:
        out: results folder.
        pairs: what was evaluated.
        runs: by system name and pair.
        staying: rows of other pairs, or of systems that were not evaluated now.
    """
    shared = {(PurePosixPath(row["run"]).parent.name, row["documents"]) for row in staying}
    shown: dict[tuple[str, str], tuple[LanguagePair, set[str]]] = {}
    topics: dict[tuple[str, str], dict[str, str]] = {}
    judged: dict[Path, dict[str, dict[str, int]]] = {}
    for pair in pairs:
        path = out / "qrels" / f"{pair.folder}.{pair.document}.txt"
        if path not in judged:
            judged[path] = _earlier_qrels(path) if (pair.folder, pair.document) in shared else {}
        judged[path].update(pair.qrels)
        wanted = shown.setdefault((pair.folder, pair.document), (pair, set()))[1]
        for (_, name), run in runs.items():
            if name == str(pair):
                wanted |= {document for topic in pair.qrels for document, _ in run.rankings.get(topic, ())[:SHOWN]}
        topics.setdefault((pair.folder, pair.query), {}).update(pair.queries)
    for path, qrels in judged.items():
        lines = [f"{topic} 0 {document} {grade}\n" for topic, grades in qrels.items() for document, grade in grades.items()]
        write_text(path, "".join(lines))
    for (folder, language), queries in topics.items():
        _write_texts(out / "texts" / f"{folder}.topics.{language}.jsonl", queries)
    for (folder, language), (pair, wanted) in shown.items():
        path = out / "texts" / f"{folder}.documents.{language}.jsonl"
        texts = _earlier_texts(path) if (folder, language) in shared else {}
        found = pair.collection.documents(language).fetch(sorted(wanted))
        _write_texts(path, texts | {id_: document.full_text for id_, document in found.items()})


def _earlier_qrels(path: Path) -> dict[str, dict[str, int]]:
    """What a file held; nothing where it is lost or damaged."""
    try:
        return read_qrels(path)
    except XlrankError:
        return {}


def _earlier_texts(path: Path) -> dict[str, str]:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {str(line["id"]): str(line["text"]) for line in lines}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_texts(path: Path, texts: Mapping[str, str]) -> None:
    lines = [json.dumps({"id": id_, "text": text[:SNIPPET]}, ensure_ascii=False) for id_, text in texts.items()]
    write_text(path, "".join(f"{line}\n" for line in lines))


def _figures(experiment: Experiment, pair: LanguagePair, run: Run) -> dict[str, Any]:
    per_topic = evaluate(
        run,
        pair.qrels,
        experiment.metrics,
        ties=experiment.ties,
        missing=experiment.missing,
        without_relevant=experiment.without_relevant,
    )
    tests = experiment.tests
    return {
        "per_topic": per_topic,
        "metrics": {metric: mean(values) for metric, values in per_topic.items()},
        "intervals": {metric: list(interval(values, tests.seed, tests.resamples)) for metric, values in per_topic.items()},
        "topics": len(per_topic[experiment.metrics[0]]),
    }


def _module(leaf: Any) -> dict[str, Any]:  # noqa: ANN401 - a leaf of a composition
    module = leaf.loaded()
    seconds = module.training.get("seconds")
    return {
        "digest": module.digest,
        "bytes": sum(tensor.numel() * tensor.element_size() for tensor in module.tensors.values()),
        "minutes": round(seconds / 60, 1) if isinstance(seconds, int | float) else None,
    }


def _cost(run: Run, modules: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    cost = run.metadata.get("cost", {})
    seconds, pairs = float(cost.get("seconds", 0.0)), cost.get("pairs")
    minutes = [module["minutes"] for module in modules.values() if module["minutes"] is not None]
    return {
        "seconds": seconds,
        "pairs": pairs,
        "pairs_per_second": round(pairs / seconds, 1) if pairs and seconds and not cost.get("resumed") else None,
        "ms_per_query": cost.get("ms_per_query"),
        "peak_memory_mb": cost.get("peak_memory_mb"),
        "module_bytes": sum(module["bytes"] for module in modules.values()) if modules else None,
        "training_minutes": round(sum(minutes), 1) if minutes else None,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
