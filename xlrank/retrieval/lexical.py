"""BM25 as a first stage: over queries in the documents' language, however they came to be in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlrank.collections import Topic
from xlrank.errors import XlrankError
from xlrank.files import cache_folder
from xlrank.retrieval.engine import LexicalEngine, Query, lexical_engine
from xlrank.retrieval.expression import Call
from xlrank.retrieval.first_stage import FirstStage, Search
from xlrank.retrieval.lucene import Rm3
from xlrank.retrieval.options import check_options, numbers, yes
from xlrank.retrieval.relevance_model import RelevanceModel
from xlrank.retrieval.translation.degenerate import POLICIES, Checked, Policy, check_translations
from xlrank.retrieval.translation.file import FileTranslator
from xlrank.retrieval.translation.model import ModelTranslator
from xlrank.retrieval.translation.structured import Psq
from xlrank.retrieval.translation.translator import Translator
from xlrank.runs import Run

WAYS = ("psq", "as-is")
"""Arguments that say where queries come from; ``file`` and ``mt`` are options, since they have a value."""


class Lexical(FirstStage):
    """``bm25`` with Lucene, ``bm25s`` without Java."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        check_options(call, ("k1", "b", "rm3", "file", "mt", "wrong", "parallel"))
        self.policy = _policy(call)
        self.parameters = numbers(call, {"k1": float, "b": float})
        self.rm3 = yes(call, "rm3")
        if self.rm3 and call.name == "bm25s":
            raise XlrankError(f"first stage {str(call)!r}: rm3 needs Lucene; write bm25 instead of bm25s")
        words = [str(argument) for argument in call.arguments]
        ways = [*words, *(name for name in ("file", "mt") if name in call.options)]
        if len(ways) > 1 or not set(words) <= set(WAYS):
            raise XlrankError(f"first stage {str(call)!r}: expected at most one of psq, as-is, file=PATH and mt=MODEL")
        self.way = ways[0] if ways else "collection"
        if "parallel" in call.options and self.way != "psq":
            raise XlrankError(f"first stage {str(call)!r}: parallel: expected with psq only")

    def check(self, search: Search) -> None:
        """See :class:`FirstStage`."""
        translator = self._translator(search)
        if translator is not None:
            _ = translator.identity
        elif self._is_structured(search):
            _ = self._psq(search).identity
        else:
            self._untranslated(search)

    def identity(self, search: Search) -> Any:  # noqa: ANN401
        """See :class:`FirstStage`."""
        engine = dict(self._engine(search.document_language).identity)
        return [engine, self._queries_identity(search), search.documents.digest, search.depth]

    def run(self, search: Search, feedback: tuple[RelevanceModel, Run] | None = None) -> Run:
        """See :class:`FirstStage`; ``feedback`` adds words of a run's best documents to the queries."""
        (index,) = self.index(search)
        queries, note = self._asked(search)
        if feedback:
            model, run = feedback
            queries = model.expanded(queries, run, search.documents)
        with search.progress(f"{search.query_language}-{search.document_language} searching ({self.call.name})"):
            found = self._engine(search.document_language).search(index, queries, search.depth)
        return found.noted(*search.blanks(), *([f"{self.call} {search.query_language}: {note}"] if note else []))

    def index(self, search: Search) -> list[Path]:
        """See :class:`FirstStage`."""
        engine, documents = self._engine(search.document_language), search.documents
        with search.progress(f"{search.document_language} indexing ({self.call.name})") as told:
            return [engine.index(documents, cache_folder() / "indexes", told)]

    def _engine(self, language: str) -> LexicalEngine:
        rm3: dict[str, Any] = {"rm3": Rm3()} if self.rm3 else {}
        return lexical_engine(self.call.name, language, **self.parameters, **rm3)

    def _queries_identity(self, search: Search) -> Any:  # noqa: ANN401 - JSON values
        if self._is_structured(search):
            return [self._psq(search).identity, search.base.fingerprint, search.queries(search.originals)]
        translator = self._translator(search)
        if translator is None:
            return search.queries(self._untranslated(search))
        return [translator.identity, self.policy, search.queries(search.originals)]

    def _asked(self, search: Search) -> tuple[Mapping[str, Query], str]:
        """What the engine is asked, by topic id, and what is odd about it."""
        if self._is_structured(search):
            return self._structured(search), ""
        checked = self._checked(search)
        return search.queries(checked.topics), checked.summary

    def _checked(self, search: Search) -> Checked:
        """The topics in the documents' language, and what looks wrong with their translations."""
        translator = self._translator(search)
        if translator is None and self._as_they_are(search):
            return Checked(search.chosen(self._untranslated(search)), {}, {})
        originals = search.originals
        languages = search.query_language, search.document_language
        if translator is None:
            by_id = {topic.id: topic for topic in search.translations}
            originals = [topic for topic in originals if topic.id in by_id]
            found = [by_id[topic.id] for topic in originals]
        else:
            with search.progress(f"{'-'.join(languages)} translating") as told:
                found = translator.translate(originals, *languages, told)
        checked = check_translations(originals, found, self.policy)
        return Checked(search.chosen(checked.topics), checked.reasons, checked.dropped)

    def _translator(self, search: Search) -> Translator | None:
        """What translates the topics; nothing where they are translated already, or need not be."""
        if self.way not in ("file", "mt") or search.query_language == search.document_language:
            return None
        if self.way == "file":
            return FileTranslator(Path(self.call.options["file"]))
        return ModelTranslator(self.call.options["mt"])

    def _is_structured(self, search: Search) -> bool:
        return self.way == "psq" and search.query_language != search.document_language

    def _structured(self, search: Search) -> Mapping[str, Mapping[str, float]]:
        """Weighted words of the documents' language for each topic."""
        psq = self._psq(search)

        def make() -> Mapping[str, Mapping[str, float]]:
            documents = search.documents
            with search.progress(f"{search.query_language}-{search.document_language} structured queries") as told:
                # Of all topics: they show what is particular to the language.
                return psq.queries(search.originals, documents, search.base, search.fields, told)

        queries = search.once(f"{psq}", make)
        return {topic: query for topic, query in queries.items() if search.topics is None or topic in search.topics}

    def _psq(self, search: Search) -> Psq:
        parallel = self.call.options.get("parallel")
        return Psq(parallel=search.path(parallel) if parallel else None)

    def _as_they_are(self, search: Search) -> bool:
        return self.way == "as-is" or search.query_language == search.document_language

    def _untranslated(self, search: Search) -> list[Topic]:
        if self._as_they_are(search):
            return search.originals
        return search.translations


def _policy(call: Call) -> Policy:
    """What happens to translations that look wrong."""
    value = call.options.get("wrong", "report")
    if value not in POLICIES:
        raise XlrankError(f"first stage {str(call)!r}: wrong={value}: expected {' or '.join(POLICIES)}")
    return value
