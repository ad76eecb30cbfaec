"""Explanations: pieces and cosines that make up the score, as a table, a page and a picture."""

import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import xlrank
from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.cli.main import main
from xlrank.collections import Document
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.head.late import LateSettings
from xlrank.ranking import Explanation, Ranker
from xlrank.ranking.heat_map import MOST_COLUMNS, shown_columns

QUERY, TEXT = "дарыя жана көпүрө", "the bridge of the river and the water"


def late_ranking(base: Base, **settings: object) -> Module:
    """A random late ranking module: an adapter, and the settings in the card."""
    tensors = {name: value for name, value in make_ranking(base, 3).tensors.items() if not name.startswith("head.")}
    config = AdapterConfig(reduction_factor=4).as_dict()
    config["late"] = LateSettings(**settings).as_dict()  # type: ignore[arg-type]
    return Module.create(tensors, name="ranking/en", kind="adapter", role="ranking", language="en",
                         base=make_ranking(base, 3).base, config=config)  # fmt: skip


@pytest.fixture
def ranker(tiny_base: Base) -> Ranker:
    ky, en = make_adapter(tiny_base, "ky", 1), make_adapter(tiny_base, "en", 2)
    return Ranker(tiny_base, xlrank.split(query=ky, document=en) + late_ranking(tiny_base, pooled=0.5), precision="fp32")


def made(query: list[str], document: list[str], similarities: object = None) -> Explanation:
    """An explanation by hand."""
    values = similarities if similarities is not None else np.random.default_rng(0).random((len(query), len(document)))
    values = np.asarray(values, np.float32)
    maxsim = float(values.max(1).mean())
    return Explanation(" ".join(query), " ".join(document), query, document, values, maxsim, 0.8, 0.0, "late()")


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "td":
            self.cells.append(dict(attrs)["class"] or "")


def test_the_score_is_the_rankers(ranker: Ranker) -> None:
    found = ranker.explain(QUERY, TEXT)
    assert found.score == pytest.approx(float(ranker.score([(QUERY, TEXT)])[0]), abs=1e-4)
    assert found.weight == 0.5 and found.score == pytest.approx(found.maxsim + 0.5 * found.pooled)
    assert found.similarities.shape == (len(found.query_pieces), len(found.document_pieces))
    assert found.similarities.dtype == np.float32 and np.abs(found.similarities).max() <= 1 + 1e-5
    assert found.maxsim == pytest.approx(np.mean([match.cosine for match in found.matches]), abs=1e-6)
    assert [match.query for match in found.matches] == found.query_pieces
    assert all(found.document_pieces[match.place] == match.document for match in found.matches)


def test_pieces_are_the_texts_without_prompts_and_marks(tiny_base: Base, tiny_xlmr_base: Base) -> None:
    for base in (tiny_base, tiny_xlmr_base):
        found = (base + "late()").explain("river xyz", Document("d", TEXT, "School"))
        assert found.query_pieces[0] == "river" and "".join(found.query_pieces) in ("riverxyz", "river▁xyz")
        assert found.document == f"School. {TEXT}" and "query" not in found.document_pieces
        assert not any("##" in piece or piece.startswith("▁") and piece != "▁" for piece in found.query_pieces)


def test_pieces_are_cut_as_the_vectors_are(tiny_base: Base) -> None:
    found = Ranker(tiny_base, "late()", max_length=24).explain(QUERY, " ".join([TEXT] * 9))
    assert len(found.document_pieces) == found.similarities.shape[1] < 24
    assert found.score == pytest.approx(
        float(Ranker(tiny_base, "late()", max_length=24).score([(QUERY, " ".join([TEXT] * 9))])[0]), abs=1e-4
    )


def test_open_languages(tiny_base: Base, tmp_path: Path) -> None:
    modules = {name: str(make_adapter(tiny_base, name, 1).save(tmp_path / name)) for name in ("ky", "de")}
    ranker = Ranker(tiny_base, "split(query,document)+late()", modules=modules)
    found = ranker.explain(QUERY, TEXT, ("ky", "de"))
    assert found.score == pytest.approx(float(ranker.score([(QUERY, TEXT)], languages=("ky", "de"))[0]), abs=1e-4)
    with pytest.raises(XlrankError, match="leaves languages open"):
        ranker.explain(QUERY, TEXT)


def test_what_cannot_be_explained(tiny_base: Base, ranker: Ranker, tmp_path: Path) -> None:
    cross = tiny_base + make_ranking(tiny_base, 3)
    with pytest.raises(XlrankError, match="explain shows late interaction; this composition is a cross-encoder's"):
        cross.explain(QUERY, TEXT)
    for query, text, side in ((" \n", TEXT, "query"), (QUERY, "", "document")):
        with pytest.raises(XlrankError, match=f"the {side} .* has no content"):
            ranker.explain(query, text)
    with pytest.raises(XlrankError, match=r"saved as \.html or \.png"):
        made(["a"], ["b"]).save(tmp_path / "heat.pdf")


def test_the_table(ranker: Ranker) -> None:
    lines = str(ranker.explain(QUERY, TEXT)).splitlines()
    assert lines[0].startswith("split(language/ky,language/en)+ranking/en: score ") and "0.5 × pooled" in lines[0]
    assert lines[1].split() == ["query", "document", "cosine"] and lines[2].split()[0] == "дарыя"
    wide = str(made(["河流", "桥"], ["river"], [[0.9], [0.2]])).splitlines()
    assert wide[2] == "河流   river      0.900  " + "█" * 20 and wide[3] == "桥     river      0.200  █"
    assert "1.000" in str(made(["a"], ["a"], [[1.0]]))


def test_the_page_is_escaped_alone_and_marks_the_best(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'&"
    found = made([evil, "b"], ["c", evil, "</table>"], [[0.1, 0.9, 0.5], [0.7, 0.2, 0.1]])
    text = found.html()
    page = Page(text)
    assert "script" not in page.tags and page.tags.count("table") == 1 and "http:" not in text and "https:" not in text
    assert ["best" in each for each in page.cells] == [False, True, False, True, False, False]
    assert found.save(tmp_path / "heat.html").read_text(encoding="utf-8") == text
    large = made([f"q{n}" for n in range(60)], [f"d{n}" for n in range(150)]).html()
    assert len(large) < 400_000 and len(Page(large).cells) == 9000


@pytest.mark.parametrize("pieces", [["дарыя", "көпүрө"], ["دۆبە", "قىزىل"], ["河流", "$x$"]])
def test_the_picture(tmp_path: Path, pieces: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = made(pieces, [f"d{n}" for n in range(40)]).save(str(tmp_path / "heat.PNG"))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_long_document_is_shown_where_it_was_met() -> None:
    similarities = np.zeros((2, 300))
    similarities[0, 0] = similarities[1, 200] = 1
    assert shown_columns(made(["a", "b"], ["x"] * 300, similarities)) == [0, 1, 199, 200, 201]
    assert shown_columns(made(["a"], ["x"] * MOST_COLUMNS)) == list(range(MOST_COLUMNS))
    diagonal = np.zeros((60, 300))
    diagonal[np.arange(60), np.arange(60) * 5] = 1
    assert shown_columns(made(["a"] * 60, ["x"] * 300, diagonal)) == list(range(0, 300, 5))


def test_the_command(
    small_collection: Path,
    tiny_bert_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = [
        "--lang",
        "ky",
        "--collection",
        f"folder:{small_collection}",
        "--base",
        str(tiny_bert_folder),
        "--compose",
        "late()",
    ]

    def run(*words: str) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr(sys, "argv", ["xlrank", "explain", *common, *words])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        return caught.value.code, printed.out, printed.err

    code, out, _ = run("--topic", "1", "--document", "d1", "--fields", "title", "--out", str(tmp_path / "heat.html"))
    assert code == 0 and out.startswith("late(): score ") and "\nкөпүрө" in out and "heat.html: the heat map" in out
    assert "River bridge" in (tmp_path / "heat.html").read_text(encoding="utf-8")
    code, _, problem = run("--topic", "7", "--document", "d1")
    assert code == 2 and "has no topic '7'; there are 1, 2, 10" in problem and problem.count("\n") == 1
    code, _, problem = run("--topic", "1", "--document", "d99")
    assert code == 2 and "has no document 'd99' in 'en'" in problem and problem.count("\n") == 1
