"""What a ``results.json`` holds (format 2), as checked, frozen data."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator

FORMAT = 2
"""The newest format that is read; :mod:`xlrank.report.reading` brings format 1 into this shape."""

LARGEST = 1e15
"""No figure is larger."""


def _relative(path: str) -> str:
    """A path that stays in its folder, whoever wrote it."""
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise ValueError("must be a relative path inside the results folder")
    return path


Number = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Text = Annotated[str, Strict()]
Name = Annotated[str, Strict(), Field(min_length=1)]
Count = Annotated[int, Strict(), Field(ge=0, le=LARGEST)]
InFolder = Annotated[str, Strict(), AfterValidator(_relative)]
Interval = tuple[Number, Number]
"""Lower and upper end, 95 %."""


class Part(BaseModel):
    """What all parts share: fields that a later version adds are passed over, nothing changes once read."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Comparison(Part):
    """A system against the baseline on the primary metric, paired by topic.

    Attributes:
        baseline: system name of the other.
        difference: mean over topics of system minus baseline.
        p_value: uncorrected; None: no test was made.
        p_corrected: corrected within its family of tests.
        effect: standardised mean difference.
        interval: of the difference.
        wins: topics on which the system is better.
        losses: topics on which the baseline is better.
        ties: the others.
        topics: number of topics.
    """

    baseline: Text | None
    difference: Number
    p_value: Number | None
    p_corrected: Number | None
    effect: Number | None = None
    interval: Interval | None = None
    wins: Count
    losses: Count
    ties: Count
    topics: Count


class ReferenceComparison(Part):
    """The original code's unpaired test (only with ``--reference``); ``star`` is what it would have printed."""

    p_value: Number | None
    star: bool
    baseline: Text | None = None


class Published(Part):
    """What a paper printed for this system and pair, and whether with a mark of significance."""

    value: Number
    metric: Text
    source: Text
    significant: bool = False


class Latency(Part):
    """Milliseconds a query."""

    median: Number
    p95: Number


class Cost(Part):
    """What a run cost: wall seconds, pairs scored, peak memory in MiB, bytes of the modules, minutes of their training."""

    seconds: Number | None = None
    pairs: Count | None = None
    pairs_per_second: Number | None = None
    ms_per_query: Latency | None = None
    peak_memory_mb: Number | None = None
    module_bytes: Count | None = None
    training_minutes: Number | None = None


class ModuleFacts(Part):
    """A module that a composition uses."""

    digest: Text
    bytes: Count
    minutes: Number | None = None


class Row(Part):
    """One system on one language pair of one collection.

    Attributes:
        system: name; with the pair it tells rows apart.
        label: how the system is shown.
        composition: as it prints; None for first stages and ensembles.
        modules: by name.
        collection: id without languages.
        language: of the topics.
        documents: language of the documents.
        metrics: metric to mean over topics.
        intervals: metric to its 95 % interval.
        per_topic: metric to topic id to value.
        topics: how many were evaluated.
        comparison: None for the baseline.
        reference_comparison: the original's own test.
        published: a paper's figure.
        cost: time and memory.
        run: TREC file, relative to the folder.
        candidates: the run that was re-ordered; None: the run is no re-ordering.
        key: of everything the run was made from.
        note: one line.
        series: name of the curve that the system is a point of; empty: of none.
        x: where on that curve.
    """

    system: Name
    label: Text
    composition: Text | None
    modules: dict[str, ModuleFacts] = {}
    collection: Name
    language: Name
    documents: Name
    metrics: dict[str, Number]
    intervals: dict[str, Interval] = {}
    per_topic: dict[str, dict[str, Number]]
    topics: Count
    comparison: Comparison | None
    reference_comparison: ReferenceComparison | None = None
    published: Published | None = None
    cost: Cost = Cost()
    run: InFolder
    candidates: InFolder | None = None
    key: Text = ""
    note: Text = ""
    series: Text | None = None
    x: Number | None = None

    @property
    def shown(self) -> str:
        """The label, or the name where there is none."""
        return self.label.strip() or self.system


class Tests(Part):
    """How differences were tested."""

    method: Literal["t-test", "randomisation", "bootstrap"] = "t-test"
    correction: Literal["holm", "bh", "none"] = "holm"
    alpha: Number = 0.05
    baseline: Text | None = None
    family: Literal["pair", "all"] = "pair"
    seed: Count = 0
    resamples: Count = 0


class Treatment(Part):
    """What became of topics without results or relevant documents, and in which order documents of equal score stand."""

    topics_without_results: Literal["zero", "skip"] = "zero"
    topics_without_relevant: Literal["zero", "skip"] = "skip"
    ties: Literal["run", "trec_eval"] = "run"


class Results(Part):
    """All of ``results.json``.

    Attributes:
        xlrank: version that wrote it.
        date: ISO 8601.
        name: of the experiment.
        title: one line.
        experiment: the experiment file as plain data.
        command: that wrote it.
        environment: versions and machine.
        metrics: the first is the primary one: tested, plotted, sorted by.
        tests: how differences were tested.
        treatment: of topics without results and of equal scores.
        rows: a system on a pair each.
        notes: a line each.
    """

    xlrank: Text
    date: Text
    name: Text = ""
    title: Text = ""
    experiment: dict[str, Any] = {}
    command: Text = ""
    environment: dict[str, Any] = {}
    metrics: Annotated[list[Name], Field(min_length=1)]
    tests: Tests = Tests()
    treatment: Treatment = Treatment()
    rows: Annotated[list[Row], Field(min_length=1)]
    notes: list[Text] = []

    @property
    def primary(self) -> str:
        """The metric that is tested and plotted."""
        return self.metrics[0]

    @model_validator(mode="after")
    def _consistent(self) -> "Results":
        seen: dict[tuple[str, str, str, str], int] = {}
        for number, row in enumerate(self.rows):
            if self.primary not in row.metrics:
                raise ValueError(f"rows[{number}].metrics lacks {self.primary!r}, the primary metric")
            first = seen.setdefault((row.collection, row.language, row.documents, row.system), number)
            if first != number:
                raise ValueError(f"rows[{number}] is for the same system and pair as rows[{first}]")
        return self
