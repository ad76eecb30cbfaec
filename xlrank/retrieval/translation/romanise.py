"""Words of any script in a rough common spelling, so that a name looks alike wherever it is written.

Not a transliteration standard: sounds that languages confuse are one letter, and each sound is one letter (C as in church, S as
in shoe, J as in journal or juice). Chinese has no letters to go by; its words have no such spelling.
"""

import re
import unicodedata


def _pairs(text: str) -> dict[str, str]:
    return {letter: sound for pair in text.split() for letter, _, sound in [pair.partition("=")]}


CYRILLIC = _pairs(
    "а=a б=b в=v г=g д=d е=e ё=e ж=J з=z и=i й=i к=k л=l м=m н=n ң=n о=o ө=o п=p р=r с=s т=t у=u ү=u ф=f х=h ц=ts ч=C ш=S щ=S ъ= "
    "ы=i ь= э=e ю=iu я=ia і=i ї=i є=e ґ=g қ=k ғ=g ұ=u ә=a һ=h җ=J"
)
ARABIC = _pairs(
    "ا=a آ=a أ=a إ=a ب=b پ=p ت=t ث=s ج=J چ=C ح=h خ=h د=d ذ=z ر=r ز=z ژ=J س=s ش=S ص=s ض=z ط=t ظ=z ع= غ=g ف=f ق=k ک=k ك=k گ=g ڭ=n "
    "ل=l م=m ن=n و=u ؤ=u ۇ=u ۆ=o ۈ=u ۋ=v ې=e ى=i ی=i ي=i ئ= ء= ە=a ه=h ھ=h ة=a"
)
SOUNDS = CYRILLIC | ARABIC

# Latin letters by sound, in English above all; in this order.
LATIN = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        ("tsch|tch|ch", "C"),
        ("sch|sh", "S"),
        ("dzh|zh|dj", "J"),
        ("ph", "f"),
        ("th", "t"),
        ("kh|gh", "h"),
        ("ck", "k"),
        ("qu", "kv"),
        ("x", "ks"),
        ("c(?=[eiy])", "s"),
        ("[cq]", "k"),
        ("w", "v"),
        ("y", "i"),
        ("j", "J"),
    )
]
PLAIN = str.maketrans({"ı": "i", "ß": "ss", "æ": "e", "ø": "o", "ł": "l", "đ": "d"})
DOUBLED = re.compile(r"(.)\1+")
AFFRICATE = re.compile("дж|дз")
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzCSJ"
"""What the common spelling is made of."""


def romanise(word: str) -> str:
    """The common spelling of a lower-cased word; empty where its script has none."""
    word = AFFRICATE.sub("J", word)
    if any(letter in SOUNDS for letter in word):
        word = "".join(SOUNDS.get(letter, letter) for letter in word)
    else:
        word = "".join(c for c in unicodedata.normalize("NFKD", word.translate(PLAIN)) if not unicodedata.combining(c))
        for pattern, sound in LATIN:
            word = pattern.sub(sound, word)
    return DOUBLED.sub(r"\1", "".join(letter for letter in word if letter in LETTERS))
