"""The process with Java in it: ``python lucene_worker.py REQUEST.json`` does jobs until its input ends; imports nothing of ours.

It stands alone because a Java machine does not survive a fork and must not share memory with training. It speaks to
Anserini and Lucene directly: importing pyserini takes seconds, its hit objects are slow, and its scores are rounded to
four decimals in order to spread ties.

Jobs come as lines of JSON on the standard input, and each is answered by a line of JSON on the file number ``answers``.
"""

import base64
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

Java: TypeAlias = Callable[[str], Any]
"""From the name of a Java class to the class."""
JAVA_FAILED = 3
"""Exit status when Java itself did not start."""
HEAP = "-Xmx1g"
QUICK_LOG = "-Dlog4j2.loggerContextFactory=org.apache.logging.log4j.simple.SimpleLoggerContextFactory"
"""The other one takes half a second to start; Anserini's indexer needs it."""
BUFFER_MB = 256
"""Documents that Lucene gathers before it writes a segment; Anserini's own default is larger than the heap."""
MANY_TERMS = 1 << 20
"""Lucene stops at 1,024 different terms unless told otherwise; a translated query can have more."""
FEW_TERMS = 64
"""More than so many and every document with one of them is scored."""
PAGE, BATCH = 10_000, 256
"""Documents whose ids are read at once; queries that are made before they are searched."""
CACHED = 1 << 16
"""Words and terms whose Java objects are kept for the next query."""
FIELD = "contents"


def start(jar: str, job: str) -> Java:
    """Start Java with Anserini's ``jar``; an error here means that Java is missing, broken or too old."""
    config = importlib.import_module("jnius_config")
    config.set_classpath(jar)
    config.set_options(HEAP, "-XX:+UseSerialGC", *([QUICK_LOG] if job == "search" else []))
    java: Java = importlib.import_module("jnius").autoclass
    java("io.anserini.index.Constants")
    return java


def index(java: Java, job: Mapping[str, Any]) -> None:
    """Index the JSONL files of the folder ``source`` into the new folder ``part``, and see that no document was lost."""
    part = Path(job["part"])
    settings = java("io.anserini.index.IndexCollection$Args")()
    settings.collectionClass, settings.generatorClass = "JsonCollection", "DefaultLuceneDocumentGenerator"
    settings.input, settings.index = job["source"], str(part.with_suffix(".half"))
    settings.threads, settings.memoryBuffer, settings.quiet = job["threads"], BUFFER_MB, True
    settings.storeDocvectors = job["vectors"]
    if job["analyzer"] == "whitespace":
        settings.pretokenized = True
    else:
        settings.language = job["analyzer"]
    indexer = java("io.anserini.index.IndexCollection")(settings)
    indexer.run()
    counters = indexer.getCounters()
    seen = counters.indexed.get() + counters.empty.get()
    # Anserini only logs what goes wrong in its threads.
    if seen != job["documents"]:
        raise RuntimeError(f"only {seen} of {job['documents']} documents were read")
    part.with_suffix(".half").rename(part)


def merge(java: Java, job: Mapping[str, Any]) -> None:
    """Put the indexes in the folders ``parts`` together into one of a single segment, ``index``, with a list of its ids."""
    writer_settings = java("org.apache.lucene.index.IndexWriterConfig")()
    writer_settings.setUseCompoundFile(False)
    writer = java("org.apache.lucene.index.IndexWriter")(folder(java, job["index"]), writer_settings)
    if job["parts"]:
        writer.addIndexes(*[folder(java, part) for part in job["parts"]])
        writer.forceMerge(1)
    writer.close()
    write_ids(java, {**job, "k1": 0.9, "b": 0.4})


def write_ids(java: Java, job: Mapping[str, Any]) -> None:
    """Write the ids of all documents of ``index`` in Lucene's order into the file ``ids``, one a line."""
    searcher = open_index(java, job)
    everything = java("org.apache.lucene.search.MatchAllDocsQuery")()
    sort_field, mapper = java("org.apache.lucene.search.SortField"), hits_mapper(java)
    by_number = java("org.apache.lucene.search.Sort")(sort_field.FIELD_DOC, id_field(java))
    with Path(job["ids"]).open("wb") as stream:
        after, written = None, 0
        while True:
            found = searcher.searchAfter(after, everything, PAGE, by_number)
            hits = json.loads(mapper.writeValueAsString(found))["scoreDocs"]
            if not hits:
                return
            for number, fields, *_ in hits:
                stream.write(b"\n" * (number - written) + text_of(fields[1]) + b"\n")  # deleted documents leave a gap
                written = number + 1
            after = found.scoreDocs[-1]


def search(java: Java, job: Mapping[str, Any]) -> None:
    """Search ``index``, and write a line for each of ``queries``: ``number,score,…`` for each hit, best first, joined by ``],[``.

    A line has ``depth`` hits where there are as many, and all others that score like the last of these; unless they are many:
    then it has the ``depth`` best by score and id.
    """
    java("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(MANY_TERMS)
    if job["ids"]:
        write_ids(java, job)
    searcher, depth, mapper, ordered = open_index(java, job), job["depth"], hits_mapper(java), by_score_and_id(java)
    collector, asked = java("org.apache.lucene.search.TopScoreDocCollector"), depth + depth // 8 + 32

    def found(made: tuple[Any, int]) -> str:
        query, terms = made
        # Skipping documents that cannot come high enough pays as long as terms are few.
        how = asked if terms <= FEW_TERMS else collector.createSharedManager(asked, None, (1 << 31) - 1)
        # Threads may share these Java objects; calling the same method of different ones at once is what pyjnius cannot do.
        hits = rows(mapper.writeValueAsString(searcher.search(query, how)))
        if len(hits) == asked and hits[depth - 1].split(",")[1] == hits[-1].split(",")[1]:
            page = json.loads(mapper.writeValueAsString(searcher.search(query, depth, ordered)))
            hits = [f"{number},{fields[0]!r},0" for number, fields, *_ in page["scoreDocs"]]
        return "],[".join(hits)

    with ThreadPoolExecutor(job["threads"]) as threads, Path(job["results"]).open("w", encoding="ascii") as stream:
        queries = made_queries(java, job, searcher)
        while batch := list(islice(queries, BATCH)):
            for line in threads.map(found, batch):
                stream.write(line + "\n")


def rows(page: str) -> list[str]:
    """The hits of a page as Jackson writes it, unparsed: taking numbers out of a thousand of them costs as much as the search."""
    start, end = page.find("[["), page.find("]]")
    return page[start + 2 : end].split("],[") if start >= 0 else []


def made_queries(java: Java, job: Mapping[str, Any], searcher: Any) -> Iterator[tuple[Any, int]]:  # noqa: ANN401 - Java objects
    """Lucene's queries, one for each of ``queries`` (a text, or words with weights), and their terms; 0 for a text's few."""
    analyzer = analyzer_of(java, job["analyzer"])
    bag_of_words = java("io.anserini.search.query.BagOfWordsQueryGenerator")()
    utilities, weighted = java("io.anserini.analysis.AnalyzerUtils"), weighting(java)

    @lru_cache(CACHED)
    def terms(text: str) -> tuple[str, ...]:
        return tuple(utilities.analyze(analyzer, text))

    for query in job["queries"]:
        if isinstance(query, str) and not job["rm3"]:
            yield bag_of_words.buildQuery(FIELD, analyzer, query), 0
            continue
        weights: dict[str, float] = {}
        for word, weight in ({query: 1.0} if isinstance(query, str) else query).items():
            for term in terms(word):
                weights[term] = weights.get(term, 0.0) + weight
        if job["rm3"] and weights:
            weights = expanded(java, job, searcher, analyzer, weights, weighted(weights))
        yield weighted(weights), len(weights)


def weighting(java: Java) -> Callable[[Mapping[str, float]], Any]:
    """Make the function that makes a Lucene query of terms with weights."""
    builder_of, boosted = java("org.apache.lucene.search.BooleanQuery$Builder"), java("org.apache.lucene.search.BoostQuery")
    term_of, query_of = java("org.apache.lucene.index.Term"), java("org.apache.lucene.search.TermQuery")
    should = java("org.apache.lucene.search.BooleanClause$Occur").SHOULD
    of_term, of_boost = "(Lorg/apache/lucene/index/Term;)V", "(Lorg/apache/lucene/search/Query;F)V"

    @lru_cache(CACHED)
    def single(term: str) -> Any:  # noqa: ANN401 - a Java object
        return query_of(term_of(FIELD, term), signature=of_term)

    def weighted(weights: Mapping[str, float]) -> Any:  # noqa: ANN401 - a Java object
        builder = builder_of()
        for term, weight in weights.items():
            if weight > 0:
                builder.add(boosted(single(term), weight, signature=of_boost), should)
        return builder.build()

    return weighted


def expanded(
    java: Java,
    job: Mapping[str, Any],
    searcher: Any,  # noqa: ANN401 - a Java object
    analyzer: Any,  # noqa: ANN401 - a Java object
    weights: Mapping[str, float],
    query: Any,  # noqa: ANN401 - a Java object
) -> dict[str, float]:
    """Interpolate the weights of a query with those of Anserini's relevance model of its first hits (RM3)."""
    rm3, total = job["rm3"], sum(weights.values())
    hits = searcher.search(query, rm3["fb_docs"], by_score_and_id(java), True)
    arguments = java("io.anserini.search.SearchCollection$Args")()
    arguments.hits = 1
    tokens = java("java.util.ArrayList")()
    # The query of no weight: what comes back is the relevance model alone, so that queries of weighted words can be expanded.
    context = java("io.anserini.rerank.RerankerContext")(searcher, "", query, "", "", tokens, None, arguments)
    alone = java("io.anserini.rerank.lib.Rm3Reranker")(
        analyzer, None, FIELD, rm3["fb_terms"], rm3["fb_docs"], 0.0, False, job["analyzer"] == "en"
    )
    alone.rerank(java("io.anserini.search.ScoredDocs").fromTopDocs(hits, searcher), context)
    own = rm3["original_query_weight"]
    mixed = {term: own * weight / total for term, weight in weights.items()}
    entries = context.feedbackTerms.entrySet().iterator()
    while entries.hasNext():
        entry = entries.next()
        mixed[entry.getKey()] = mixed.get(entry.getKey(), 0.0) + (1 - own) * entry.getValue()
    return mixed


def folder(java: Java, path: str) -> Any:  # noqa: ANN401 - a Java object
    """Make a Lucene ``Directory`` of a folder."""
    return java("org.apache.lucene.store.FSDirectory").open(java("java.nio.file.Paths").get(path))


def open_index(java: Java, job: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a Java object
    """Make a Lucene ``IndexSearcher`` that scores with BM25."""
    reader = java("org.apache.lucene.index.DirectoryReader").open(folder(java, job["index"]))
    # Named, because pyjnius would pick the wrong one of several constructors.
    of_reader = "(Lorg/apache/lucene/index/IndexReader;)V"
    searcher = java("org.apache.lucene.search.IndexSearcher")(reader, signature=of_reader)
    searcher.setSimilarity(java("org.apache.lucene.search.similarities.BM25Similarity")(job["k1"], job["b"]))
    return searcher


def hits_mapper(java: Java) -> Any:  # noqa: ANN401 - a Java object
    """Make a Jackson ``ObjectMapper`` that writes hits as arrays: a page of them crosses from Java as one string."""
    mapper = java("com.fasterxml.jackson.databind.ObjectMapper")()
    mapper.configure(java("com.fasterxml.jackson.databind.MapperFeature").SORT_PROPERTIES_ALPHABETICALLY, True)
    array = java("com.fasterxml.jackson.annotation.JsonFormat$Value").forShape(
        java("com.fasterxml.jackson.annotation.JsonFormat$Shape").ARRAY
    )
    java_class = java("java.lang.Class").forName
    for name in ("org.apache.lucene.search.ScoreDoc", "org.apache.lucene.search.FieldDoc"):
        mapper.configOverride(java_class(name)).setFormat(array)
    return mapper


def text_of(field: Mapping[str, Any]) -> bytes:
    """The bytes of Lucene's ``BytesRef`` as Jackson writes it."""
    start: int = field["offset"]
    return base64.b64decode(field["bytes"])[start : start + field["length"]]


def id_field(java: Java) -> Any:  # noqa: ANN401 - a Java object
    """Make a Lucene ``SortField``: by rising document id."""
    return java("org.apache.lucene.search.SortField")("id", java("org.apache.lucene.search.SortField$Type").STRING_VAL)


def by_score_and_id(java: Java) -> Any:  # noqa: ANN401 - a Java object
    """Make a Lucene ``Sort``: by falling score, then by rising document id."""
    return java("org.apache.lucene.search.Sort")(java("org.apache.lucene.search.SortField").FIELD_SCORE, id_field(java))


def analyzer_of(java: Java, name: str) -> Any:  # noqa: ANN401 - a Java object
    """Make the analyzer that :func:`index` used under the same name."""
    if name == "whitespace":
        return java("org.apache.lucene.analysis.core.WhitespaceAnalyzer")()
    if name == "en":
        return java("io.anserini.analysis.DefaultEnglishAnalyzer").newDefaultInstance()
    return java("io.anserini.analysis.AnalyzerMap").getLanguageSpecificAnalyzer(name)


JOBS = {"index": index, "merge": merge, "search": search}


def main(arguments: Sequence[str]) -> int:
    """Do jobs; 0 when the input ends, else the last line on stderr says what went wrong."""
    request = json.loads(Path(arguments[0]).read_text(encoding="ascii"))
    try:
        java = start(request["jar"], request["job"])
    except Exception as error:
        return _failed(error, JAVA_FAILED)
    with os.fdopen(request["answers"], "w", encoding="ascii") as answers:
        for line in sys.stdin:
            job = json.loads(line)
            try:
                JOBS[job["job"]](java, job)
            except Exception as error:
                return _failed(error, 1)
            answers.write("done\n")
            answers.flush()
    return 0


def _failed(error: Exception, status: int) -> int:
    message = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    sys.stderr.write("\n" + message.removeprefix("JVM exception occurred: ") + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
