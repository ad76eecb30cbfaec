"""A small HC4: three topics and a few documents in each language, in the files that HC4's scripts leave."""

import gzip
import hashlib
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CODES = {"fa": "fas", "ru": "rus", "zh": "zho"}
IDS = {"train": ("1001", "1002", "1003"), "dev": ("1", "3", "4"), "test": ("101", "102", "103")}
"""Ids of HC4's own topics, so that the added query languages have them too; what they ask is made up."""

TEXTS = {
    "en": (
        ("Bridge over the river", "What is known of it?"),
        ("School election", "Who won?"),
        ("Apple market", "Prices"),
    ),
    "fa": (("پل رودخانه", "درباره پل چه می‌دانیم؟"), ("انتخابات مدرسه", "چه کسی برد؟"), ("بازار سیب", "قیمت‌ها")),
    "ru": (("Мост через реку", "Что известно о мосте?"), ("Выборы в школе", "Кто победил?"), ("Рынок яблок", "Цены")),
    "zh": (("河上的桥", "关于这座桥知道什么？"), ("学校选举", "谁赢了？"), ("苹果市场", "价格")),
}
"""Title and description of each topic; documents repeat them."""

JUDGED_IN = (("fa", "ru", "zh"), ("fa", "ru", "zh"), ("fa",))
SYSTEMS = ("20210711-early", "20220114-scale21-sockeye2-tm1")


def write_hc4_home(folder: Path, split: str = "test", documents: int = 5) -> Path:
    """Write documents, checksums, topics and judgements of all three languages into ``folder`` and return it.

    Of the split's three topics two are judged in every language and the third in Persian alone. Document i is relevant to topic
    i modulo 3 (the first such document with grade 3, others with 1), and the next topic's first document is judged 0 for it.

    Args:
        folder: what ``HC4_HOME`` is to name.
        split: ``train``, ``dev`` or ``test``.
        documents: in each language.
    """
    write_lines(folder / f"{split}.topics.v1-0.jsonl", [topic(split, number) for number in range(3)])
    for language, code in CODES.items():
        texts = [document(language, i) for i in range(documents)]
        write_lines(folder / code / "hc4_docs.jsonl", texts)
        write_lines(folder / code / "ids.jsonl.gz", [checksum(one) for one in texts])
        rows = [
            f"{IDS[split][number]} 0 {texts[i]['id']} {grade}"
            for number, judged_in in enumerate(JUDGED_IN)
            if language in judged_in
            for i, grade in grades(number, documents)
        ]
        (folder / f"{code}.{split}.qrels.v1-0.txt").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return folder


def document(language: str, number: int) -> dict[str, Any]:
    """A document as HC4's scripts leave it."""
    title, description = TEXTS[language][number % 3]
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{language} {number}")),
        "cc_file": "crawl-data/CC-NEWS/2018/01/CC-NEWS-20180101000000-00000.warc.gz",
        "time": "2018-01-01T00:00:00",
        "title": f"{title}\n",
        "text": f"{title}. {description}\n\n{number}",
        "url": f"https://example.org/{language}/{number}",
    }


def checksum(document: dict[str, Any]) -> dict[str, Any]:
    """A document's line in the file of ids."""
    md5 = hashlib.md5((document["title"].strip() + document["text"].strip()).encode()).hexdigest()
    return {"id": document["id"], "cc_file": document["cc_file"], "md5": md5}


def topic(split: str, number: int) -> dict[str, Any]:
    """A topic: by people in English and where it is judged, by two systems in every language."""
    versions = [version("eng", "original", *TEXTS["en"][number])]
    for language, code in CODES.items():
        title, description = TEXTS[language][number]
        if language in JUDGED_IN[number]:
            versions.append(version(code, "human translation", title, description))
        versions += [version(code, system, f"{title} {i}", f"\n{description}") for i, system in enumerate(SYSTEMS)]
    return {
        "topic_id": IDS[split][number],
        "languages_with_qrels": [CODES[language] for language in JUDGED_IN[number]],
        "topics": versions,
        "narratives": {CODES[language]: {"very_valuable": "…"} for language in JUDGED_IN[number]},
        "report": {"url": "https://example.org", "text": "…", "date": "2018-01-01"},
    }


def version(lang: str, source: str, title: str, description: str) -> dict[str, str]:
    """A topic's text in one language, by whom it is."""
    return {"lang": lang, "source": source, "topic_title": title, "topic_description": description}


def grades(number: int, documents: int) -> list[tuple[int, int]]:
    """Documents that are judged for a topic, by number, and their grades."""
    relevant = [(i, 3 if i == number else 1) for i in range(number, documents, 3)]
    return [*relevant, *[((number + 1) % 3, 0)][: documents > (number + 1) % 3]]


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write objects as lines of JSON, packed where the name ends with ``.gz``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
