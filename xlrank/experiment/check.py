"""Everything about an experiment that can be found wrong before anything is computed, all of it at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.composition import Composition, parse
from xlrank.composition.resolve import resolver
from xlrank.composition.rules import check_rules
from xlrank.errors import XlrankError
from xlrank.evaluation.metrics import check_metric
from xlrank.experiment.model import Experiment, System
from xlrank.experiment.modules import filled
from xlrank.experiment.pairs import LanguagePair, pairs_of
from xlrank.experiment.systems import KNOWN, USUAL_MODULES
from xlrank.languages import ALIASES, LANGUAGES, language_code
from xlrank.precision import resolve_precision
from xlrank.progress import silent
from xlrank.retrieval.first_stage import FirstStage
from xlrank.retrieval.methods import first_stage

Place = Sequence[str | int]
Problem = tuple[Place, str]


@dataclass
class Checked:
    """An experiment that can be run.

    Attributes:
        experiment: as it was given.
        base: the encoder.
        pairs: in order.
        compositions: by system name and pair, modules loaded.
        stages: first stages of the systems that are one, by system name.
        notes: what was left out, and why.
        opened: collections by id.
    """

    experiment: Experiment
    base: Base
    pairs: list[LanguagePair] = field(default_factory=list)
    compositions: dict[tuple[str, str], Composition] = field(default_factory=dict)
    stages: dict[str, FirstStage] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    opened: dict[str, Collection] = field(default_factory=dict)

    def systems(self, pair: LanguagePair) -> list[System]:
        """The systems that are evaluated on a pair."""
        return [system for system in self.experiment.systems if _applies(system, pair)]

    def stage(self, system: System, pair: LanguagePair) -> FirstStage:
        """The first stage that a system is."""
        return pair.stage if system.retrieve == "first" else self.stages[system.name]


def check(experiment: Experiment, say: Callable[[Place], str] = lambda _place: "") -> Checked:
    """Open, parse, resolve and load everything that an experiment names.

    Args:
        experiment: to be run.
        say: from a place in the experiment to how it begins a message, e.g. ``paper.yaml, line 7: ``.

    Raises:
        XlrankError: all problems, one a line.
    """
    try:
        checked = Checked(experiment, Base(experiment.base))
    except XlrankError as error:
        raise XlrankError(f"{say(['base'])}{error}") from None
    problems: list[Problem] = [*_names(experiment), *_settings(experiment), *_pairs(checked), *_systems(checked)]
    if problems:
        from xlrank.experiment.reading import listed

        raise listed([f"{say(place)}{text}" for place, text in problems])
    return checked


def _names(experiment: Experiment) -> Iterator[Problem]:
    names = [system.name for system in experiment.systems]
    for number, name in enumerate(names):
        if name in names[:number]:
            yield ("systems", number), f"system {name!r} stands twice; names must be unique"
    for number, system in enumerate(experiment.systems):
        for member in system.ensemble:
            if member != "first" and member not in names[:number]:
                yield ("systems", number), f"system {system.name!r}: its member {member!r} is no system that stands before it"
    baseline = experiment.tests.baseline
    if baseline is not None and baseline not in names:
        yield ("tests", "baseline"), f"baseline {baseline!r} is none of the systems {', '.join(names)}"


def _settings(experiment: Experiment) -> Iterator[Problem]:
    for number, metric in enumerate(experiment.metrics):
        yield from _tried(("metrics", number), lambda metric=metric: check_metric(metric))  # type: ignore[misc]
    yield from _tried(("precision",), lambda: resolve_precision(experiment.precision))


def _pairs(checked: Checked) -> Iterator[Problem]:
    for number, data in enumerate(checked.experiment.collections):
        place = ("collections", number)
        found: list[LanguagePair] = []
        yield from _tried(place, lambda: found.extend(pairs_of(checked.experiment, data, checked.opened)))
        for pair in found:
            missing = list(_tried(place, lambda pair=pair: _readable(pair, checked.base)))  # type: ignore[misc]
            yield from missing
            if not missing:
                checked.pairs.append(pair)


def _readable(pair: LanguagePair, base: Base) -> None:
    """Read all of a pair but its documents' texts, and ask its first stage whether it can work."""
    pair.collection.source.document_files(pair.document)
    search = pair.search(base, silent)
    pair.stage.check(search)
    _ = pair.ranked_queries


def _systems(checked: Checked) -> Iterator[Problem]:
    for number, system in enumerate(checked.experiment.systems):
        place = ("systems", number)
        if system.retrieve and system.retrieve != "first":
            yield from _tried(place, lambda system=system: _keep_stage(checked, system))  # type: ignore[misc]
        for pair in checked.pairs:
            if system.name in checked.stages and _applies(system, pair):
                search = pair.search(checked.base, silent)
                yield from _tried(place, lambda s=search: checked.stages[system.name].check(s))  # type: ignore[misc]
            if system.compose and _applies(system, pair):
                yield from _tried(place, lambda system=system, pair=pair: _compose(checked, system, pair))  # type: ignore[misc]


def _keep_stage(checked: Checked, system: System) -> None:
    assert system.retrieve is not None
    checked.stages[system.name] = first_stage(system.retrieve)


def _compose(checked: Checked, system: System, pair: LanguagePair) -> None:
    """The composition of a ranker for a pair, modules loaded and held against the base."""
    assert system.compose is not None
    experiment = checked.experiment
    expression = parse(system.compose)
    named = {language_code(leaf.name) for leaf in expression.leaves() if leaf.name in LANGUAGES or leaf.name in ALIASES}
    usual = USUAL_MODULES.get(system.name, {}) if system.compose == KNOWN.get(system.name, {}).get("compose") else {}
    modules = filled({**usual, **experiment.modules, **system.modules}, named | {pair.ranked_language, pair.document})
    composition = expression.resolve(resolver(pair.ranked_language, pair.document, modules, stand_in=experiment.stand_in))
    check_rules(composition, reference=experiment.reference)
    for leaf in composition.leaves():
        leaf.loaded().check_base(checked.base)
    checked.compositions[system.name, str(pair)] = composition


def _applies(system: System, pair: LanguagePair) -> bool:
    return not system.pairs or f"{pair.query}-{pair.document}" in system.pairs


def _tried(place: Place, action: Callable[[], object]) -> Iterator[Problem]:
    try:
        action()
    except XlrankError as error:
        yield place, str(error)
