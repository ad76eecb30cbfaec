"""First stages by expression: what is searched, with which queries, and how several are fused. Each gives a run.

| expression | what it does |
|---|---|
| ``bm25`` | Lucene BM25 over the collection's own translations of the topics; as they are where the languages are the same |
| ``bm25(psq)`` | over probabilistic structured queries: no translation model, the multilingual encoder finds the words |
| ``bm25(mt=MODEL)`` | over topics translated by a sequence-to-sequence model of the Hub |
| ``bm25(file=PATH)`` | over translations in a TSV; ``{query}`` and ``{document}`` stand for the languages |
| ``bm25(as-is)`` | over the topics as they are, whatever their language |
| ``bm25s(…)`` | the same without Java |
| ``dense``, ``dense(model=NAME)`` | a bi-encoder: the base itself, or any sentence-transformers model |
| ``dense(COMPOSITION)`` | the base with modules as a bi-encoder, e.g. ``dense(split(query,document)+rank)`` |
| ``late(COMPOSITION)`` | late interaction (MaxSim) with every document, e.g. ``late(split(query,document)+rank)`` |
| ``rocchio(A)``, ``rocchio(A, dense(…))`` | a bi-encoder whose queries move towards the best documents of the first stage A |
| ``rm3(A)``, ``rm3(A, bm25(…))`` | BM25 with words of A's best documents added to its queries (usually ``bm25(psq)``) |
| ``rrf(A, B, …)``, ``wsum(A, B, weights=0.7:0.3)`` | fusion of first stages |
| ``run(PATH)`` | a TREC run made elsewhere, or a folder of TOPIC.tsv files as the original has them |

Options of BM25: ``k1``, ``b``, ``rm3=yes`` (with its own best documents, by Lucene), ``wrong=drop`` (translations that look
wrong), ``parallel=FILE`` (texts and their translations, source TAB target, for ``psq`` to learn more from); of ``dense``:
``max_length``, ``revision``; of ``rocchio``: ``documents``, ``weight``; of ``rm3`` these and ``words``; of fusion: ``k``,
``norm``, ``weights``.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlrank.bases import Base
from xlrank.composition import Composition
from xlrank.composition.identity import identity_of
from xlrank.composition.sides import side_of
from xlrank.errors import XlrankError
from xlrank.files import cache_folder, file_record
from xlrank.retrieval.expression import Call, parse_call
from xlrank.retrieval.first_stage import CompoundStage, FirstStage, Search
from xlrank.retrieval.late import Late, composed_apart
from xlrank.retrieval.lexical import Lexical
from xlrank.retrieval.options import check_options, numbers
from xlrank.retrieval.relevance_model import RelevanceModel
from xlrank.retrieval.rocchio import Rocchio
from xlrank.runs import Run, metadata_path, read_preranking

if TYPE_CHECKING:
    from xlrank.retrieval.dense import DenseRetriever


def first_stage(text: str) -> FirstStage:
    """A first stage from its expression.

    Raises:
        XlrankError: it is malformed, or names an unknown method or option.
    """
    return made(parse_call(text))


def made(call: Call) -> FirstStage:
    """A first stage from its parsed expression; a name of :data:`ALIASES` stands for what it is short for."""
    if call.name in ALIASES and not call.arguments and not call.options:
        call = parse_call(ALIASES[call.name])
    if call.name not in METHODS:
        known = ", ".join([*METHODS, *ALIASES])
        raise XlrankError(f"first stage {str(call)!r}: {call.name!r} is unknown; expected one of {known}")
    return METHODS[call.name](call)


class Dense(FirstStage):
    """A bi-encoder: the base itself, the base with modules, or a sentence-transformers model."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        check_options(call, () if call.arguments else ("model", "max_length", "revision"), arguments=min(len(call.arguments), 1))
        if "revision" in call.options and "model" not in call.options:
            raise XlrankError(f"first stage {str(call)!r}: revision: expected with model=NAME only")
        numbers(call, {"max_length": int})

    def check(self, search: Search) -> None:
        """See :class:`FirstStage`."""
        if self.call.arguments:
            composed_apart(search, self.call.arguments[0].name, str(self))

    def identity(self, search: Search) -> Any:  # noqa: ANN401
        """See :class:`FirstStage`."""
        retriever = self._retriever(search)
        model: list[Any] = [dict(retriever.encoder.identity), retriever.query_prefix]
        if self.call.arguments:
            composition = composed_apart(search, self.call.arguments[0].name, str(self))
            model.append(identity_of(side_of(composition, "query")))
        return ["dense", model, search.queries(search.originals), search.documents.digest, search.depth]

    def run(self, search: Search, feedback: "tuple[Rocchio, Run] | None" = None) -> Run:
        """See :class:`FirstStage`; ``feedback`` moves the queries towards the best documents of a run."""
        (index,) = self.index(search)
        queries = search.queries(search.originals)
        with search.progress(f"{search.query_language}-{search.document_language} searching ({self.call.name})"):
            found = self._retriever(search).search(index, search.documents, queries, search.depth, feedback)
        return found.noted(*search.blanks())

    def index(self, search: Search) -> list[Path]:
        """See :class:`FirstStage`."""
        retriever, documents = self._retriever(search), search.documents
        with search.progress(f"{search.document_language} embedding documents") as told:
            return [retriever.index(documents, cache_folder() / "indexes", told)]

    def _retriever(self, search: Search) -> "DenseRetriever":
        if self.call.arguments:
            return _composed_retriever(search.base, composed_apart(search, self.call.arguments[0].name, str(self)))
        options = dict(self.call.options) | numbers(self.call, {"max_length": int})
        return _dense_retriever(search.base, tuple(sorted(options.items())))


class Feedback(CompoundStage):
    """A first stage that asks again, with what another one ranks highest: ``rocchio`` with vectors, ``rm3`` with words."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        model, options, kind, usual = FEEDBACK[call.name]
        check_options(call, tuple(options))
        if not 1 <= len(call.arguments) <= 2:
            raise XlrankError(
                f"first stage {str(call)!r}: expected a first stage to learn from, and the one that asks again (default: {usual})"
            )
        self.parts = [made(call.arguments[0])]
        asking = made(call.arguments[1] if len(call.arguments) == 2 else parse_call(usual))
        if not isinstance(asking, kind):
            raise XlrankError(f"first stage {str(call)!r}: {asking} cannot ask again; expected one like {usual}")
        self.asking: Dense | Lexical = asking
        try:
            self.model = model(**numbers(call, options))
        except XlrankError as error:
            raise XlrankError(f"first stage {str(call)!r}: {error}") from None

    def identity(self, search: Search) -> Any:  # noqa: ANN401
        """See :class:`FirstStage`."""
        return [self.call.name, asdict(self.model), self.parts[0].identity(search), self.asking.identity(search)]

    def combine(self, runs: Sequence[Run], search: Search) -> Run:
        """See :class:`CompoundStage`."""
        return self.asking.run(search, (self.model, runs[0]))


class Fusion(CompoundStage):
    """Several first stages as one: reciprocal ranks, or weighted sums of normalised scores."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        ranks = call.name in ("rrf", "isr", "mean-rank")
        known = ["norm"] if not ranks else ["k"] if call.name == "rrf" else []
        check_options(call, [*known, "weights"] if call.name in ("rrf", "wsum", "mean-rank") else known)
        if len(call.arguments) < 2:
            raise XlrankError(f"first stage {str(call)!r}: expected at least two first stages to fuse")
        self.parts = [made(argument) for argument in call.arguments]
        self.settings: dict[str, Any] = {"method": call.name, **numbers(call, {"k": int})}
        if "norm" in call.options:
            self.settings["normalisation"] = call.options["norm"]
        if "weights" in call.options:
            self.settings["weights"] = _weights(call, len(self.parts))

    def identity(self, search: Search) -> Any:  # noqa: ANN401
        """See :class:`FirstStage`."""
        return [self.settings, [part.identity(search) for part in self.parts]]

    def combine(self, runs: Sequence[Run], search: Search) -> Run:
        """See :class:`CompoundStage`."""
        from xlrank.retrieval.fusion import fuse

        return fuse(runs, depth=search.depth, **self.settings).noted(*search.blanks())


class Given(FirstStage):
    """A TREC run that is there already, whoever made it; ``{query}`` and ``{document}`` stand for the languages."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        check_options(call, (), arguments=1)
        self.template = call.arguments[0].name

    def check(self, search: Search) -> None:
        """See :class:`FirstStage`."""
        path = search.path(self.template)
        if not path.exists():
            raise XlrankError(f"first stage {str(self.call)!r}: {path}: no such file; expected a TREC run")

    def identity(self, search: Search) -> Any:  # noqa: ANN401
        """See :class:`FirstStage`."""
        self.check(search)
        path = search.path(self.template)
        files = sorted([*path.glob("*.tsv"), *path.glob("*.tsv.gz")]) if path.is_dir() else [path, metadata_path(path)]
        return ["run", [file_record(file) for file in files if file == path or file.exists()], search.depth]

    def run(self, search: Search) -> Run:
        """See :class:`FirstStage`."""
        path = search.path(self.template)
        run = read_preranking(path, search.depth) if path.is_dir() else Run.read(path)
        asked = search.topics if search.topics is not None else [topic.id for topic in search.originals]
        return run.only(asked).top(search.depth)


@lru_cache(maxsize=2)
def _dense_retriever(base: Base, options: tuple[tuple[str, Any], ...]) -> "DenseRetriever":
    """A retriever; kept, since loading a model takes seconds and each language pair asks for it."""
    from xlrank.retrieval.dense import DenseRetriever, SentenceEncoder

    given = dict(options)
    if "model" in given:
        return DenseRetriever(SentenceEncoder(**given))
    return DenseRetriever(base, **given)


@lru_cache(maxsize=4)
def _composed_retriever(base: Base, composition: Composition) -> "DenseRetriever":
    """A retriever under a composition."""
    from xlrank.retrieval.dense import DenseRetriever
    from xlrank.retrieval.dense.composed import ComposedBiEncoder

    return DenseRetriever(ComposedBiEncoder(base, composition))


def _weights(call: Call, count: int) -> list[float]:
    texts = call.options["weights"].split(":")
    try:
        weights = [float(text) for text in texts]
    except ValueError:
        weights = []
    if len(weights) != count:
        raise XlrankError(f"first stage {str(call)!r}: weights: expected {count} numbers joined by colons, e.g. 0.7:0.3")
    return weights


FEEDBACK: dict[str, tuple[Any, dict[str, type[int] | type[float]], type[Dense | Lexical], str]] = {
    "rocchio": (Rocchio, {"documents": int, "weight": float}, Dense, "dense"),
    "rm3": (RelevanceModel, {"documents": int, "words": int, "weight": float}, Lexical, "bm25(psq)"),
}
"""By name: what is learned from a run, its options, which kind of first stage can ask with it, and which one usually does."""

METHODS: dict[str, Callable[[Call], FirstStage]] = {
    "bm25": Lexical,
    "bm25s": Lexical,
    "dense": Dense,
    "late": Late,
    "rocchio": Feedback,
    "rm3": Feedback,
    "run": Given,
    **dict.fromkeys(("rrf", "isr", "mean-rank", "wsum", "sum", "mnz", "anz", "max", "min", "med"), Fusion),
}
"""By name; each makes a first stage of a call, or refuses it."""

_COMPOSED = "split(query,document)+rank"
_FOUND = f"wsum(late({_COMPOSED}), bm25(psq), weights=0.6:0.4)"

ALIASES = {
    "psq": "bm25(psq)",
    "fusion": "wsum(dense, bm25(psq), weights=0.7:0.3)",
    "feedback": "wsum(rocchio(fusion), rm3(fusion), weights=0.7:0.3)",
    "best": f"rocchio({_FOUND}, dense({_COMPOSED}), weight=2)",
}
"""Short names of expressions."""
