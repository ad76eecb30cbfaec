r"""LaTeX: the paper's layout, and text that compiles."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.report.samples import EVIL, ranker, results, row
from xlrank.report.board import Source, board_of
from xlrank.report.latex import escaped, latex, short
from xlrank.report.reading import checked


def made(value: dict[str, Any]) -> str:
    return latex(board_of([Source(Path("a"), checked(value), "small")]))


def paper() -> dict[str, Any]:
    """Two pairs, published values of one system."""
    published = {"value": 0.311, "metric": "map", "source": "COLING 2022", "significant": True}
    rows = [row("dense", "ky-en", 0.4), ranker("split", "ky-en", 0.53, 0.01, published=published, label="+RA +LA^Split")]
    rows += [
        row("dense", "ug-en", 0.45),
        ranker("split", "ug-en", 0.45, 0.5, published=published | {"significant": False}, label="+RA +LA^Split"),
    ]
    return results(rows=rows)


def test_layout_of_the_paper() -> None:
    text = made(paper())
    assert "Model & KY-EN & UG-EN & AVG \\\\\n\\midrule\n" in text
    assert "DENSE & .400 & \\textbf{.450} & .425 \\\\\n" in text
    ours = "+RA +LA\\textsuperscript{Split} & \\textbf{.530}\\rlap{$^{*}$} & \\textbf{.450} & \\textbf{.490} \\\\\n"
    grey = "\\textcolor{gray}"
    published = f"\\quad {grey}{{published}} & {grey}{{.311\\rlap{{$^{{*}}$}}}} & {grey}{{.311}} & {grey}{{.311}} \\\\\n"
    assert ours + published in text
    assert "against DENSE. Grey: published values (COLING 2022)." in text
    assert "\\label{tab:xlrank-1}" in text and text.count("\\toprule") == text.count("\\bottomrule") == 1


def test_a_table_for_each_kind_of_collections_and_gaps() -> None:
    rows = [row("dense", "ky-en", 0.4), row("dense", "tr-en", 0.3), row("bm25", "tr-en", 0.2, 0.5)]
    rows += [row("dense", "en-fa", 0.4, collection="hc4/fa/test"), row("dense", "en-zh", 0.5, collection="hc4/zh/test")]
    text = made(results(rows=rows))
    assert text.count("\\begin{table*}") == 2
    assert "BM25 & -- & .200 & -- \\\\" in text
    assert "MAP on hc4." in text and "EN-FA & EN-ZH & AVG" in text


def test_many_pairs_make_several_tables() -> None:
    languages = "ar de en es fr zh fa fi it nl pt ru tr kk uk uz sw".split()
    text = made(results(rows=[row("dense", f"{code}-en", 0.4) for code in languages]))
    assert "MAP on mini (1 of 2)." in text and "MAP on mini (2 of 2)." in text
    assert text.count("AVG") == 1


def test_escaping() -> None:
    assert escaped("a_b & 50% #1 {x} $y$ ~ \\z") == r"a\_b \& 50\% \#1 \{x\} \$y\$ \textasciitilde{} \textbackslash{}z"
    assert escaped("LA^Doc ^ x^\n\ny") == r"LA\textsuperscript{Doc} \textasciicircum{} x\textasciicircum{} y"
    assert escaped("a--b") == "a{-}-b" and "\x1b" not in escaped("a\x1bb")
    assert [short(value) for value in (0.25, 1.0, -0.25, None)] == [".250", "1.000", "$-$.250", "--"]


def test_hostile_labels_cannot_run_commands() -> None:
    text = made(results())
    assert "\\input{a}" not in text
    assert not re.search(r"(?<!\\)%(?!\n| )", text.partition("\\begin")[2])  # no comment can swallow the rest of a line


def test_it_compiles(tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("no pdflatex on PATH; `apt-get install texlive-latex-recommended` brings one")
    value = paper()
    value["rows"][0]["label"] = EVIL
    value["experiment"] = {}
    (tmp_path / "board.tex").write_text(made(value), encoding="utf-8")
    packages = "\\usepackage{textcomp,booktabs,xcolor,graphicx}"  # without fontenc: its fonts may have to be made first
    (tmp_path / "all.tex").write_text(
        f"\\documentclass{{article}}{packages}\\begin{{document}}\\input{{board.tex}}\\end{{document}}", encoding="utf-8"
    )
    command = [compiler, "-interaction=nonstopmode", "-no-shell-escape", "-draftmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    errors = [line for line in done.stdout.splitlines() if line.startswith("!")]
    assert errors == [] and done.returncode == 0
