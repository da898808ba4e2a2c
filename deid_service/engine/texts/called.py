"""Who is named whatever her name means: by what announces her, or what she is, as patterns.

Names are told by how they are written, with a capital or in capitals, beside words without
which they are none (see `triggers`). What is in the groups goes.
"""

from __future__ import annotations

from typing import Final

from deid_service.engine.texts.triggers import ALONE, Forms, either, said, sign

# A word as a name is written, with a capital or in capitals, alone or as given name and surname;
# and what stands at names and is none.
_NO_NAME: Final = (
    r"(?!(?:Aide|Anesthetist|Assistant|Call|Case|Education|History|Interpretation|Name|Note|Notes|Only"
    r"|Order|Orders|Physician|Practitioner|Report|Request|Reports|Services|Signature|Station|Study"
    r"|CT|MR|MRI|CTA|MRA|XR|US|NM|PET|NOT|PAIN|AND|OF|FOR|WITH|THE|IN)\b)"
)
_NO_ROLE: Final = (
    "(?!(?:[Aa]ttend|[Oo]ncolog|[Pp]harm|[Pp]hysic|[Pp]rotocol|[Rr]adiolog|[Rr]adonc|[Ss]urg|ATTEND"
    r"|ONCOLOG|PHARM|PHYSIC|PROTOCOL|RADIOLOG|RADONC|SURG|(?:RT|MD|PO)(?![^\W_])))"
)
_UPPER: Final = "[A-ZÀ-ÖØ-Þ]"
_CALLED: Final = (
    rf"{_NO_NAME}{_UPPER}(?:[a-zß-öø-ÿ'\u2019]{{1,30}}(?:[A-Z-][a-zß-öø-ÿ]{{2,30}})?"
    rf"|[A-ZÀ-ÖØ-Þ'\u2019-]{{2,30}})"
)
# No more is said of it.
_AT_END: Final = r"(?= *(?:$|[,;.\r\n]))"
# Parts of a name that stand before a name.
_PARTICLES: Final = (
    "(?:(?:[Dd](?:as?|el?|ella|en|er|i|os?|u)|[Ll](?:as?|os|e)|[Vv][ao]n|[Tt]e[rn]|[AaEe]l"
    "|D(?:AS?|EL?|ELLA|EN|ER|I|OS?|U)|L(?:AS?|OS|E)|V[AO]N) )"
)
_TITLED: Final = rf"{_NO_NAME}{_UPPER}[a-zß-öø-ÿ'\u2019]{{2,30}}"
_WHO: Final = (
    rf"({_PARTICLES}{{0,2}}(?:[A-Z]\. ?){{0,2}}{_CALLED}"
    rf"(?:(?:(?: {_TITLED})? {_PARTICLES}{{1,2}}|,? {_PARTICLES}{{0,2}}| [A-Z]\. ?){_CALLED})?)"
    r"(?![^\W_])"
)
_WITH_INITIAL: Final = rf"((?:[A-Z]\. ?){{1,2}}{_CALLED})(?![^\W_])"
_RELATIVES: Final = (
    "wife husband spouse son daughter mother father mom dad brother sister uncle aunt niece nephew "
    "grandson granddaughter grandmother grandfather girlfriend boyfriend fiance cousin guardian "
    "stepfather stepmother stepson stepdaughter twin"
)
_STAFF: Final = (
    "nurse interpreter translator caregiver chaperone resident attorney lawyer guarantor"
)
_TECHNOLOGISTS: Final = "tech technologist technician radiographer sonographer"

# Two letters behind these are initials, but for what images and sides are called.
_NO_INITIALS: Final = (
    "(?!AP|PA|LT|RT|US|MR|CT|IV|IN|AT|ON|OF|TO|BY|IS|RE|NO|OR|UP|AS|MG|NM|XR|ID|QA|QC|OK|DR|AN|IF)"
)

_INITIALS: Final = rf"{_NO_INITIALS}(?:[A-Z]{{2}}|[A-Z]\.[A-Z]\.?(?:[A-Z]\.?)?)(?![^\W_])"

# What people sign with their initials, the day on which they did, and programs that did it.
_SIGNING: Final = (
    "contoured contours edited segmented annotated drawn traced dictated transcribed typed qa qc"
)
_DAY: Final = (
    r"(?:[\x00\x01]|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{8}|\d{1,2}[- ]?[A-Z]?[a-z]{2,8}[- ]?\d{2,4}"
    r"|[A-Z][a-z]{2,8}\.? \d{1,2},? \d{4})(?!\d)"
)
_SIGNS: Final = (
    r"(?!AI|MRI|MRA|PET|CTA|CAD|MIM|ROI|DIR|SAM|CNN|TPS|CMD|ROS)"
    rf"(?:{_INITIALS}|[A-Z]{{3}}(?![^\W_]))"
)


def _capitalised(words: str) -> str:
    """Returns words with a capital behind the same without."""
    return f"{words} {words.title()}"


# Where somebody is named whatever the words mean: what is in the groups goes.
CALLED: Final = Forms(
    # Relatives, and who helps: in small letters, or at the begin of what goes on.
    "(?-i:" + said(f"{_RELATIVES} {_STAFF}") + rf",? {_WHO})",
    "(?-i:" + said(f"{_RELATIVES} {_STAFF}".title()) + rf",? {_WHO}(?=[,.;]| [a-z(\d\0]))",
    said("c") + rf"/o:? (?-i:{_WHO})",
    # What she was called before, and is called by others.
    said("maiden previous former legal preferred birth last family given")
    + rf" name(?: was| is)?:? (?-i:{_WHO})",
    said("surname alias nickname") + rf"(?: was| is)?:? (?-i:{_WHO})",
    said("name") + rf"(?: was)? (?:changed|corrected|updated) from (?-i:{_WHO})",
    said("patient pt") + rf"(?:['\u2019]s)? name from (?-i:{_WHO})",
    "goes " + said("by") + rf" [\"\u201c']?(?-i:{_WHO})",
    # Who is announced, and has an initial.
    "(?-i:"
    + said(
        _capitalised(
            f"{_TECHNOLOGISTS} by per with contact attn cc pcp attending ordering referring "
            "physician surgeon oncologist radiologist provider reader"
        )
    )
    + rf"[:,]? {_WITH_INITIAL})",
    said("by per with signed") + r" (?-i:(?:DR|Dr)\.? (" + _CALLED + r")(?![^\W_]))",
    # A gentleman, and no image of his, is told by what he does.
    "(?-i:"
    + said("Mr")
    + rf"\.? ({_TITLED}))(?= (?:his|is|was|has|had|and|will|wants|refuses|refused|states|reports"
    r"|aware)(?![^\W_]))",
    "(?-i:" + said("by By per Per") + rf" \0 ({_TITLED})(?![^\W_]))",
    said("adjuster attorney lawyer guarantor guardian interpreter caregiver")
    + rf" (?-i:(?:({_TITLED}) )?\0 ({_TITLED}))(?![^\W_])",
    "(?-i:"
    + said("contact Contact attn Attn ordering Ordering")
    + rf": ?({_CALLED}, {_CALLED})(?![^\W_]))",
    "(?-i:"
    + said("врач Врач лікар Лікар лекар 医生 医師 医师 의사")
    + rf"[\uff1a:]? ?({_CALLED})(?![^\W_]))",
    # With a part of a name before it; da Vinci is a robot.
    "(?-i:"
    + said("by By per Per attn Attn Dr Mr Mrs Ms Miss Prof")
    + rf"[.:]? (?!da Vinci)({_PARTICLES}{{1,2}}{_TITLED})(?![^\W_]))",
    # Whose patient she is, with an initial; and who prescribed, where no more is said.
    "(?-i:" + said("patient Patient pt Pt") + rf" of ({_CALLED} [A-Z]\.? {_CALLED}))(?![^\W_])",
    said("rx prescribed replan replanned") + rf" (?:by|per):? (?-i:{_NO_ROLE}{_WHO})(?=[,;.]? *$)",
    said("call") + rf": ?(?-i:{_WITH_INITIAL})",
    # A consultant is called Mr in Britain.
    said("consultant") + r"[:,]? (?:mr|mrs|ms|miss)\.? ([a-z'\u2019-]{2,30})(?![^\W_])",
    said("dr mr mrs ms miss prof") + r"\.? (?-i:([A-Z]{2,30}))['\u2019]s(?![^\W_])",
    said(f"{_TECHNOLOGISTS} dosimetrist physicist") + rf": ?(?-i:({_CALLED})){_AT_END}",
    said(
        "dosimetrist physicist pathologist cardiologist neurologist urologist paediatrician "
        "pediatrician anaesthetist anesthetist anesthesiologist doctor endoscopist midwife sister "
        "läkare lekarz"
    )
    + rf":? (?-i:{_NO_ROLE}({_CALLED}))"
    r"(?= *(?:$|[,;.\r\n]| (?:aware|informed|notified|present)(?![^\W_])))",
    said("formerly") + rf",? (?-i:{_WHO})",
    said("results result report copy")
    + r" (?:(?:called|faxed|phoned|sent|given) )?to (?-i:(?!PACS|CD|DVD|DISC|Disc|DISK|ED|ER|GP|ICU"
    rf"|[Ww]ard|WARD|CLINIC|[Cc]linic|PT|FILE){_NO_ROLE}({_CALLED}))(?= *(?:$|[,;.\r\n/]))",
    said("escorted accompanied") + rf" by (?-i:{_NO_ROLE}({_CALLED})){_AT_END}",
    rf"(?-i:{ALONE}({_CALLED}) (?:&|and) " + said("Co Sons CO SONS") + ")",
    said("comentado consultado besprochen abgesprochen discuté discusso discutido")
    + rf" (?:con|mit|avec|com) (?-i:({_CALLED}))(?![^\W_])",
    said("sincerely regards") + rf", ?(?-i:{_WHO})",
    said("fax tel phone call")
    + rf"[.:]?[ \0\1\d()+-]{{1,30}}attn\.?:? (?-i:({_TITLED}))(?![^\W_])",
    "(?-i:" + said("Pr") + rf"\.? ({_TITLED}(?: {_TITLED})?)(?![^\W_]))",
    said("discussed spoke") + rf" (?:with|to) (?-i:({_CALLED}))(?= (?:at|from|AT|FROM)(?![^\W_]))",
    # Before who somebody is.
    rf"(?-i:{ALONE}{_WHO} \(" + said(_RELATIVES) + r"\))",
    # Before what somebody is.
    rf"(?-i:{ALONE}{_WHO},? "
    + either(
        said("M") + r"\.D\.",
        said("PA") + "-C",
        said("RT") + r"\(R\)",
        said("CRNA APRN ARNP DNP PharmD PHARMD FRCR FACR MBBS MBChB MBCHB"),
    )
    + ")",
    # Of letters that are no maps of diffusion.
    rf"(?-i:{ALONE}(?:{_WITH_INITIAL}|({_TITLED}(?:,? {_TITLED})?)|({_CALLED},? {_CALLED})), "
    + said("MD DO NP RN")
    + r"(?= ?(?:$|[.,;:)(])))",
    rf"(?-i:{ALONE}(?:{_WITH_INITIAL}|({_CALLED}, {_CALLED})|({_TITLED} {_TITLED})) "
    + said("MD DO NP RN")
    + r"(?= ?(?:$|[.,;:)(])))",
    "(?-i:" + said("by By per Per") + rf" {_WHO},? (?:MD|DO|NP|RN|RT)(?![^\W_]))",
    rf"(?-i:{ALONE}{_WITH_INITIAL},? " + said("MD") + "(?= [a-z]))",
    # Initials of whom nobody knows: of one and of another.
    said(_TECHNOLOGISTS + " techs technologists mtra")
    + rf":? (?-i:({_INITIALS})(?: ?[/,&+] ?({_INITIALS}))?)",
    said("techs technologists") + rf":? (?-i:(?:{_INITIALS}|\0) ({_INITIALS}))",
    said(_TECHNOLOGISTS + " techs technologists mtra") + rf":? (?-i:\0 ?[/,&+] ?({_INITIALS}))",
    "(?-i:\\0 ?" + sign("/") + rf" ?({_INITIALS})(?= *(?:$|[,;.])))",
    # Who drew a target.
    said("gtv ctv ptv itv") + r" (?-i:([A-Z]\.[A-Z]\.?))(?= *$)",
    # Of who did what is signed: where no more is said, and before its day or behind it.
    said(_SIGNING) + rf" by:? (?-i:({_SIGNS})(?= *(?:$|[.,;)])| and [A-Z]|[ ,]{{1,2}}{_DAY}))",
    said(_SIGNING) + rf":? (?-i:({_INITIALS})(?=[ ,]{{1,2}}{_DAY}))",
    said(_SIGNING) + rf":? (?-i:{_DAY}[ ,]{{1,2}}({_SIGNS})(?= *$))",
    said("check checked") + rf":? (?-i:({_INITIALS})(?=[ ,]{{1,2}}{_DAY}))",
    # Streets and practices that are called by words.
    "(?-i:"
    + said("on at near off")
    + " ((?:[A-Z][a-z]{1,20} ){1,3}(?:Ave|Avenue|St|Street|Rd|Road|Dr|Drive|Ln|Lane|Blvd|Way))"
    + r"(?![^\W_]))",
    rf"(?-i:{ALONE}(\d{{2,5}} (?:[NSEW]\.? )?(?:[A-Z][a-z]{{1,20}} ){{1,3}})"
    + said("Dr Ln Ct Pl Cir Ter Trl Sq")
    + ")",
    r"(?-i:(?<![^\W_])((?:[A-Z][a-z]{2,20} (?:& )?){1,3})(?:Family )?"
    + said("Radiology Imaging Orthopedics Cardiology Oncology Urology Neurology")
    + " (?:Associates|Group|Partners|Consultants|Specialists|Physicians|PLLC|LLC))",
    "(?-i:(?!Hand|Foot|Head|Neck|Bone|Joint|Heart|Spine|Brain|Chest|Women)"
    + rf"(?:{ALONE}({_TITLED})|\0) (?:&|and) ({_TITLED}) "
    + said("Orthopedics Orthopaedics Cardiology Urology Pediatrics Dermatology Associates")
    + ")",
    r"(?-i:(?<![^\W_])([A-Z][a-z]{2,20}) "
    + said("Family")
    + " (?:Imaging|Medicine|Practice|Health|Dental|Clinic))",
)
