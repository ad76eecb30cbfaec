r"""The leaderboard as LaTeX (booktabs): systems in rows, language pairs in columns, as in Litschko et al. (COLING 2022)."""

import re
import unicodedata
from collections.abc import Sequence

from xlrank.report import figures
from xlrank.report.board import Board, Entry, Pair

MOST_PAIRS = 16
"""Columns that fit a page's width; more pairs make further tables."""

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\string\"{}",
    "`": r"\textasciigrave{}",
    "-": r"{-}",
}
SUPERSCRIPT = re.compile(r"\^(\w+)")


def latex(board: Board) -> str:
    r"""The whole of ``leaderboard.tex``: tables to ``\input``, one for each kind of collections (``hc4`` for ``hc4/…``).

    Values that were published stand in grey below ours. Needs booktabs and xcolor, and XeLaTeX or LuaLaTeX with a fitting
    font where labels are in other than Latin letters.
    """
    head = (
        f"% Written by xlrank {_comment(board.sources[0].results.xlrank)}.\n"
        "% In the preamble: \\usepackage[T1]{fontenc} \\usepackage{textcomp,booktabs,xcolor,graphicx}\n"
        "% Input it: \\input{leaderboard.tex}\n"
    )
    tables = []
    for number, (group, pairs) in enumerate(board.groups.items(), 1):
        blocks = [pairs[start : start + MOST_PAIRS] for start in range(0, len(pairs), MOST_PAIRS)]
        for place, block in enumerate(blocks, 1):
            last = place == len(blocks)
            title = f"{group} ({place} of {len(blocks)})" if len(blocks) > 1 else group
            label = f"tab:xlrank-{number}" + (f"-{place}" if len(blocks) > 1 else "")
            tables.append(_table(board, block, pairs if last and len(pairs) > 1 else (), title, label))
    return head + "\n" + "\n".join(tables)


def escaped(text: str) -> str:
    r"""Text that shows as it is, on one line; ``LA^Doc`` gets a superscript."""
    text = "".join(character for character in " ".join(text.split()) if unicodedata.category(character) != "Cc")
    parts, end = [], 0
    for found in SUPERSCRIPT.finditer(text):
        parts += [_plain(text[end : found.start()]), rf"\textsuperscript{{{_plain(found[1])}}}"]
        end = found.end()
    return "".join([*parts, _plain(text[end:])])


def _plain(text: str) -> str:
    # Only a run of hyphens would become a dash.
    text = re.sub("-(?=-)", "\0", text)
    return "".join(SPECIAL["-"] if c == "\0" else c if c == "-" else SPECIAL.get(c, c) for c in text)


def _comment(text: str) -> str:
    """Text for a comment: without line breaks of any kind."""
    return re.sub(r"[^\w.+ -]", " ", text)


def _table(board: Board, pairs: Sequence[Pair], averaged: Sequence[Pair], title: str, label: str) -> str:
    """One table; ``averaged`` are the pairs of its AVG column, none for no such column."""
    systems = [system for system in board.systems if any((system, pair) in board.cells for pair in pairs)]
    averages = {system: board.average(system, averaged) for system in systems} if averaged else {}
    best = max((figures.milli(value) for value in averages.values() if value is not None), default=None)
    codes = [f"{pair.query}-{pair.documents}".upper() for pair in pairs]
    columns = [escaped(code) for code in codes] + (["AVG"] if averaged else [])
    lines = [f"Model & {' & '.join(columns)} \\\\", "\\midrule"]
    for system in systems:
        average = averages.get(system)
        text = short(average)
        cells = [_cell(board, board.cells.get((system, pair))) for pair in pairs]
        cells += [_bold(text, average is not None and figures.milli(average) == best)] if averaged else []
        lines.append(f"{escaped(board.systems[system])} & {' & '.join(cells)} \\\\")
        lines += _published(board, system, pairs, averaged)
    body = "\n".join(lines)
    width = "l" + "r" * len(columns)
    return (
        "\\begin{table*}[t]\n\\centering\\small\\setlength{\\tabcolsep}{3.5pt}\n"
        "\\resizebox{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}{!}{%\n"
        f"\\begin{{tabular}}{{@{{}}{width}@{{}}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}}}\n"
        f"\\caption{{{_caption(board, pairs, title)}}}\n\\label{{{label}}}\n\\end{{table*}}\n"
    )


def short(value: float | None) -> str:
    """Three decimals without the leading zero, as IR papers print them; ``--`` for none."""
    if value is None:
        return "--"
    text = figures.number(value)
    return text[1:] if text.startswith("0.") else text.replace("-0.", "$-$.", 1)


def _bold(text: str, bold: bool) -> str:
    return f"\\textbf{{{text}}}" if bold else text


def _cell(board: Board, entry: Entry | None) -> str:
    if entry is None:
        return "--"
    text = _bold(short(entry.value), board.is_best(entry, board.primary))
    return text + ("\\rlap{$^{*}$}" if entry.significant else "")


def _published(board: Board, system: str, pairs: Sequence[Pair], averaged: Sequence[Pair]) -> list[str]:
    """A second line in grey with what was published of the primary metric; none where nothing was."""
    found = {}
    for pair in {*pairs, *averaged}:
        entry = board.cells.get((system, pair))
        if entry and entry.row.published and entry.row.published.metric == board.primary:
            found[pair] = entry.row.published
    if not any(pair in found for pair in pairs):
        return []
    cells = []
    for pair in pairs:
        value = found.get(pair)
        cells.append(_grey(short(value.value) + ("\\rlap{$^{*}$}" if value.significant else "")) if value else "")
    if averaged:
        whole = all(pair in found for pair in averaged)
        cells.append(_grey(short(sum(found[pair].value for pair in averaged) / len(averaged))) if whole else "")
    return [f"\\quad {_grey('published')} & {' & '.join(cells)} \\\\"]


def _grey(text: str) -> str:
    return f"\\textcolor{{gray}}{{{text}}}"


def _caption(board: Board, pairs: Sequence[Pair], title: str) -> str:
    sources = {id(entry.source): entry.source for pair in pairs for entry in board.of(pair)}
    parts = [f"{escaped(figures.metric_name(board.primary))} on {escaped(title)}. Bold: best of each language pair."]
    told: dict[str, None] = {}
    for source in sources.values():
        label = next((entry.label for entry in board.entries if entry.source is source and entry.baseline), None)
        label = label or source.results.tests.baseline
        if label:
            told[f"$^{{*}}$~{escaped(figures.tests_in_words(source.results.tests))}, against {escaped(label)}."] = None
    parts += list(told)
    published = dict.fromkeys(entry.row.published.source for pair in pairs for entry in board.of(pair) if entry.row.published)
    parts += [f"Grey: published values ({'; '.join(map(escaped, published))})."] if published else []
    return " ".join(parts)
