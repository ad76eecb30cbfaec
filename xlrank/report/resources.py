"""How much there is of a language: the six classes of Joshi et al. (2020).

Source: Pratik Joshi, Sebastin Santy, Amar Budhiraja, Kalika Bali, Monojit Choudhury: The State and Fate of Linguistic Diversity
and Inclusion in the NLP World, ACL 2020, and its list of languages
(https://microsoft.github.io/linguisticdiversity/assets/lang2tax.txt). The classes are those of 2020.
"""

NAMES = {
    0: "left-behinds",
    1: "scraping-bys",
    2: "hopefuls",
    3: "rising stars",
    4: "underdogs",
    5: "winners",
}
"""What the paper calls the classes, from almost no data to most."""

CLASSES = {
    **dict.fromkeys(("ar", "de", "en", "es", "fr", "ja", "zh"), 5),
    **dict.fromkeys(("fa", "fi", "hi", "hu", "it", "ko", "nl", "pl", "pt", "ru", "sv", "tr"), 4),
    **dict.fromkeys(("bn", "da", "id", "kk", "ro", "th", "uk", "uz"), 3),
    "sw": 2,
    **dict.fromkeys(("az", "ky", "no", "so", "te", "ug"), 1),
}
"""Language code to class."""
