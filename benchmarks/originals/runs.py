"""Random runs of the size of an experiment, for evaluators in both environments (standard library only)."""

import random

SYSTEMS, TOPICS, DEPTH = 50, 118, 1000
JUDGED = 100


def qrels() -> dict[str, dict[str, int]]:
    """Topic to document to grade: a hundred judgements a topic."""
    draw = random.Random(0)
    return {
        f"{topic}": {_id(n): draw.choice([0, 0, 0, 1, 2]) for n in draw.sample(range(4 * DEPTH), JUDGED)}
        for topic in range(TOPICS)
    }


def scores(system: int) -> dict[str, dict[str, float]]:
    """Topic to document to score of one system: a thousand of four thousand documents, judged ones among them."""
    draw = random.Random(system + 1)
    found = {}
    for topic in range(TOPICS):
        documents = draw.sample(IDS, DEPTH)
        found[f"{topic}"] = {document: draw.random() for document in documents}
    return found


def _id(number: int) -> str:
    return IDS[number]


IDS = [f"doc-{number:07}" for number in range(4 * DEPTH)]
