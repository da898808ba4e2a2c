"""Numbers, days, employers and places behind a word that says of what they are, as patterns.

The word says nothing of anybody, and stays; what is in the groups goes. This is for texts that are
cleaned: elsewhere the same may be a size, a version or a step of a protocol.
"""

from __future__ import annotations

from typing import Final

from deid_service.engine.texts.triggers import ALONE, Forms, either, said

# A day without its year, in either order; no fraction of what was taken, no size, no grade.
_MONTH: Final = r"(?:0?[1-9]|1[0-2])"
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_SHORT_DAY: Final = (
    rf"(?!(?:1/[2-4]|2/3|3/4) [a-z])((?:{_MONTH}/{_DAY}|{_DAY}/{_MONTH}))"
    r"(?![\d/]|\.\d| ?%| ?(?:[cm]m|strength|power|motor|reflexes|nodes|cores)(?![^\W_]))"
)

# Rooms of wards, with the bed; and what is no room behind the same words.
_ON_A_WARD: Final = r"[1-9]\d?[nsew]-?\d{2,3}[a-d]?"
_ROOM: Final = (
    rf"([1-9]\d{{2,3}}-?[a-z]?|[a-z]-\d{{2,4}}|{_ON_A_WARD})(?![^\W_]|[.,]\d)"
    r"(?! ?(?:x|by|matrix|kvp?|ma|mas|ms|mm|cm|ml|gy|days?|hours?|min|minutes|patients|views?"
    r"|mmhg|bpm|degrees?)\b| ?%)"
)

# Words as names are written; and what is no place, nor what makes machines and agents is called.
_NAMED: Final = r"[A-Z][a-z]{2,20}(?: [A-Z][a-z]{2,20}){0,2}"
_NO_PLACE: Final = (
    r"(?!(?:Acute|Angio|Another|Bed|Cath|Clinic|Department|Emergency|Floor|Home|Hospital"
    r"|Inpatient|Intensive|Interventional|Nursing|Other|Outpatient|Outside|Radiology|Recovery|Rehab|Stretcher|Surgery|Table|Unit|Ward)(?![^\W_]))"
)
_NO_MAKER: Final = (
    "(?!Agfa|Bayer|Bracco|Brainlab|Canon|Carestream|Elekta|Esaote|Fujifilm|Guerbet|Healthcare|Hitachi"
    "|Hologic|Imaging|Konica|Medical|Mirada|Philips|Samsung|Shimadzu|Siemens|Software|Solutions|Systems"
    "|Technologies|Toshiba|Varian)"
)

# States of the United States, by letters that mean nothing else; and all others.
_STATE: Final = "AZ KY NY OH WI WV WY"
_ANY_STATE: Final = (
    f"{_STATE} AK AL AR CA CO CT DC DE FL GA HI IA ID IL IN KS LA MA MD ME MI MN MO MS MT NC ND "
    "NE NH NJ NM NV OK OR PA RI SC SD TN TX UT VA VT WA"
)

# For whom somebody works, by letters that may mean something else; and what is no employer.
_BY_LETTERS: Final = (
    "((?!(?:ED|ER|EMS|HR|ICU|IT|OR|PACU|PT|VA|CT|MR|MRI|US|XR|IR|NM|RT|HS|OB|PE|MD|RN)(?![A-Z]))"
    r"[A-Z]{2,6})(?![^\W_])"
)

# What stands before an institution, and is not what it is called.
_NO_HOSPITAL: Final = (
    "(?!(?i:another|any|community|county|from|general|her|his|local|nearby|new|old|other|our|outside|"
    "previous|prior|referring|regional|same|that|the|this|university|via|with)(?![^\\W_]))"
)

# What people are who work for somebody, and what is no employer behind that.
_JOBS: Final = (
    "accountant analyst assistant attendant bartender carpenter cashier chef cleaner clerk "
    "consultant cook courier custodian designer developer driver electrician employed "
    "employee engineer foreman guard intern janitor labourer laborer lawyer loader manager "
    "mechanic nurse officer operator packer picker pilot plumber professor programmer "
    "receptionist salesman secretary student supervisor teacher technician trucker waiter "
    "waitress welder work worked worker working works"
)
_NO_EMPLOYER: Final = (
    r"(?!(?i:airport|bank|bedside|campo|casa|church|college|depo|domicile|domicilio|factory|fabriek"
    "|fabbrica|fábrica|farm|government|home|homes|hospital|injection|itself|least|life|nacht|night"
    "|nights|nuit|obra|office|oficina|ospedale|present|rest|restaurant|retirement|risk|school|site"
    r"|thuis|time|ufficio|university|usine|work|years?)(?![^\W_]))"
)
_EMPLOYER: Final = (
    rf"{_NO_EMPLOYER}((?:[A-Z]{{2,4}} )?[A-ZÀ-ÖØ-Þ][^\W\d_]{{0,3}}[a-zß-öø-ÿ][^\W\d_]{{0,30}}"
    r"(?:[ -](?:& )?[A-Z][a-z]{2,30}){0,3}"
    r"|[A-ZÀ-ÖØ-Þ]{5,30}(?: [A-ZÀ-ÖØ-Þ]{3,30}(?= *(?:$|[,.;:/()\r\n-])))?)(?![^\W_])"
)
_NO_TRADE: Final = (
    "(?!Army|Asbestos|Child|Coal|Construction|Dock|Factory|Farm|Foundry|Health|Heavy|Mill|Mine|Navy|Office"
    "|Oil|Postal|Railway|Shift|Shipyard|Shop|Social|Steel|Textile|Truck|Warehouse|Youth)"
)

LABELLED: Final = Forms(
    # For whom she works, in six languages.
    said(_JOBS) + rf" (?:at|for|with) (?:the )?(?-i:{_EMPLOYER})",
    said("ex former")
    + rf"[ -](?-i:{_NO_TRADE}([A-Z][a-z]{{2,30}}(?: [A-Z][a-z]{{2,30}})?))"
    + " (?:worker|employee|driver|staff)",
    said("arbeitet arbeitete angestellt beschäftigt tätig")
    + rf" (?:bei|beim|für) (?-i:{_EMPLOYER})",
    said("travaille travaillait employé employée salarié salariée")
    + rf" (?:chez|à|pour) (?-i:{_EMPLOYER})",
    said("trabaja trabajaba trabajador trabajadora empleado empleada")
    + rf" (?:en|para|de) (?-i:{_EMPLOYER})",
    said("lavora lavorava lavoro impiegato impiegata dipendente")
    + rf" (?:presso|per|alla|al|da) (?-i:{_EMPLOYER})",
    said("werkt werkte werkzaam") + rf" (?:bij|voor) (?-i:{_EMPLOYER})",
    said("employer") + rf":? (?-i:{_EMPLOYER})",
    said("injured hurt accident") + rf" at work, (?-i:{_EMPLOYER})",
    # Where she was, and for whom she works, by letters; and who speaks for her.
    said("imaged scanned") + rf" at (?-i:{_BY_LETTERS})",
    "(?-i:"
    + said("works worked working employed employee engineer driver clerk mechanic manager")
    + rf" (?:for|at|by) {_BY_LETTERS})",
    "(?-i:"
    + said("retired Retired work job driver Driver engineer Engineer clerk employer Employer")
    + r"[,:] (UPS|IBM|DHL|BMW|KFC|TSA|NASA|USPS))(?![^\W_])",
    "(?-i:"
    + either(said("law Law") + " [Ff]irm", said("employer Employer"))
    + r":? ((?:[A-Z][a-z]{2,30}(?:-|,? (?:and |& )?)){0,3}[A-Z][a-z]{2,30}))(?![^\W_])",
    rf"(?-i:{ALONE}(?:at|for|from|by|of|work|[Rr]etired),? "
    rf"{_NO_MAKER}([A-Z][a-z]{{2,30}}(?:[ -]{_NO_MAKER}[A-Z][a-z]{{2,30}})?) "
    + said("Ltd PLC LLP LLC")
    + r")(?= *(?:$|[,;.)]))",
    # Where she comes from or goes to; the state alone may stay.
    said("transfer transferred travel travels traveled travelled immigrant immigrated emigrated")
    + rf" (?-i:from {_NO_PLACE}({_NAMED}))(?![^\W_])",
    said("travel travels traveled travelled traveling travelling trip")
    + rf" (?-i:(?:in|to) ({_NAMED}))(?![^\W_])",
    said("farmer mayor") + rf" (?-i:(?:in|of) ({_NAMED}))(?![^\W_])",
    # Looked for by what stands before: the letters of a state are those of common words.
    "(?-i:"
    + said("from near visiting by at")
    + rf" ({_NAMED}), ?(?:{'|'.join(_ANY_STATE.split())}))(?![^\W_]| ?\d)",
    rf"(?-i:{ALONE}({_NAMED}), ?" + said(_STATE) + r")(?! ?\d)",
    # Institutions that are called by a word, whatever it means.
    rf"(?-i:{ALONE}{_NO_HOSPITAL}([A-Z][^\W\d_]{{2,30}}) "
    + either(
        said("County Community Regional Memorial General District City Valley")
        + " (?:Hospital|Medical|Clinic|Health|Infirmary)",
        said("COUNTY COMMUNITY REGIONAL MEMORIAL GENERAL DISTRICT CITY VALLEY")
        + " (?:HOSPITAL|MEDICAL|CLINIC|HEALTH|INFIRMARY)",
    )
    + ")",
    # Institutions, with what they are where that stands first.
    "(?-i:("
    + either(
        said("Clínica Clinique Hôpital Hopital Ospedale Policlinico Klinikum Szpital")
        + " (?:(?:da|de|di|do|du|del|della|van|von|la|San|Santa) ){0,2}",
        said("Hospital") + " (?:(?:da|de|di|do|du|del|della|la|San|Santa) ){1,2}",
    )
    + r"[A-ZÀ-ÖØ-Þ][^\W\d_A-Z]{2,40}(?: [A-ZÀ-ÖØ-Þ][^\W\d_A-Z]{2,40})?))",
)

LABELLED_WITH_DIGITS: Final = Forms(
    # Days on which something began or was.
    either(
        said("onset") + " of [a-z]{2,20}",
        said("began begun started starting onset injury injured doi accident surgery"),
        said("last") + " (?:seen|known|dose|chemo|period|visit)(?: well)?",
    )
    + rf"(?: on)?:? {_SHORT_DAY}",
    # Where somebody lies.
    either(said("bedside ward floor icu micu sicu ccu"), said("pt patient") + " (?:is )?in")
    + rf"[:,]? {_ROOM}",
    either(
        said(
            "hab habitación habitacion camera kamer zimmer chambre stanza quarto sala salle rum "
            "sal bay location station leito cama letto letti säng sang lit bett pokój pokoj łóżko "
            "ch"
        )
        + r"[.:]?",
        said("transport transfer transferred moved") + " to",
    )
    + r" ([a-z]-\d{2,4}|\d{2,4}-[a-z])(?![^\W_])",
    said("stn") + r"\.? ([a-z]\d{1,2})(?![^\W_])",
    # A letter and three digits, as wards number rooms; no isotope, and no step of a diffusion.
    r"(?-i:(?<![\w.,/+-])(?!(?:I-1[23]|[BUG]-\d\d)\d)([A-HJ-NP-Z]-\d{3}|[1-9]\d\d-[A-F])(?![\w/+-]|\.\d))",
    rf"(?<![^\W_])(?<![-.,/])([1-9]\d{{2,3}}[a-z]?|{_ON_A_WARD}),? "
    + said("bed")
    + r" ([a-z\d])(?![^\W_])",
    # Of a patient, where she is registered.
    said("registration registry reg unit chart hospital record file patient case")
    + r" (?:no|nr|num|number)[.:]? ?#?(\d{4,9})(?![^\W_]|[.,-]\d)",
    said("barcode processo folio") + r":? ?#?(\d{4,9})(?![^\W_]|[.,-]\d)",
    # Of a specimen, which a pathologist has: S13-9984.
    said("path pathology cytology histology histopathology histo specimen biopsy")
    + r"(?: (?:no|nr|number|report))?[ .:#-]{0,3}"
    + r"((?:[a-z]{1,3}-?\d{1,2}|\d\d)-[a-z]{0,2}-?\d{3,6}[a-z]?)(?![^\W_]|-\d)",
    "(?-i:" + ALONE + "(" + said("NS SP SS SU S") + r"\d\d-\d{4,6}))(?![^\W_]|-\d)",
)
