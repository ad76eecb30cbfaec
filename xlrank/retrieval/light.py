"""Light stemming for languages that neither Lucene nor Snowball has a stemmer for: endings are taken off by tables.

Turkic endings follow each other in a fixed order (stem, plural, possessive, case) and change their vowels and first
consonants with the stem (vowel harmony, assimilation). Their tables therefore hold patterns: a capital letter stands for any
of several sounds, and every combination is taken for an ending, whether or not a stem could have it. That is coarser than
morphology, and enough to find a word in another form (Can et al. 2008 and Çilden 2006 on Turkish). The tables follow grammars:
Johanson and Csató, The Turkic Languages (1998), for ky, kk, uz, az, ug; Saeed, Somali (1999); Ashton, Swahili Grammar (1944).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

SHORTEST = 4
"""Letters that must be left of a word when an ending is taken off."""


@dataclass(frozen=True)
class Endings:
    """The endings of a language.

    Attributes:
        slots: from the end of a word inwards, what may stand there; at most one ending of each is taken off.
        sounds: what the capital letters of the slots stand for.
        last: final consonants of stems that change before vowels, and what they count as.
        vowels: one of them must be left.
    """

    slots: Sequence[str]
    sounds: Mapping[str, str]
    last: Mapping[str, str]
    vowels: str

    def patterns(self) -> list[re.Pattern[str]]:
        """A pattern for each slot; longer endings come first."""
        patterns = []
        for slot in self.slots:
            endings = {"".join(letters) for text in slot.split() for letters in product(*(self.sounds.get(c, c) for c in text))}
            longest_first = "|".join(sorted(endings, key=lambda ending: (-len(ending), ending)))
            patterns.append(re.compile(f"(?:{longest_first})$"))
        return patterns


TURKIC = {
    "ky": Endings(
        slots=(
            "бI",
            "NIн GA NI DA DAн нAн ндA нA Iн DAгI DAй GAчA чA",
            "Iм Iң сI I IбIз бIз IңIз ңIз IңAр м ң",
            "LAр",
            "GAн уу үү оо өө Iп DI DIк",
        ),
        sounds={"A": "аеоө", "I": "ыиуү", "L": "лдт", "D": "дт", "N": "ндт", "G": "гк"},
        last={"б": "п", "г": "к"},
        vowels="аеёиоөуүыэюя",
    ),
    "kk": Endings(
        slots=(
            "NIң GA NI DA DAн нAн ндA нA Iн MAн DAғI DAгI DAй ша ше",
            "Iм Iң сI I IмIз мIз IңIз ңIз м ң",
            "LAр",
            "GAн у ю Iп DI DIқ DIк",
        ),
        sounds={"A": "ае", "I": "ыі", "L": "лдт", "D": "дт", "N": "ндт", "G": "ғгқк", "M": "мбп"},
        last={"б": "п", "г": "к", "ғ": "қ"},
        vowels="аәеёиоөуүұыіэюя",
    ),
    "uz": Endings(
        slots=(
            "mi",
            "ning ga ka qa ni da dan dagi day dek gacha cha",
            "im ing si i imiz miz ingiz ngiz lari m ng",
            "lar",
            "gan kan qan ish di ib",
        ),
        sounds={},
        last={"g": "k"},
        vowels="aeiou",
    ),
    "az": Endings(
        slots=(
            "mI",
            "nIn In yA A nA nI DA DAn ndA ndAn nI ndAkI DAkI lA ylA cA",
            "Im In sI I ImIz mIz InIz nIz m n",
            "lAr",
            "mAq Ib DI mIş An Acaq əcək",
        ),
        sounds={"A": "aə", "I": "ıiuü", "D": "dt"},
        last={"y": "k", "ğ": "q"},
        vowels="aeəıioöuü",
    ),
    "ug": Endings(
        slots=(
            "مۇ",
            "نىڭ GA نى DA دىن تىن دىكى تىكى دەك تەك Gىچە چە",
            "Iم Iڭ سى ى IمIز مىز IڭIز ڭىز Iڭلار لىرى م ڭ",
            "لAر لىر",
            "GAن Iش Iپ دى تى",
        ),
        sounds={"A": "اە", "I": "ىۇۈ", "D": "دت", "G": "غقگك"},
        last={"ب": "پ", "گ": "ك", "غ": "ق"},
        vowels="اەېىوۇۆۈ",
    ),
}


def light_stemmer(language: str) -> Callable[[str], str]:
    """The stemmer of ``ky``, ``kk``, ``uz``, ``az``, ``ug``, ``sw`` or ``so``: from a lower-case word to its stem."""
    return {"sw": _swahili, "so": _somali}.get(language) or _suffix_stemmer(TURKIC[language])


def has_light_stemmer(language: str) -> bool:
    """Whether there is one."""
    return language in TURKIC or language in ("sw", "so")


def _suffix_stemmer(endings: Endings) -> Callable[[str], str]:
    patterns, vowels = endings.patterns(), re.compile(f"[{endings.vowels}]")

    def stem(word: str) -> str:
        for pattern in patterns:
            found = pattern.search(word, SHORTEST)
            if found and vowels.search(word, 0, found.start()):
                word = word[: found.start()]
        return word[:-1] + endings.last.get(word[-1], word[-1])

    return stem


SWAHILI_SHORTEST = 3
SWAHILI_VERB = re.compile(
    r"(?:ha)?(?:ni|u|a|tu|m|wa|i|li|ya|ki|vi|zi|ku)"  # whose it is
    r"(?:na|li|ta|me|nge|ngali|mesha|sha)(?:po|vyo|cho|lo|yo|zo|ye|o)?"  # when, and a relative
    r"(?=\w{4})"
)
SWAHILI_NOUN = re.compile(r"(?:wa|mi|ma|vi|ki|m|u|ku)(?=[^aeiou\W]\w{3})")
SWAHILI_END = re.compile(r"(?:ni|aji|wa|ia|ea|isha|esha|ana|a|e|i|o|u)$")


def _swahili(word: str) -> str:
    """Without verbal or class prefixes, and without the last vowel or a common verbal extension."""
    bare = SWAHILI_VERB.sub("", word, count=1) if SWAHILI_VERB.match(word) else word
    if bare == word and (prefix := SWAHILI_NOUN.match(word)):
        bare = word[prefix.end() :]
    found = SWAHILI_END.search(bare, SWAHILI_SHORTEST)
    return bare[: found.start()] if found else bare


SOMALI_SHORTEST = 5
SOMALI_ENDS = (
    re.compile(r"(?:na|se)$"),  # and, but
    re.compile(r"(?:[kghtd](?:a|u|ii|aas|an)|sha|shu|shii|shaas|shan)$"),  # the, this, that
    re.compile(r"(?:yaal|yo|o)$"),  # plural
)


def _somali(word: str) -> str:
    """Without conjunctions, articles and plurals that are joined to a word's end."""
    for pattern in SOMALI_ENDS:
        found = pattern.search(word, SOMALI_SHORTEST)
        if found:
            word = word[: found.start()]
    return word
