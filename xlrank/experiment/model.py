"""An experiment as data: what is evaluated on what, how it is measured and tested. Files and the command line both make one."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from xlrank.bases import EMBEDDED
from xlrank.composition.resolve import StandInRule
from xlrank.errors import XlrankError
from xlrank.evaluation import METRICS
from xlrank.evaluation.names import metric
from xlrank.languages import language_code
from xlrank.precision import Precision

Fields = Literal["title", "description", "title+description"]
FIRST = "first"
"""As a system: the first stage itself."""

WAYS = ("compose", "retrieve", "ensemble")
"""What a system can be, by the field that says it."""

Text = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """What all parts share: unknown keys are refused, nothing changes once made."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Data(Part):
    """A collection and the language pairs of it.

    Attributes:
        id: of the collection, without languages.
        pairs: ``QUERY-DOCUMENT`` language pairs; empty: every query language with ``documents``.
        documents: document language of the pairs that are not spelled out.
        first_stage: its own, where it differs from the experiment's.
        fields: its own query fields.
        rank_with: queries that rankers read: the ``topics`` as they are, or their ``translations`` into the documents' language,
            which then count as that language (the paper's low-resource pairs).
    """

    id: Text
    pairs: tuple[str, ...] = ()
    documents: str = "en"
    first_stage: Text | None = None
    fields: Fields | None = None
    rank_with: Literal["topics", "translations"] = "topics"

    @field_validator("pairs")
    @classmethod
    def _pairs(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_pair(pair) for pair in pairs)

    def all_pairs(self) -> tuple[str, ...]:
        """The pairs, spelled out.

        Raises:
            XlrankError: no such collection, or the language of the documents is unknown.
        """
        if self.pairs:
            return self.pairs
        from xlrank.collections import Collection

        code = language_code(self.documents)
        return tuple(f"{query}-{code}" for query in Collection(self.id).query_languages)


class System(Part):
    """One row of a leaderboard: a ranker (``compose``), a first stage (``retrieve``), or an ensemble.

    Attributes:
        name: how it is called in files and options.
        label: how it is shown; by default the name.
        compose: composition expression with ``query`` and ``document`` for the pair's languages.
        retrieve: first-stage expression; ``first`` is the experiment's first stage.
        ensemble: names of systems whose ranks are averaged (the paper's ENS).
        modules: modules of its own by the name that they stand for, over the experiment's.
        depth: candidates of each topic that a ranker re-orders, where it is not the experiment's.
        pairs: only on these pairs; empty: on all.
        series: name of the curve that it is a point of.
        x: where on that curve.
    """

    name: Text
    label: str = ""
    compose: Text | None = None
    retrieve: Text | None = None
    ensemble: tuple[str, ...] = ()
    modules: dict[str, str] = {}
    depth: Annotated[int, Field(ge=1)] | None = None
    pairs: tuple[str, ...] = ()
    series: str = ""
    x: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        """Text is the name of a system that is known, or an expression; a known name may come with other fields."""
        from xlrank.experiment.systems import KNOWN, system_named

        if isinstance(value, dict) and value.get("name") in KNOWN and not set(value) & set(WAYS):
            return {**system_named(value["name"]), **value}
        return system_named(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_way(self) -> "System":
        ways = [name for name in WAYS if getattr(self, name)]
        if len(ways) != 1:
            raise ValueError(
                f"system {self.name!r}: expected one of compose, retrieve and ensemble, got {' and '.join(ways) or 'none'}"
            )
        if self.compose is None and (self.depth or self.modules):
            raise ValueError(
                f"system {self.name!r}: {'depth' if self.depth else 'modules'} is of rankers only, which compose; "
                "what is retrieved takes the experiment's"
            )
        return self

    @property
    def shown(self) -> str:
        """How it is shown."""
        return (self.label or self.name) + (f", first {self.depth}" if self.depth else "")


class Testing(Part):
    """How differences are tested (:mod:`xlrank.evaluation.significance`).

    Attributes:
        baseline: system that the others are compared with; None: the first stage, else the first system.
        method: ``t-test``, ``randomisation`` or ``bootstrap``, paired by topic.
        correction: ``holm``, ``bh`` (Benjamini-Hochberg) or ``none``.
        family: tests corrected together: those of a language ``pair``, or ``all``.
        alpha: level at which a difference is marked.
        seed: of resampling.
        resamples: how many.
    """

    baseline: str | None = None
    method: Literal["t-test", "randomisation", "bootstrap"] = "t-test"
    correction: Literal["holm", "bh", "none"] = "holm"
    family: Literal["pair", "all"] = "pair"
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    seed: Annotated[int, Field(ge=0)] = 13
    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 2000


class Budget(Part):
    """Limits, for a quick look.

    Attributes:
        topics: only the first so many topics of each pair (by topic id); None: all.
        minutes: start no further run after so long; what is missing is noted, and made when the experiment is run again.
        latency_topics: topics whose candidates are ranked one by one to measure milliseconds a query; 0: not measured.
    """

    topics: Annotated[int, Field(ge=1)] | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None
    latency_topics: Annotated[int, Field(ge=0, le=1000)] = 3


class Experiment(Part):
    """Everything that decides an experiment's results, apart from the data itself.

    Attributes:
        name: of the experiment.
        title: one line on it.
        collections: the data.
        first_stage: whose candidates the rankers re-order, an expression (:mod:`xlrank.retrieval.first_stage`).
        fields: query fields.
        depth: candidates of each topic that are re-ordered.
        base: the encoder.
        precision: of the rankers.
        max_length: word pieces that rankers cut a pair to, in late interaction each text; None: what their checkpoints state.
        modules: folders or ids by the name that they stand for in compositions. The name ``language`` stands for every language:
            its value holds ``{language}``. ``${NAME}`` is replaced by an environment variable.
        stand_in: what a language without a module gets.
        reference: repeat the original code's quirks, and print its test beside ours.
        systems: what is compared.
        metrics: the first is the one that is tested and plotted.
        ties: order of equal scores: the run's own, or trec_eval's (document ids descending).
        missing: topics without results count ``zero``, or are skipped.
        without_relevant: the same of topics for which no document is relevant.
        tests: how differences are tested.
        budget: limits.
        published: name of published results to set beside these (:mod:`xlrank.evaluation.published`).
    """

    name: Text = "experiment"
    title: str = ""
    collections: Annotated[tuple[Data, ...], Field(min_length=1)]
    first_stage: Text = "dense"
    fields: Fields = "title+description"
    depth: Annotated[int, Field(ge=1)] = 100
    base: Text = EMBEDDED
    precision: Precision = "auto"
    max_length: Annotated[int, Field(ge=1)] | None = None
    modules: dict[str, str] = {}
    stand_in: StandInRule = "nearest"
    reference: bool = False
    systems: tuple[System, ...] = ()
    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = METRICS
    ties: Literal["run", "trec_eval"] = "run"
    missing: Literal["zero", "skip"] = "zero"
    without_relevant: Literal["zero", "skip"] = "skip"
    tests: Testing = Testing()
    budget: Budget = Budget()
    published: str | None = None

    @field_validator("metrics")
    @classmethod
    def _one_name(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        """Each metric under one name, whichever of its names the file has; unknown ones are refused later, with their lines."""
        found = []
        for text in metrics:
            try:
                found.append(str(metric(text)))
            except XlrankError:
                found.append(text)
        return tuple(dict.fromkeys(found))

    def plain(self) -> dict[str, Any]:
        """The experiment as plain data, without what is as by default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def narrowed(self, languages: Sequence[str] = (), systems: Sequence[str] = ()) -> "Experiment":
        """The same experiment on some of its query languages and systems only."""
        codes = [language_code(language) for language in languages]
        data = [
            one.model_copy(update={"pairs": tuple(pair for pair in one.all_pairs() if not codes or pair.split("-")[0] in codes)})
            for one in self.collections
        ]
        kept = tuple(system for system in self.systems if not systems or system.name in systems)
        return self.model_copy(update={"collections": tuple(one for one in data if one.pairs), "systems": kept})


def _pair(text: str) -> str:
    codes = text.split("-")
    if len(codes) != 2:
        raise ValueError(f"{text!r}: expected QUERY-DOCUMENT languages, e.g. ky-en")
    try:
        return "-".join(map(language_code, codes))
    except XlrankError as error:
        raise ValueError(f"{text!r}: {error}") from None
