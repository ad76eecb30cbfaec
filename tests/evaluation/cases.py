"""Random runs and judgements with everything that evaluators treat differently."""

import random

Scores = dict[str, dict[str, float]]
Grades = dict[str, dict[str, int]]

NAMES = {
    "map": "map",
    "map@10": "map_cut_10",
    "mrr": "recip_rank",
    "ndcg": "ndcg",
    "ndcg@10": "ndcg_cut_10",
    "ndcg@100": "ndcg_cut_100",
    "precision@5": "P_5",
    "precision@100": "P_100",
    "recall@10": "recall_10",
    "recall@100": "recall_100",
    "hit_rate@1": "success_1",
    "hit_rate@10": "success_10",
    "r-precision": "Rprec",
    "bpref": "bpref",
}
"""Our names to trec_eval's."""


def random_case(seed: int, topics: int = 24) -> tuple[Scores, Grades]:
    """A run and qrels.

    Topics have up to 60 results, with many equal scores, and scores that differ in double precision only; half of the results
    are unjudged; grades go from -1 to 3. Some topics have no results, no relevant documents, no judgements, or few of them.
    """
    draw = random.Random(seed)
    scores: Scores = {}
    grades: Grades = {}
    for number in range(topics):
        topic, pool = f"t{number}", [f"d{draw.randrange(10 ** draw.randint(1, 5))}é"[: draw.choice([6, 99])] for _ in range(80)]
        steps = draw.choice([3, 10, 10**6])
        found = {d: draw.randrange(steps) / steps + draw.choice([0.0, 1e-12]) for d in pool[: draw.choice([1, 7, 60])]}
        judged = draw.sample(sorted(set(pool)), draw.choice([1, 5, len(set(pool)) // 2]))
        if number % 7 != 3:
            scores[topic] = found
        if number % 11 != 5:
            weights = draw.choice([[1, 9, 0, 0, 0], [2, 5, 3, 2, 1], [0, 0, 3, 2, 1]])
            grades[topic] = {document: draw.choices([-1, 0, 1, 2, 3], weights)[0] for document in judged}
    return scores, grades
