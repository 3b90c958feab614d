"""Language data for telling a full stop that ends a sentence from one that does not."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ABBREVIATIONS: dict[str, frozenset[str]] = {
    "de": _words("abb abs bd dt exkl fa fr frl geb gest ggf hr inkl jg kap mio mrd sog tab tsd"),
    "en": _words("ms eq eqs fig figs ch vol vols approx dept ext"),
    "es": _words("d dña dn cía srta uds vds núm núms pág págs av avda art cap tel aprox ee"),
    "fr": _words(
        "m mm mme mmes mlle mlles me mgr pr dr st ste cie art av bd bld boul chap env fig no nos "
        "tél vol réf ill éd"
    ),
    "el": _words("κ κα κκ δρ π χ"),
    "it": _words("on sig dott"),
    "pt": _words("av dra sra"),
    "hi": _words("डॉ प्रो श्री"),
}
"""Abbreviations, by language, after which a sentence continues: in lower case, without the full
stop, and only those that the library does not know."""

ABBREVIATION_ENDINGS: dict[str, tuple[str, ...]] = {"de": ("str",), "nl": ("str",)}
"""Endings of compound abbreviations, such as Hauptstr., by language."""

WORDS: dict[str, frozenset[str]] = {
    "de": _words("Art Bart OK ok mag mich"),
    "en": _words("ID May OK art ill may me miss no ok sec"),
    "es": _words("bien mar no"),
    "fr": _words("art sec"),
}
"""Words that the library mistakes for abbreviations, by language; before a number some of them are
abbreviations."""

ENDING_ABBREVIATIONS = _words(
    "etc usw u.s u.k u.n a.m p.m d.c ph.d m.a b.a inc ltd co corp jr sr al "
    "jan feb aug sept oct nov dec"
)
"""Abbreviations that also end a sentence if one of the `OPENING_WORDS` follows."""

ORDINAL_STOPS = _words(
    "bs cs da de dsb et eu fi fo gsw hr hsb hu is lb lv nb nds nn no pl sk sl sr tr"
)
"""Languages in which a number with a full stop is an ordinal."""

OPENING_WORDS: dict[str, frozenset[str]] = {
    "de": _words(
        "aber alle als am auch beide bis da damals danach dann das dazu denn dennoch der deshalb "
        "die dies diese dieser dieses doch dort du ein eine er es heute hier ich ihr im in ist ja "
        "jetzt kein keine man "
        "nein nun seine sie so und viele warum was wenn wer wie wir wo zu"
    ),
    "en": _words(
        "a an and but he her his how i if in it its my no nobody our she so that the their then "
        "there these they this those we what when where who why yes you your"
    ),
    "es": _words(
        "a además al así como cuando de después e el ella ellas ellos en entonces era es esta este "
        "esto fue hay la las le lo los luego mi nadie no nos para pero por que se si sí su también "
        "todos un una y ya yo él"
    ),
    "nl": _words("de dat die dit een en er het hij ik maar we wij ze zij"),
    "fr": _words(
        "ainsi alors après au avec ce cela ces cette ceci c d dans de des donc elle elles en enfin "
        "est et il ils j je l la le les leur mais mon ma ne non nous on oui où par personne pour "
        "puis quand qui sa ses si son tous tu un une vous à"
    ),
}
"""Words that often begin a sentence and are neither names nor nouns, in lower case, by language."""
