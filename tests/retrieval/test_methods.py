"""First stages by expression: each does what it says on the small collection, is known by what decides it, or is refused."""

from pathlib import Path
from typing import Any, cast

import pytest

from xlrank.bases import Base
from xlrank.collections import Collection, Topic
from xlrank.errors import XlrankError
from xlrank.files import cache_folder
from xlrank.retrieval.dense import DenseRetriever
from xlrank.retrieval.first_stage import Search
from xlrank.retrieval.fusion import fuse
from xlrank.retrieval.lexical import Lexical
from xlrank.retrieval.methods import ALIASES, METHODS, Dense, first_stage
from xlrank.retrieval.rocchio import Rocchio
from xlrank.retrieval.translation.structured import Psq
from xlrank.runs import Run


@pytest.fixture
def search(small_collection: Path, tiny_base: Base) -> Search:
    return Search(Collection(f"folder:{small_collection}"), "tr", "en", tiny_base, depth=5)


def test_dense(search: Search, tiny_base: Base) -> None:
    queries = {"1": "köprü su ve köprü", "2": "seçim okulda seçim", "10": "elma pazar pazar ve elma"}
    for expression, retriever in (
        ("dense", DenseRetriever(tiny_base)),
        ("dense(max_length=12)", DenseRetriever(tiny_base, max_length=12)),
    ):
        index = retriever.index(search.documents, cache_folder() / "indexes")
        assert first_stage(expression).run(search).rankings == retriever.search(index, search.documents, queries, 5).rankings
        assert first_stage(expression).index(search) == [index]


@pytest.mark.parametrize("expression", ["dense", "bm25s(as-is)", "late(late())", "rrf(dense, bm25s(as-is))"])
def test_texts_without_content_are_noted(expression: str, small_collection: Path, tiny_base: Base) -> None:
    with (small_collection / "documents.en.jsonl").open("a") as stream:
        stream.write('{"doc_id": "d7", "text": "\\u200c"}\n{"doc_id": "d8", "text": "", "title": "river"}\n')
    (small_collection / "topics.tr.tsv").write_text("1\triver\tthe river\n2\tbridge\n")
    collection = Collection(f"folder:{small_collection}")
    found = first_stage(expression).run(Search(collection, "tr", "en", tiny_base, "description"))
    assert list(found.rankings) == ["1"]
    named = {document for document, _ in found.rankings["1"]}
    assert "d8" in named and "d7" not in named
    assert found.metadata["notes"] == [
        "topic '2' has no text in description and finds nothing",
        "document 'd7' has no text and is never found",
    ]


def test_queries_of_ones_own_are_normalised(small_collection: Path, tiny_base: Base) -> None:
    typed = Topic("query", " и\u0306\u00adлга \u0473 ", "\u0473")
    search = Search(Collection(f"folder:{small_collection}"), "ky", "en", tiny_base, asked=[typed])
    assert search.originals == [Topic("query", "йлга ө", "ө")]


def test_fusion_is_of_the_parts_runs(search: Search) -> None:
    parts = [first_stage(text).run(search) for text in ("dense", "dense(max_length=12)")]
    for expression, settings in (
        ("rrf(dense, dense(max_length=12), k=3)", {"method": "rrf", "k": 3}),
        (
            "wsum(dense, dense(max_length=12), norm=z-score, weights=3:1)",
            {"method": "wsum", "normalisation": "z-score", "weights": [3.0, 1.0]},
        ),
        ("max(dense, dense(max_length=12))", {"method": "max"}),
    ):
        expected = fuse(parts, depth=5, **settings)
        assert first_stage(expression).run(search).rankings == expected.rankings
    assert len(first_stage("rrf(dense, dense(max_length=12))").index(search)) == 2


def test_rocchio_searches_again_with_what_another_stage_found(search: Search, tiny_base: Base, tmp_path: Path) -> None:
    given = Run.of("given", {"1": {"d3": 2.0}, "2": {"d1": 1.0}})
    given.write(tmp_path / "given.trec")
    found = first_stage(f"rocchio(run({tmp_path / 'given.trec'}), documents=1, weight=50)").run(search)
    assert [found.rankings[topic][0][0] for topic in ("1", "2")] == ["d3", "d1"]
    assert found.rankings["10"] == first_stage("dense").run(search).rankings["10"]
    retriever = DenseRetriever(tiny_base, max_length=12)
    stage = first_stage("rocchio(dense, dense(max_length=12))")
    index = retriever.index(search.documents, cache_folder() / "indexes")
    feedback = Rocchio(), first_stage("dense").run(search)
    assert stage.run(search).rankings == (
        retriever.search(index, search.documents, search.queries(search.originals), 5, feedback).rankings
    )
    assert index in stage.index(search) and len(stage.index(search)) == 2
    assert len(first_stage("rocchio(dense)").index(search)) == 1


def test_rm3_adds_words_of_what_another_stage_found(search: Search, tmp_path: Path) -> None:
    Run.of("given", {"1": {"d3": 2.0}}).write(tmp_path / "given.trec")
    given = f"run({tmp_path / 'given.trec'})"
    found = first_stage(f"rm3({given}, bm25s(as-is), documents=1)").run(search)
    assert list(found.rankings) == ["1"], "Turkish words alone find nothing in English"
    assert [id_ for id_, _ in found.rankings["1"]] == ["d3"], "the other words of d3 are common"
    plain = first_stage("bm25s(psq)").run(search)
    led = first_stage(f"rm3({given}, bm25s(psq), documents=1, weight=0.9)").run(search)
    assert led.rankings["1"][0][0] == "d3"
    assert {topic: led.rankings[topic] for topic in ("2", "10")} == {topic: plain.rankings[topic] for topic in ("2", "10")}
    assert first_stage(f"rm3({given})").identity(search) == first_stage(f"rm3({given}, bm25(psq))").identity(search)


def test_structured_queries_learn_from_a_parallel_corpus(search: Search, tmp_path: Path) -> None:
    (tmp_path / "tr-en.tsv").write_text("köprü\tbridge\n" * 40 + "seçim\telection\n" * 40, encoding="utf-8")
    stage = first_stage(f"bm25s(psq, parallel={tmp_path}/{{query}}-{{document}}.tsv)")
    assert stage.run(search).rankings["1"][0][0] == "d1"
    assert stage.identity(search) != first_stage("bm25s(psq)").identity(search)
    with pytest.raises(XlrankError, match=r"absent\.tsv: cannot be read"):
        first_stage("bm25(psq, parallel=absent.tsv)").check(search)


def test_what_parts_share_is_made_once(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[str]()
    for kind in (Dense, Lexical):
        original = kind.run

        def counting(self: Any, *arguments: Any, original: Any = original) -> Run:  # noqa: ANN401
            calls.append(f"{self}" + " again" * (len(arguments) > 1 and arguments[1] is not None))
            return cast("Run", original(self, *arguments))

        monkeypatch.setattr(kind, "run", counting)
    original_queries = Psq.queries

    def counted(self: Psq, *arguments: Any) -> Any:  # noqa: ANN401
        calls.append("queries")
        return original_queries(self, *arguments)

    monkeypatch.setattr(Psq, "queries", counted)
    both = "rrf(dense, bm25s(psq))"
    found = first_stage(f"wsum(rocchio({both}), rm3({both}, bm25s(psq)), weights=0.7:0.3)").run(search)
    assert set(found.rankings) == {"1", "2", "10"}
    assert calls == ["dense", "bm25s(psq)", "queries", "dense again", "bm25s(psq) again"]


def test_a_run_made_elsewhere(search: Search, tmp_path: Path) -> None:
    run = Run.of("theirs", {"1": {f"d{i}": 9.0 - i for i in range(1, 7)}, "2": {"d3": 1.0}, "99": {"d1": 1.0}})
    run.write(tmp_path / "tr-en.trec")
    chosen = Search(search.collection, "tr", "en", search.base, depth=2, topics=frozenset({"1", "2", "10"}))
    found = first_stage(f"run({tmp_path}/{{query}}-{{document}}.trec)").run(chosen)
    assert found.rankings == {"1": (("d1", 8.0), ("d2", 7.0)), "2": (("d3", 1.0),)}
    assert found.metadata["notes"] == ["topics that are not in the collection, left out: 1 (99)"]
    everything = first_stage(f"run({tmp_path}/{{query}}-{{document}}.trec)").run(search)
    assert set(everything.rankings) == {"1", "2"} and everything.metadata["notes"] == found.metadata["notes"]
    path = tmp_path / "packed.trec.gz"
    given, plain = first_stage(f"run({path})"), first_stage(f"run({tmp_path}/tr-en.trec)")
    Run(run.name, run.rankings, {"cost": {"seconds": 1.5}}).write(path)
    assert given.run(chosen).rankings == found.rankings and given.run(chosen).metadata["cost"] == {"seconds": 1.5}
    before = given.identity(chosen)
    Run(run.name, run.rankings, {"cost": {"seconds": 2.5}}).write(path)
    assert given.identity(chosen) != before, "what a run costs becomes part of what is made of it"
    assert plain.identity(chosen) == first_stage(f"run({tmp_path}/tr-en.trec)").identity(chosen)
    with pytest.raises(XlrankError, match=r"absent\.trec: no such file; expected a TREC run"):
        first_stage("run(absent.trec)").check(search)
    with pytest.raises(XlrankError, match=r"absent\.trec: no such file"):
        first_stage("rrf(dense, rocchio(run(absent.trec)))").check(search)


def test_only_the_topics_asked_for(search: Search) -> None:
    one = Search(search.collection, "tr", "en", search.base, depth=3, topics=frozenset({"2"}))
    assert list(first_stage("rrf(dense, dense(max_length=12))").run(one).rankings) == ["2"]


def test_what_decides_a_run_is_in_its_identity(search: Search, small_collection: Path) -> None:
    texts = [
        *("dense", "dense(max_length=12)", "rocchio(dense)", "rocchio(dense, documents=4)", "rocchio(dense, weight=2)"),
        *("rm3(dense)", "rm3(dense, words=9)", "rm3(dense, bm25s(as-is))"),
        *("rocchio(dense, dense(max_length=12))", "rocchio(dense(max_length=12))", "bm25s(as-is)", "bm25s(as-is, b=0.3)"),
        *("rrf(dense, bm25s(as-is))", "rrf(dense, bm25s(as-is), k=1)", "wsum(dense, bm25s(as-is))", "bm25s(psq)", "bm25(psq)"),
    ]
    known = {text: first_stage(text).identity(search) for text in texts}
    assert len({str(identity) for identity in known.values()}) == len(texts)
    assert {text: first_stage(text).identity(search) for text in texts} == known
    with (small_collection / "topics.tr.tsv").open("a", encoding="utf-8") as stream:
        stream.write("11\tyeni\tyeni konu\n")
    changed = Search(Collection(f"folder:{small_collection}"), "tr", "en", search.base, depth=5)
    assert all(first_stage(text).identity(changed) != known[text] for text in texts)


@pytest.mark.parametrize("name", ALIASES)
def test_short_names(name: str, search: Search) -> None:
    assert str(first_stage(name)) == str(first_stage(ALIASES[name]))
    assert name not in METHODS
    if name != "best":  # whose modules are of the embedded base
        assert first_stage(name).identity(search) == first_stage(ALIASES[name]).identity(search)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("denze", "'denze' is unknown; expected one of bm25, bm25s, dense, late, rocchio, rm3, run"),
        ("dense(ky, en)", "dense takes 1 argument, got 2"),
        ("dense(revision=main)", "revision: expected with model=NAME only"),
        ("dense(max_length=long)", "max_length=long: expected a whole number"),
        ("rrf(dense)", "expected at least two first stages to fuse"),
        ("rrf(dense, denze)", "'denze' is unknown"),
        ("rrf(dense, bm25, norm=rank)", "unknown option 'norm' of rrf; expected k, weights"),
        ("wsum(dense, bm25, weights=1)", "expected 2 numbers joined by colons"),
        ("wsum(dense, bm25, weights=a:b)", "expected 2 numbers joined by colons"),
        ("max(dense, bm25, weights=1:1)", "unknown option 'weights' of max"),
        ("rocchio()", "expected a first stage to learn from, and the one that asks again (default: dense)"),
        ("rocchio(dense, bm25)", "bm25 cannot ask again; expected one like dense"),
        ("rm3(dense, dense)", "dense cannot ask again; expected one like bm25(psq)"),
        ("rm3(dense, bm25, dense)", "the one that asks again (default: bm25(psq))"),
        ("rocchio(dense, documents=0)", "documents=0, weight=1.0: expected at least 1"),
        ("rm3(dense, weight=2)", "weight=2.0: expected at least one document and word, and a weight above 0 and at most 1"),
        ("rocchio(dense, words=3)", "unknown option 'words' of rocchio; expected documents, weight"),
        ("bm25(as-is, parallel=x.tsv)", "parallel: expected with psq only"),
        ("run(a, b)", "run takes 1 argument, got 2"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    with pytest.raises(XlrankError, match="^first stage") as caught:
        first_stage(text)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
