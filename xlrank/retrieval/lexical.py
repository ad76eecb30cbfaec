"""BM25 as a first stage: over queries in the documents' language, however they came to be in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlrank.collections import Topic
from xlrank.errors import XlrankError
from xlrank.files import cache_folder
from xlrank.retrieval.engine import LexicalEngine, lexical_engine
from xlrank.retrieval.expression import Call
from xlrank.retrieval.first_stage import FirstStage, Search
from xlrank.retrieval.lucene import Rm3
from xlrank.retrieval.options import check_options, number, yes
from xlrank.runs import Run

WAYS = ("psq", "as-is")
"""Arguments that say where queries come from; ``file`` and ``mt`` are options, since they have a value."""


class Lexical(FirstStage):
    """``bm25`` with Lucene, ``bm25s`` without Java."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        check_options(call, ("k1", "b", "rm3", "file", "mt"))
        self.parameters: dict[str, Any] = {name: number(call, name) for name in ("k1", "b") if name in call.options}
        self.rm3 = yes(call, "rm3")
        if self.rm3 and call.name == "bm25s":
            raise XlrankError(f"first stage {str(call)!r}: rm3 needs Lucene; write bm25 instead of bm25s")
        words = [str(argument) for argument in call.arguments]
        ways = [*words, *(name for name in ("file", "mt") if name in call.options)]
        if len(ways) > 1 or not set(words) <= set(WAYS):
            raise XlrankError(f"first stage {str(call)!r}: expected at most one of psq, as-is, file=PATH and mt=MODEL")
        self.way = ways[0] if ways else "collection"

    def check(self, search: Search) -> None:
        """See :class:`FirstStage`."""
        if self.way in ("collection", "as-is", "file"):
            self._topics(search)

    def identity(self, search: Search) -> Any:  # noqa: ANN401
        """See :class:`FirstStage`."""
        engine = repr(self._engine(search.document_language))
        return [self.call.name, engine, self._queries_identity(search), search.documents.digest, search.depth]

    def run(self, search: Search) -> Run:
        """See :class:`FirstStage`."""
        (index,) = self.index(search)
        return self._engine(search.document_language).search(index, self._queries(search), search.depth)

    def index(self, search: Search) -> list[Path]:
        """See :class:`FirstStage`."""
        told = search.progress(f"{search.document_language} indexing ({self.call.name})")
        return [self._engine(search.document_language).index(search.documents, cache_folder() / "indexes", told)]

    def _engine(self, language: str) -> LexicalEngine:
        rm3: dict[str, Any] = {"rm3": Rm3()} if self.rm3 else {}
        return lexical_engine(self.call.name, language, **self.parameters, **rm3)

    def _queries(self, search: Search) -> Mapping[str, Any]:
        return search.queries(self._topics(search))

    def _queries_identity(self, search: Search) -> Any:  # noqa: ANN401 - JSON values
        return search.queries(self._topics(search))

    def _topics(self, search: Search) -> list[Topic]:
        """The topics in the documents' language."""
        languages = search.query_language, search.document_language
        if self.way == "as-is" or languages[0] == languages[1]:
            return search.collection.topics(search.query_language)
        return search.collection.search_topics(*languages)
