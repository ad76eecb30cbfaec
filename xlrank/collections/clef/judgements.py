"""The judgements of CLEF: TREC lines, with the ids of topics and documents as the topics and documents themselves have them."""

from pathlib import Path

from xlrank.collections.clef.topics import NUMBER
from xlrank.collections.documents import Documents
from xlrank.collections.reading import Qrels, read_qrels
from xlrank.errors import XlrankError


def read_judgements(path: Path, ids: range, documents: Documents) -> Qrels:
    """Judgements by topic number (C141 and 041 lose what stands before the number).

    A document that is judged but absent stays, as for trec_eval: it counts among the relevant ones that nobody can find. If
    a document differs from the judged one in nothing but the case of its id, it is the judged one.

    Args:
        path: the file, packed or not.
        ids: the numbers that a topic of the year has.
        documents: of the language that is judged.

    Raises:
        XlrankError: a line is malformed, a topic is of another year, or a document is judged twice for a topic.
    """
    raw = read_qrels(path)
    judged = dict.fromkeys(document for grades in raw.values() for document in grades)
    known = documents.fetch(judged)
    absent = [id_ for id_ in judged if id_ not in known]
    cased = documents.fetch(case for id_ in absent for case in (id_.upper(), id_.lower()))
    names = {id_: next((case for case in (id_.upper(), id_.lower()) if case in cased), id_) for id_ in absent}
    qrels: Qrels = {}
    for topic, grades in raw.items():
        number = NUMBER.fullmatch(topic)
        if number is None or int(number[1]) not in ids:
            raise XlrankError(
                f"{path}: topic {topic!r} is not of this year, expected {ids[0]} to {ids[-1]}; is it another year's file?"
            )
        of_topic = qrels.setdefault(number[1], {})
        for document, grade in grades.items():
            name = names.get(document, document)
            if name in of_topic:
                raise XlrankError(f"{path}: document {name!r} is judged twice for topic {number[1]}")
            of_topic[name] = grade
    return qrels
