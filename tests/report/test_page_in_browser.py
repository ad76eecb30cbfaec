"""The page in a real browser. XLRANK_ARTEFACTS names a folder for its screenshots."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.browser import Browser, browsing
from tests.report.samples import ARABIC, EVIL, results, with_evidence, written
from tests.report.test_drill import with_matches
from xlrank.report import write_report

SYSTEMS = "[...document.querySelectorAll('#board tbody [scope=row]')].map(cell => cell.textContent)"
SHOWN = "[...document.querySelectorAll('#board tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = with_evidence(tmp_path_factory.mktemp("page"), results(title="Small"))
    write_report(found)
    return found


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Browser]:
    """The page, opened anew; at the end of each test the console must be empty."""
    browser.problems.clear()
    browser.look(1280, 800)
    browser.open(folder / "leaderboard.html")
    yield browser
    assert browser.problems == []


def picture(browser: Browser, name: str, tmp_path: Path) -> Path:
    return browser.picture(Path(os.environ.get("XLRANK_ARTEFACTS") or tmp_path) / f"leaderboard-{name}.png")


def test_overview(page: Browser, tmp_path: Path) -> None:
    rows = page.run(SHOWN)
    assert rows[0] == ["DENSEbaseline", "0.400", "0.400", "0.400", "0.400"]
    assert ["SPLIT", "–", "0.530*", "0.450", "–"] in rows
    assert page.run("[...document.querySelectorAll('#board strong')].map(e => e.textContent)") == [
        "0.400",
        "0.530",
        "0.450",
        "0.410",
    ]
    assert page.run("document.getElementById('count').textContent") == "5 systems, 3 language pairs"
    page.run("document.querySelector('[data-sort=system]').click()")
    assert [name for name in page.run(SYSTEMS) if name.isupper() or "base" in name] == ["BM25", "DENSEbaseline", "SPLIT"]
    page.run("document.querySelector('[data-sort=pair-0]').click()")
    assert page.run(SYSTEMS)[:3] == ["SPLIT", "DENSEbaseline", "BM25"]
    assert page.run("document.querySelector('[aria-sort]').textContent") == "KY-EN"
    page.run("document.getElementById('published').click()")
    assert page.run("document.querySelector('.published').textContent") == "0.555*"
    assert page.run("document.activeElement.id") in ("published", "")
    picture(page, "overview-light", tmp_path)


def test_rows_sort_either_way_with_what_is_missing_last(page: Browser, tmp_path: Path) -> None:
    page.run("document.querySelector('input[value=rows]').click()")
    assert [cells[:2] for cells in page.run(SHOWN)][:3] == [
        ["Kyrgyz → English", "SPLIT"],
        ["Kyrgyz → English", "DENSEbaseline"],
        ["Kyrgyz → English", "BM25"],
    ]
    click = "document.querySelector('[data-sort=difference]').click()"
    page.run(click)
    assert page.run(SYSTEMS)[0] == "SPLIT" and page.run(SYSTEMS)[-3:] == ["DENSEbaseline"] * 3
    page.run(click)
    assert page.run(SYSTEMS)[0] == "BM25" and page.run(SYSTEMS)[-3:] == ["DENSEbaseline"] * 3
    assert page.run("document.activeElement.dataset.sort") == "difference"
    picture(page, "rows-light", tmp_path)


def test_values_tell_their_intervals_and_costs_can_be_switched_on(page: Browser, folder: Path) -> None:
    page.open(folder / "leaderboard.html", "view=rows")
    title = "document.querySelector('tr[data-row=\"2\"]').cells[2].title"
    assert page.run(title) == "95 % interval [0.430, 0.630]"
    heads = "[...document.querySelectorAll('#board thead th')].map(e => e.textContent)"
    first = ["Language pair", "System", "MAP", "R@100", "Δ MAP", "p (Holm)", "Effect", "Published", "Δ published", "Pairs/s"]
    assert page.run(heads) == first
    for column in ("median", "megabytes", "intervals"):
        page.run(f"document.querySelector('[data-column={column}]').click()")
    assert page.run(heads) == [*first, "ms/query", "Modules MB"]
    cells = page.run(SHOWN)[0]
    assert cells[2] == "0.530*[0.430, 0.630]" and cells[4:7] == ["+0.130", "0.049", "+0.50"]
    assert cells[7:] == ["0.555*", "−0.025", "30.0", "900.3", "14.8"]
    page.run("document.querySelector('[data-column=difference]').click()")
    assert "Δ MAP" not in page.run(heads)


def test_filters(page: Browser, folder: Path) -> None:
    page.open(folder / "leaderboard.html", "view=rows")
    choose = "for (const [id, value] of {}) {{ const e = document.getElementById(id); e.value = value;"
    choose += " e.dispatchEvent(new Event('{}')); }}"
    page.run(choose.format("[['query', 'fa']]", "change"))
    assert [cells[:2] for cells in page.run(SHOWN)] == [["Persian → English", ARABIC], ["Persian → English", "DENSEbaseline"],
                                                        ["Persian → English", EVIL.replace("^sup", "sup")]]  # fmt: skip
    page.run(choose.format("[['query', ''], ['documents', 'en']]", "change"))
    assert page.run("document.getElementById('count').textContent") == "6 of 9 rows"
    page.run(choose.format("[['system', 'Split, BM']]", "input"))
    assert page.run(SYSTEMS) == ["SPLIT", "BM25"]
    page.run(choose.format("[['system', 'nothing like it']]", "input"))
    assert page.run(SHOWN) == [["Nothing matches; loosen the filters."]]
    assert "system=nothing" in page.run("location.hash")


def test_the_address_keeps_the_view(page: Browser, folder: Path) -> None:
    page.run("document.querySelector('input[value=rows]').click(); document.querySelector('[data-sort=p]').click()")
    page.run("document.querySelector('tr[data-row=\"2\"] button').click()")
    kept = page.run("location.hash.slice(1)")
    page.open(folder / "leaderboard.html", kept)
    page.until("document.getElementById('panel').open")
    assert page.run("document.getElementById('panel-title').textContent") == "SPLIT"
    assert page.run("document.querySelector('[aria-sort=ascending]').textContent") == "p (Holm)"


def test_drill_down_in_right_to_left(page: Browser, tmp_path: Path) -> None:
    page.run("document.querySelector('td[data-row=\"5\"]').click()")
    page.until("document.querySelector('.topics details')")
    topics = "[...document.querySelectorAll('.topics summary')].map(e => [...e.children].map(part => part.textContent))"
    assert page.run(topics)[0] == ["9", "قىزىل دۆبە", "0.350", "0.300", "+0.050", ""]
    page.run("document.querySelector('.topics details').open = true")
    page.until("document.querySelector('.moves')")
    moves = page.run("[...document.querySelectorAll('.moves tbody tr')].map(e => [...e.cells].map(cell => cell.textContent))")
    assert moves[0] == ["1", "7", "▲ 6", "relevant (2)", "d7سندی درباره 7"]
    assert moves[1] == ["2", "1", "▼ 1", "not relevant", "d1سندی درباره 1"]
    assert moves[2][3] == "not judged"
    assert "2 relevant documents, 1 of them not in this run." in page.run("document.querySelector('.moves p').textContent")
    for place, language in ((".topics .text", "ug"), (".moves .doc span", "fa")):
        found = f"document.querySelector('{place}')"
        assert page.run(f"[{found}.lang, {found}.dir, getComputedStyle({found}).direction]") == [language, "rtl", "rtl"]
    edges = "(() => { const e = document.querySelector('.topics .text'), r = document.createRange(); r.selectNodeContents(e);"
    edges += " return [r.getBoundingClientRect().right, e.getBoundingClientRect().right].map(Math.round); })()"
    text, box = page.run(edges)
    assert text == box  # the text begins at the right
    picture(page, "drill-down-light", tmp_path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_word_pieces_that_met(browser: Browser, tmp_path: Path, scheme: str) -> None:
    write_report(with_matches(tmp_path / "found"))
    browser.problems.clear()
    browser.look(1280, 800, scheme)
    browser.open(tmp_path / "found" / "leaderboard.html")
    browser.run("document.querySelector('td[data-row=\"2\"]').click()")
    browser.until("document.querySelector('.topics details')")
    topic = "[...document.querySelectorAll('.topics details')].find(e => e.querySelector('.id').textContent === '9')"
    browser.run(f"({topic}).open = true")
    browser.until("document.querySelector('.met')")
    assert browser.run("document.querySelectorAll('.met').length") == 2  # of d7 and d1
    assert browser.run("document.querySelector('.moves tbody tr').contains(document.querySelector('.met'))")
    chips = "[...document.querySelectorAll('.met .chip')].map(e => e.textContent)"
    assert browser.run(chips)[:2] == [f"Талас → {EVIL} .91", "▁ → the -.05"]
    assert browser.run("document.querySelectorAll('img').length") == 0
    browser.run("document.querySelector('.met').open = true")
    browser.until("document.querySelector('.chips')")
    assert len(browser.run(chips)) == 6
    colours = "[...document.querySelectorAll('.chips .chip')].map(e => getComputedStyle(e).backgroundColor)"
    strong, weak = browser.run(colours)
    assert strong != weak and browser.problems == []
    picture(browser, f"matches-{scheme}", tmp_path)


def test_hostile_topics_and_labels(page: Browser) -> None:
    page.run("document.querySelector('td[data-row=\"8\"]').click()")
    page.until("document.querySelector('.topics details')")
    assert page.run("document.querySelector('.topics .text').textContent") == EVIL
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.getElementById('panel-title').textContent") == EVIL.replace("^sup", "sup")


def test_provenance(page: Browser) -> None:
    page.run("document.querySelector('td[data-row=\"2\"]').click()")
    text = page.run("document.getElementById('provenance').textContent")
    made = ("split(language/ky,language/en)+ranking/en", "key-split", "ab" * 32, "xlrank run small.yaml", "A paper, Table 1")
    for part in (*made, "python 3.11.2 · cpu a CPU", "against DENSE", "topics without results count 0", "Pairs/s 30.0"):
        assert part in text
    links = page.run("[...document.querySelectorAll('#provenance a')].map(e => e.getAttribute('href'))")
    assert links == ["./runs/mini/ky-en.split.trec", "./runs/mini/ky-en.dense.trec", "./results.json"]


def test_keyboard(page: Browser) -> None:
    page.run("document.querySelector('td[data-row][tabindex=\"0\"]').focus()")
    row = "document.activeElement.dataset.row"
    assert page.run(row) == "0"
    page.key("ArrowRight")
    assert page.run(row) == "3"
    page.key("ArrowDown")
    assert page.run(row) == "4"
    page.key("ArrowDown")
    assert page.run(row) == "5" and page.run("document.querySelectorAll('td[tabindex=\"0\"]').length") == 1
    page.key("Enter")
    page.until("document.getElementById('panel').open")
    assert page.run("document.activeElement.textContent") == "Close"
    page.key("Escape")
    page.until("!document.getElementById('panel').open")
    assert page.run(row) == "5"


def test_dark_and_narrow(page: Browser, folder: Path, tmp_path: Path) -> None:
    colours = "(() => { const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]; })()"
    light = page.run(colours)
    page.look(1280, 800, "dark")
    dark = page.run(colours)
    assert light == ["rgb(255, 255, 255)", "rgb(31, 35, 40)"] and dark == ["rgb(13, 17, 23)", "rgb(230, 237, 243)"]
    plot = "getComputedStyle(document.querySelector('.plot text')).fill"
    assert page.run(plot) == "rgb(230, 237, 243)"  # drawings follow
    picture(page, "overview-dark", tmp_path)
    page.look(390, 844)
    page.open(folder / "leaderboard.html")
    assert page.run("document.documentElement.scrollWidth") <= 390  # tables scroll by themselves
    assert picture(page, "narrow", tmp_path).read_bytes().startswith(b"\x89PNG")


def test_without_javascript(browser: Browser, folder: Path) -> None:
    browser.problems.clear()
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(folder / "leaderboard.html")
        answer = browser.send("DOM.getDocument", depth=-1)
        board = browser.send("DOM.querySelector", nodeId=answer["root"]["nodeId"], selector="noscript table.board")
        shown = browser.send("DOM.getBoxModel", nodeId=board["nodeId"])["model"]
        assert shown["height"] > 100
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_a_single_pair_shows_its_rows(browser: Browser, tmp_path: Path) -> None:
    value = results()
    value["rows"] = value["rows"][:3]
    write_report(written(tmp_path, value))
    browser.problems.clear()
    browser.open(tmp_path / "leaderboard.html")
    assert browser.run(SYSTEMS) == ["SPLIT", "DENSEbaseline", "BM25"]
    assert browser.run("document.getElementById('views').hidden") and browser.problems == []


def test_many_rows_are_drawn_as_they_are_scrolled_to(browser: Browser, tmp_path: Path) -> None:
    value = results()
    value["rows"] = [{**row, "system": f"{row['system']}-{n}"} for n in range(60) for row in value["rows"]]
    value["tests"]["baseline"] = None
    write_report(written(tmp_path, value), drill_down=False)
    browser.problems.clear()
    browser.open(tmp_path / "leaderboard.html", "view=rows")
    count = "document.querySelectorAll('#board tbody tr').length"
    assert browser.run(count) == 150
    browser.run("scroll.scrollTop = scroll.scrollHeight")
    browser.until(f"{count} === 300")
    assert browser.run("document.getElementById('count').textContent") == "540 of 540 rows"
    browser.run("document.querySelector('#board button.open').click()")
    browser.until("document.querySelector('#panel section').textContent.includes('left out on request')")
    assert browser.problems == []
