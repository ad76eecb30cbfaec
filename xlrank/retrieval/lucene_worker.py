"""The process with Java in it: ``python lucene_worker.py REQUEST.json`` does one job and ends; imports nothing of ours.

It stands alone because a Java machine does not survive a fork and must not share memory with training. It speaks to
Anserini and Lucene directly: importing pyserini takes seconds, its hit objects are slow, and its scores are rounded to
four decimals in order to spread ties.
"""

import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

Java: TypeAlias = Callable[[str], Any]
"""From the name of a Java class to the class."""
JAVA_FAILED = 3
"""Exit status when Java itself did not start."""
HEAP = "-Xmx1g"
BUFFER_MB = 256
"""Documents that Lucene gathers before it writes a segment; Anserini's own default is larger than the heap."""
MANY_TERMS = 1 << 20
"""Lucene stops at 1,024 different terms unless told otherwise; a translated query can have more."""


def start(jar: str) -> Java:
    """Start Java with Anserini's ``jar``; an error here means that Java is missing, broken or too old."""
    config = importlib.import_module("jnius_config")
    config.set_classpath(jar)
    config.set_options(HEAP, "-XX:+UseSerialGC")
    java: Java = importlib.import_module("jnius").autoclass
    java("io.anserini.index.Constants")
    return java


def index(java: Java, request: Mapping[str, Any]) -> None:
    """Index the JSONL files of the folder ``source`` into the folder ``index``, and see that no document was lost."""
    settings = java("io.anserini.index.IndexCollection$Args")()
    settings.collectionClass, settings.generatorClass = "JsonCollection", "DefaultLuceneDocumentGenerator"
    settings.input, settings.index = request["source"], request["index"]
    settings.threads, settings.memoryBuffer, settings.quiet = request["threads"], BUFFER_MB, True
    if request["analyzer"] == "words":
        settings.pretokenized = True
    else:
        settings.language = request["analyzer"]
    indexer = java("io.anserini.index.IndexCollection")(settings)
    indexer.run()
    counters = indexer.getCounters()
    seen = counters.indexed.get() + counters.empty.get()
    # Anserini only logs what goes wrong in its threads.
    if seen != request["documents"]:
        raise RuntimeError(f"only {seen} of {request['documents']} documents were read")


def search(java: Java, request: Mapping[str, Any]) -> None:
    """Search ``index`` for ``queries``, and write one line ``[topic, ids, scores]`` of JSON for each that finds something."""
    java("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(MANY_TERMS)
    searcher = open_index(java, request)
    analyzer = analyzer_of(java, request["analyzer"])
    queries = java("io.anserini.search.query.BagOfWordsQueryGenerator")()
    best_then_id = order(java)
    hits = java("io.anserini.search.ScoredDocs")

    def found(item: tuple[str, str]) -> tuple[str, list[str], list[float]]:
        topic, text = item
        query = queries.buildQuery("contents", analyzer, text)
        documents = hits.fromTopDocs(searcher.search(query, request["depth"], best_then_id, True), searcher)
        return topic, documents.docids, documents.scores

    with ThreadPoolExecutor(request["threads"]) as threads, Path(request["results"]).open("w", encoding="ascii") as stream:
        for topic, ids, scores in threads.map(found, request["queries"]):
            if ids:
                stream.write(json.dumps([topic, ids, scores]) + "\n")


def open_index(java: Java, request: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a Java object
    """Make a Lucene ``IndexSearcher`` that scores with BM25."""
    folder = java("org.apache.lucene.store.FSDirectory").open(java("java.nio.file.Paths").get(request["index"]))
    reader = java("org.apache.lucene.index.DirectoryReader").open(folder)
    # Named, because pyjnius would pick the wrong one of several constructors.
    of_reader = "(Lorg/apache/lucene/index/IndexReader;)V"
    searcher = java("org.apache.lucene.search.IndexSearcher")(reader, signature=of_reader)
    searcher.setSimilarity(java("org.apache.lucene.search.similarities.BM25Similarity")(request["k1"], request["b"]))
    return searcher


def order(java: Java) -> Any:  # noqa: ANN401 - a Java object
    """Make a Lucene ``Sort``: by falling score, then by rising document id."""
    field = java("org.apache.lucene.search.SortField")
    text = java("org.apache.lucene.search.SortField$Type").STRING_VAL
    return java("org.apache.lucene.search.Sort")(field.FIELD_SCORE, field("id", text))


def analyzer_of(java: Java, name: str) -> Any:  # noqa: ANN401 - a Java object
    """Make the analyzer that :func:`index` used under the same name."""
    if name == "words":
        return java("org.apache.lucene.analysis.core.WhitespaceAnalyzer")()
    if name == "en":
        return java("io.anserini.index.IndexCollection").DEFAULT_ANALYZER
    return java("io.anserini.analysis.AnalyzerMap").getLanguageSpecificAnalyzer(name)


def main(arguments: Sequence[str]) -> int:
    """Do the job that the file ``arguments[0]`` describes; 0 when done, else the last line on stderr says why not."""
    request = json.loads(Path(arguments[0]).read_text(encoding="ascii"))
    try:
        java = start(request["jar"])
    except Exception as error:
        return _failed(error, JAVA_FAILED)
    try:
        {"index": index, "search": search}[request["job"]](java, request)
    except Exception as error:
        return _failed(error, 1)
    return 0


def _failed(error: Exception, status: int) -> int:
    message = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    sys.stderr.write("\n" + message.removeprefix("JVM exception occurred: ") + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
