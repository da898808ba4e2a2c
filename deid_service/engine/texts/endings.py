"""How words of medicine end, and names of people do not."""

# Letters of Cyrillic and Greek are meant.
# ruff: noqa: RUF001

from __future__ import annotations

from typing import Final


def _each(stems: str, ends: str = "") -> frozenset[str]:
    """Returns each stem, and each with each of what it ends with."""
    return frozenset(stem + end for stem in stems.split() for end in ("", *ends.split()))


# In Latin letters; and what German, Dutch and Swedish put words together with.
_LATIN: Final = _each(
    """
    ogram ograms ogramm ogramma ogramme graphy graphic graphie grafie grafia grafía ografi
    ografii ografią ografię ographiques ographique ografisch ografische oscopy oscopic oscopie
    oscopia oscopía oskopie oskopi oskopia oskopii scopie scopia plasty plastie plastia ectomy
    ectomie ectomia ectomía ektomy ektomie ektomia ektomía ektomi ostomy ostomie ostomia ostomía
    centesis lithiasis embolization embolisation megaly megalie megalia algia opathy opathies
    opathie patologi patologia aemia eemia ämie aemie aturie kturie inurie isurie osurie ysurie
    igurie anurie yurie ectasis ectasia ektasie plegia paresis blastoma carcinoma karzinom
    karzinome sarcoma sarkom adenoma adenom lymphoma lymphom angioma angiom hematoma haematoma
    hämatom stenosis stenoses thrombosis thromboses sclerosis scleroses sklerose fibrosis
    fibroses necrosis necroses nekrose trophy trophie gelenk gelenke wirbelsäule wirbelkörper
    fraktur frakturen blutung entzündung erguss metastase metastasen embolie aufnahme aufnahmen
    übersicht kontrolle arterie arterien venen beinvene halsvene pfortvene hohlvene beckenvene
    lebervene nierenvene lungenvene krampfvene gefäße vergrößerung onderzoek undersökning
    undersökningen undersökningar untersuchung untersuchungen darstellung darstellungen schmerz
    schmerzen verletzung verletzungen erkrankung erkrankungen insuffizienz muskel muskels
    muskulatur knochen knochens drüse drüsen knorpel sehne sehnen operation operationen
    diagnostik rekonstruktion rekonstruktionen sequenz sequenzen infarkt infarkte
    ciones siones ología ológico ológica ológicos ológicas ográfico ográfica ográficos ográficas
    torácica torácico torácicos torácicas hepático hepática gástrico gástrica pélvico pélvica
    vertebral vertebrales musculares pulmonar pulmonares vasculares vasculaire vasculaires
    articulares articulaire articulaires cellulaire cellulaires ización izados izadas amientos
    imientos thoracique thoraciques hépatique hépatiques artériel artérielle artériels artérielles
    veineuse veineuses osseuse osseuses rachidien rachidienne rachidiens rachidiennes céphalique
    céphaliques gastrique pelvienne pelviennes abdominale abdominales abdominaux cardiaque
    cardiaques pulmonaire pulmonaires cérébrale cérébrales isation isations ications toraciche
    epatica epatico epatiche polmonare polmonari addominale addominali vascolare vascolari cardiache
    cerebrale cerebrali vertebrale vertebrali ierung ierungen iertes erweiterung verengung
    verdichtung verdichtungen veränderung veränderungen schwellung vorwölbung vorwölbungen minderung
    förmig förmige förmiger förmigen seitig seitige seitiger seitigen verlagerung verschattung
    verschattungen verkalkung verkalkungen einengung lähmung störung störungen messung messungen
    punktion punktionen resektion läsion läsionen zyste zysten prothesen ontsteking ontstekingen
    afwijking afwijkingen bloeding bloedingen wervels klieren ization izations ological ologically
    ographically ification ifications ectomized otomy otomies ectomies oscopies omatous otomía
    otomie ectasias ectasie ectasies encefálico encefálica myelitis mielitis meningeal ventriculaire
    ventricolare valvulaire bronchiale bronchique costales
    """
)

# In Russian and Greek, as texts are compared.
_CYRILLIC: Final = (
    _each("ографи оскопи эктоми остоми патологи ологи терапи метри", "я и ю еи ях")
    | _each("ографическ оскопическ ологическ метрическ", "ии ая ое ие ого ои ому ую им их ими")
    | _each("ограмм карцином сарком аденом лимфом ангиом глиом липом миом", "а ы у е ои ам")
    | _each("стеноз тромбоз склероз фиброз некроз артроз", "а у ом е ы")
)
_GREEK: Final = (
    _each("γραφια σκοπια ολογια", "ς")
    | _each("παθεια στενωση θρομβωση σκληρυνση ιτιδα εκτομη", "ς")
    | _each("γραφημα γραφηματος ωματος")
)

_ENDINGS: Final = _LATIN | _CYRILLIC | _GREEK
_SIZES: Final = range(min(map(len, _ENDINGS)), max(map(len, _ENDINGS)) + 1)

# Letters before an ending.
_MIN_BEFORE: Final = 3


def ends_as_medicine(word: str) -> bool:
    """Whether a word ends as one of medicine does: `Hepatopathy`, `Kniegelenk`.

    Args:
        word: in lower case; in other letters than Latin ones as texts are compared.
    """
    if not word.isalpha():
        return False
    # No generator: each word that no vocabulary has comes here.
    for size in _SIZES:
        if size > len(word) - _MIN_BEFORE:
            break
        if word[-size:] in _ENDINGS:
            return True
    return False
