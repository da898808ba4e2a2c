"""The forms in which people write addresses, phone numbers and the like, as patterns.

Most are built around words or signs without which they are none (see `triggers`). A pattern
without is tried in each text: in digits alone, or in what ends as names of streets do.
"""

from __future__ import annotations

from typing import Final

from deid_service.engine.texts.triggers import ALONE, LETTER, Form, Forms, either, said, sign

# No letter or digit stands behind.
_ENDS: Final = r"(?![^\W_])"

_MONTH: Final = (
    "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|j[aä]nner|m[aä]rz|mai|okt|dez)[a-z]*"
)

# As they are written where they are no abbreviation of anything else.
_CAPITALISED_MONTH: Final = (
    "(?-i:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    "|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)

# How the name of a machine ends: with its country, or what it is for.
_DOMAIN: Final = (
    r"(?:com|org|net|edu|gov|mil|info|eu|local|lan|intranet|de|at|ch|fr|it|es|pt|nl|be|uk|ie|dk|se|"
    r"no|fi|pl|cz|sk|hu|gr|ru|ua|tr|il|jp|kr|cn|tw|in|au|nz|ca|br|mx|us)"
)
_STREET: Final = said(
    "street st road rd avenue ave drive lane way blvd boulevard court crescent pkwy parkway "
    "gardens gdns terrace mews grove highway hwy"
)

# Who is said before a colon.
_ROLE: Final = said(
    "att attending rad radiologist tech technologist technician operator reader resident fellow "
    "nurse physician surgeon sonographer physicist referrer mta mtra arzt oberarzt hausarzt "
    "chefarzt zuweiser pfleger schwester médecin medecin manip medico médico téc tec врач"
)

# Groups of letters and digits, in turns within them, as numbers of insurances have them.
_GROUP: Final = r"(?=[a-z]{0,7}\d)(?=\d{0,7}[a-z])[a-z\d]{3,8}"

# Before parts of a day without its year: that there is one.
_SAYS_DAY: Final = said(
    "lmp edd since seit vom am on le il dal el desde depuis mon monday tue tues tuesday wed "
    "wednesday thu thurs thursday fri friday sat saturday sun sunday"
)

# Of whom or of what a number is; that it is one; and what stands for one.
_OF: Final = said(
    "subj subject subjekt proband probandin policy claim member badge passport licence license "
    "room rm zi zimmer bed bett chambre lit kamer habitación habitacion stanza palata aet "
    "host hostname workstation lot udi"
)
_PATIENT: Final = said("pt pat patient unit chart case file record")
_NUMBER_SIGN: Final = (
    rf"(?:(?:n[or]|num(?:ber|mer|éro|ero)?|número)(?!{LETTER})[.:]?|n[°º]|№|#|id(?!{LETTER}))"
)
_CODE: Final = r"(?=[a-z._/-]{0,8}\d)[a-z\d]{1,16}(?:[./_-][a-z\d]{1,16}){0,4}"

# Groups that number their trials: RTOG 0617.
_NO_TRIAL: Final = "".join(
    rf"(?<!\b{group}[ -])" for group in ("rtog", "ecog", "swog", "acrin", "calgb", "nsabp", "nrg")
)

# What is measured, or says how much it is.
_MEASURED: Final = (
    "psa|cea|afp|inr|tsh|hb|hgb|hba1c|a1c|crp|bun|wbc|egfr|suv|suvmax|creatinine|creat|cr|krea"
    "|kreatinin|kreatinina|bilirubin|score|level|value|of|is|was|to|by|than|about|ratio|ph|adc"
    "|version|vers|ver|v|rev|kalium|potassium|gleason|tesla|thickness|diameter"
)

# That none stands before a value with a point, and one at the end of a sentence: what is looked
# for behind has one length in a pattern.
_VALUES: Final = (r"\d\.\d\.", r"\d\d\.\d\.", r"\d\.\d\d\.", r"\d\d\.\d\d\.")
_SAYS_VALUE: Final = [
    (len(one) + len(value) // 2, rf"\b{one}[ =]{value}")
    for one in _MEASURED.split("|")
    for value in _VALUES
]
_NO_VALUE: Final = "".join(
    f"(?<!{'|'.join(each for length, each in _SAYS_VALUE if length == some)})"
    for some in sorted({length for length, _ in _SAYS_VALUE})
)

# Of ages below, nobody is told; of those above, the law asks that none is said. Digits are those
# of Europe, of Arabic, of Persian and Urdu, and wide ones.
_OLD_NUMBER: Final = (
    "(?:[9\u0669\u06f9\uff19]\\d"
    "|[1\u0661\u06f1\uff11][0-2\u0660-\u0662\u06f0-\u06f2\uff10-\uff12]\\d)"
)
_OLD: Final = r"(?<![\d.,/])" + _OLD_NUMBER
_AGED: Final = said(
    "age aged alter âge edad età idade edat leeftijd alder ålder ikä wiek wieku věk věku vek veku "
    "életkor életkora vârsta vârstă varsta starost vanus amžius vecums yaş\u0131 umur usia ηλικία "
    "ηλικίας возраст возраста возрасте вік віку възраст גיל בגיל בן בת כבן כבת العمر عمر عمره "
    "عمرها بعمر السن 年齢 年龄 年齡 나이 연령"
)

# Who is of so many years.
_ADULT: Final = said(
    "man woman male female lady gentleman gent widow widower mann frau patientin homme femme "
    "hombre mujer varón uomo donna homem mulher vrouw kvinna kvinde kvinne mężczyzna kobieta "
    "мужчина женщина"
)

# Years that stand before their number as well, as in Polish: lat 92.
_YEARS_OF: Final = said(
    "years jahre jahren ans anni lat lata let år años anos anys ani jaar vuotta aastat metai "
    "metų gadi gadu évek rokov roků ετών έτη χρονών лет року років години godina godine tahun "
    "година yaş שנים שנה שנות سنة سنه سنوات عام عاما سال ساله"
)
_YEARS: Final = either(
    _YEARS_OF,
    either(said("yo"), said("y") + r"\.? ?/?o") + r"\.?",
    said("yr yrs year jahr an año ano anno enne rok roku rokiem год года év éves tuổi urte"),
    said("j l v л \u0433") + r"\.",
    said("r") + r"\. ?ż",
    said(
        "jährig jährige jährigem jährigen jähriger jähriges jaehrig jaehrige jaehrigen jaehriger "
        "jarig jarige års årig årige åriga årigt åring vuotias vuotiaan vuotiaalla aastane letni "
        "letnia letniego letniej letnią letá letý letého leté ročný ročná letna letnik летний "
        "летняя летнего летней летнему летнюю летним річний річна годишен годишна "
        "godišnji godišnja χρονος χρονη χρόνων"
    ),
    # Of an I in capitals nobody can tell whether it has a dot in Turkish.
    said("yaş\u0131nda yaşinda yaş\u0131ndaki yaşl\u0131 yaşli"),
    said("歳 才 岁 歲 세 살"),
)

_NAME: Final = r"(?:[^\W\d_]['\u2019])?[^\W\d_]{3,40}"

# Two of them, with initials.
_NAMES: Final = rf"(?:[^\W\d_]\. ?)?({_NAME})(?:[ .-]{{1,2}}(?:[^\W\d_]\. )?({_NAME}))?"

# Who somebody is, or what she did, before her name.
_ANNOUNCES: Final = either(
    said(
        "dr drs doctor prof ca oa oä oae oäe fa pcp gp ordering op oper operator operador "
        "operateur opérateur operatore surg surgeon oncologist nurse tech technologist врач arts "
        "læge laege lege läkare lakare lääkäri laakari lek lekarz médecin medecin prescripteur "
        "demandeur solicita anf vidiert gez attn signed cosigned paged notified user username "
        "login verified anesth anes sonographer radiographer radiograf röntgenhoitaja mtr mtra "
        "rem pr interpreter witness guarantor attorney lawyer subscriber policyholder zuweiser "
        "überweiser überweisung aanvrager laborant radiolog "
        "radiologe mudr mddr ssk sjuksköterska sykepleier sygeplejerske sairaanhoitaja nurse "
        "lähete odesílá beutaló kezelőorvos orvos trimis uputio liječnik лікар направив направил "
        "tsrm enfermeira enfermeiro enfermero enfermera infermiere infermiera sho employer "
        "насочен лекар ιατρός παραπέμπων רופא רופאה الدكتور الطبيب دکتر پزشک"
    ),
    r"(?<!\d)(?<!\d )" + said("cc"),
    said("henvist henvisad remiss") + " (?:af|av)",
    said("from to cc bcc von an de para da till til fra") + "(?=:)",
    said("ref") + r"(?:[. ]phys)?",
    said("\u0434") + "-\u0440",
    said("medico médico medica médica") + r"(?: richiedente)?",
    said("befund") + " an",
    either(said("rücksprache"), said("rückspr") + r"\.?") + r"(?: mit)?",
    said("logged") + " in",
    "(?:read|reported|seen|requested|ordered|reviewed|signed|performed|scanned|sent) " + said("by"),
    "(?:discussed|spoke|reviewed|seen) " + said("with"),
    "(?:vue?|discutée?) " + said("avec"),
    "to be " + said("called"),
    # Relatives, and who is called what.
    said(
        "son daughter dtr wife husband spouse mother mom father dad brother sister aka née hija "
        "hijo esposa esposo madre padre hermana hermano viuda figlia figlio moglie marito "
        "fille fils épouse mari soeur sœur frère tochter sohn ehefrau ehemann bruder schwester "
        "mutter vater dotter son datter søn sønn hustru make echtgenote echtgenoot dochter zoon "
        "tytär poika vaimo aviomies dcera syn manžel manželka lánya fia felesége férje дочь сын "
        "муж жена дочка дружина чоловік дъщеря съпруга"
    ),
    # Where she lives or comes from.
    said(
        "lives living resident resides born boende bosatt bor wohnhaft woont vive reside residente "
        "procedente proveniente natural nata nato demeurant domiciliée domicilié habite asuu lakik "
        "lakcím bydliště bytem zamieszkała zamieszkały проживает мешкає живее"
    )
    + "(?: (?:in|at|of|i|en|à|a|w|v|в|de|te|er))?",
    # Where she works or learns, was before, or was found; who a child is of.
    said(
        "works working worked employed employee teaches teacher teaching student pupil attends "
        "enrolled fell"
    )
    + " (?:at|for|in|with|by|of)",
    said("transferred referred travelled traveled") + " (?:from|to)",
    said("boy girl baby infant child twin") + " of",
    said(
        "trabalha trabaja travaille lavora werkt arbeitet arbetar jobber arbejder pracuje "
        "työskentelee empleado empleada employé employée impiegato impiegata angestellt"
    )
    + " (?:em|na|no|en|à|a|chez|presso|in|bij|bei|på|hos|w|de|por)",
    said(
        "encaminhado encaminhada transferido transferida remitido remitida trasladado trasladada "
        "transféré transférée venant originaire trasferito trasferita inviato inviata verlegt "
        "skierowany skierowana przeniesiony przeniesiona"
    )
    + " (?:de|do|da|du|del|desde|dal|dalla|von|aus|z|ze)",
    "(?:envoyé|adressé|demandé|prescrit) " + said("par"),
    "(?:überwiesen|befundet|angefordert) " + said("von durch"),
)

# Digits in words; two languages are seldom mixed, and nothing else is said so.
_DIGIT_IN_WORDS: Final = (
    "zero oh one two three four five six seven eight nine null eins zwei zwo drei vier fünf sechs "
    "sieben acht neun zéro un deux trois quatre cinq sept huit neuf cero uno dos tres cuatro cinco "
    "seis siete ocho nueve due tre quattro cinque sei sette otto nove um dois quatro sete oito nul "
    "een twee drie vijf zes zeven negen"
)

# Institutions by their letters, in capitals, that mean nothing else in texts of images; with the
# digits of their machines and protocols.
_WELL_KNOWN: Final = (
    "(?-i:"
    + said(
        "AIIMS AKH APHP AUH BCCH BIDMC BJC BJH BWH CGMH CHCO CHLA CHOA CHRU CHUM CHUS CHUV CSMC "
        "CUIMC CUMC CWRU DFCI DKFZ DUH DUMC FHCC FHCRC GSTT HCFMUSP HGUGM HIAE HUP HUVH JHACH "
        "JHBMC JHH JHMI JHU KSSG KUMC LHSC LLUH LLUMC LMU LUMC MCW MDACC MGB MGH MHH MSKCC "
        "MSKMC MSSM MUHC MUMC NCCH NIMHANS NKI NMFF NMH NTUH NUHS NYP NYPH NYU NYUMC OHSU OICI "
        "OPBG OSUCCC OSUMC OUH OUS PGIMER PLAGH PMCC POWH PUMCH RBWH RLUH RPAH RUMC RWJ RWJUH "
        "SBUH SGPGI SHSC SNUBH SNUH SUNY SYSUCC TPEVGH TTSH TYKS UAMS UCDMC UCHSC UCLA UCLH UCSD "
        "UCSF UHCMC UHN UIHC UKER UKGM UKHD UKSH UMASS UMCG UMCU UMDNJ UMICH UMMC UMMS UNMC UNMH "
        "UPENN UPMC USZ UTHSC UTHSCSA UTMB UTMDACC UTSW UVAHS UWHC UWMC UZA VCU VCUHS VGH VGHTPE "
        "VUMC WUSM WUSTL"
    )
    + ")"
)

# The second of two names, where a title or a role stands before the first.
_SECOND: Final = r"(?:[A-Z]\. ?)?[A-Z][a-z'\u2019-]{1,30}"
# What goes on behind who somebody is, and not behind what is examined.
_GOES_ON: Final = (
    r" (?:agreed|asked|at|called|gave|has|informed|is|notified|on|ordered|paged|requested|reviewed"
    r"|saw|was|who|will|\()"
)

# Each looks no further from where it begins than a bound, or goes on behind what it has found.
_ANYWHERE: Final[tuple[Form, ...]] = (
    # Where a rate or a share stands, none begins.
    r"[^\s@]{1,64}" + sign("@") + r"(?=[\w.-]{0,64}(?:[^\W\d_]{3}|\.[^\W\d_]{2}))\S{1,255}",
    either(
        rf"(?<!{LETTER})(?:https?|s?ftp|file|smb)" + sign(":") + r"//\S*",
        said("www") + r"\.\S*",
        sign("\\") + r"\\\S*",
        r"(?<![^\W_])[a-z]" + sign(":") + r"\\\S*",
    ),
    r"(?<![\w/])" + sign("/") + r"(?:home|users|data|mnt|export|srv|var|media)/\S*",
    r"(?<![\w.-])[a-z0-9-]{1,63}"
    + sign(".")
    + rf"(?:[a-z0-9-]{{1,63}}\.){{0,4}}{_DOMAIN}(?:/\S*|:\d{{2,5}}\b)",
    either(
        ALONE + r"p\.? ?o\.? ?" + said("box"),
        said("pobox postfach apartado"),
        said("casella") + " postale",
    )
    + r":? {0,2}\d{1,6}",
    # In the languages in which the kind of the street stands first.
    either(
        said("rue calle avenida viale piazza corso rua plaza paseo allee allée"),
        said("avda") + r"\.?",
    )
    + r" (?:(?:de|del|della|des|du|da|do|la|las|los|el) ){0,2}[^\W\d_]{2,40},? \d{1,4}(?!\d)",
    r"(?<!\d)\d{1,4},? "
    + said("rue avenue boulevard chemin impasse")
    + r" (?:(?:de|des|du|la) ){0,2}[^\W\d_]{2,40}",
    r"(?-i:" + said("via Via") + r" [A-Z]\w{2,40},? \d{1,4})(?!\d)",
    either(
        said("dr mr dhr mevr") + r"\.",
        said("prof mrs herr frau mme mlle sra srta dra dott dottssa") + r"\.?",
    )
    + r" {0,3}(?:[^\W\d_]\. ?){0,2}[^\W\d_]{1,40}(?:[ -](?-i:[A-Z])[^\W\d_]{1,40})?",
    # In capitals it is digital radiography.
    "(?-i:"
    + said("Dr")
    + rf" (?:[A-Z][a-z'\u2019-]{{1,40}} {_SECOND}(?=[,;)]|{_GOES_ON})|[A-Z][^\W\d_]{{1,40}}))",
    _ROLE
    + r"[:=] {0,3}(?:[^\W\d_]\. ?){0,2}[^\W\d_]{2,40}"
    + rf"(?-i:,? (?:{_SECOND}(?=[,.;)]| *$| [a-z(])|[A-Z]{{2,30}}(?= *$)))?"
    # And another's initials.
    + r"(?: ?[/&+] ?(?-i:(?!AP|PA|LT|RT|US|MR|CT|XR)[A-Z]{2})(?![^\W_]))?",
    _WELL_KNOWN,
    # Towns that are called by two words.
    either(
        said("little round white") + " rock",
        said("long palm") + " beach",
        said("spring rock cherry crest broken") + " hill",
        said("forest crystal silver horn prior round") + " lake",
        said("wake lake park") + " forest",
        said("forest deer echo") + " park",
        said("great twin post central river") + " falls",
        said("silver big") + " spring",
        said("fall pearl") + " river",
        said("red") + " (?:deer|wing)",
        said("costa la") + " mesa",
        said("park") + " ridge",
        said("palm") + " harbor",
        said("bowling wood") + " green",
        said("grand") + " junction",
        said("american") + " fork",
        said("fair") + " lawn",
    )
    + _ENDS,
    # And by the names of their founders or towns, which are those of diseases, too.
    either(
        said("cleveland mayo") + " clinic",
        said("sloan") + "[ -]kettering",
        said("johns") + " hopkins",
        said("dana") + "[ -]farber",
        said("cedars") + "[ -]sinai",
        said("mount mt") + "[. ]{1,2}sinai",
        said("md") + " anderson",
        said("mass") + " gen(?:eral)?",
    )
    + _ENDS,
    # Phone numbers and e-mail addresses in words.
    said(_DIGIT_IN_WORDS) + rf"(?:[ .,-]{{1,2}}(?:{_DIGIT_IN_WORDS.replace(' ', '|')})){{6,15}}",
    r"(?<![\w.+-])(?:[\w+-]{1,64} dot )?[\w.+-]{1,64} ?[\[({< ]"
    + said("at")
    + r"[\])}> ] ?[\w-]{1,64}(?: ?[\[({<]?dot[\])}>]? ?[a-z\d-]{2,40}){1,4}",
)

# Where a text stays.
IN_ANY_TEXT: Final = Forms(*_ANYWHERE)

# Ages above 89, beside their years, or what says that it is one.
_AGES: Final[tuple[Form, ...]] = (
    _OLD + " ?-? ?(?:de )?" + _YEARS + "(?:-old)?",
    _AGED + rf"[ :=]{{0,3}}(?:(?:of|de|di|von|van|på|ca)[. ] ?)?{_OLD}(?!\d)",
    _YEARS_OF + rf":? {_OLD}(?![\d.,])",
    # As PatientAge has it, which is no yttrium; and with the sex, before what she has.
    r"(?<![^\W_])(?!90)0?" + _OLD_NUMBER + "(?-i:" + said("Y") + r")(?![^\W_])",
    r"(?<![^\W_])90(?-i:Y)(?= " + said("patient pt man woman male female old") + ")",
    rf"(?<![^\W_]){_OLD_NUMBER} ?(?:yo ?)?(?-i:[MF])(?= (?:w|s|c|h)" + sign("/") + "[po ])",
    rf"(?<![^\W_]){_OLD_NUMBER} ?(?:yo ?)?(?-i:[MF])(?= "
    + said("with who presents presenting pt patient admitted complaining hx")
    + ")",
)

# Days with a year of four digits, or of two behind strokes or letters: nothing else is written so,
# as versions, sizes and protocols are with fewer.
_YEAR: Final = r"(?:19|20)\d{2}"
_WHOLE_DAYS: Final = (
    # Alone, one is a version.
    rf"(?!\A{_YEAR}-\d\d-\d\d\Z)(?<![\d.])"
    rf"(?:{_YEAR}([-./])\d{{1,2}}\1\d{{1,2}}|\d{{1,2}}([-./])\d{{1,2}}\2{_YEAR})(?!\d|\.\d)",
    r"(?<![\d./])(?:0?[1-9]|[12]\d|3[01])"
    + sign("/")
    + r"\d{1,2}/\d{2}(?![\d/]| ?[a-z]{1,2}(?![a-z]))",
    r"(?<![\d./])(?:0?[1-9]|1[0-2])" + sign("/") + rf"{_YEAR}(?![\d/])",
    _SAYS_DAY + r":? \d{1,2}([-./])\d{1,2}\1\d{2}(?!\d)",
    said("昭和 平成 令和 大正 民國 民国") + r" ?(?:\d{1,3}|元) ?年 ?\d{1,2} ?月(?: ?\d{1,2} ?日)?",
    rf"(?<={LETTER}{LETTER}[_-]){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)",
    rf"(?<![\d.])\d{{1,2}}\.?[ _-]?{_MONTH}\.?,?[ _-]?(?:{_YEAR}|\d\d)(?!\d)",
    rf"(?<!{LETTER}){_MONTH}\.? (?:\d{{1,2}}(?:st|nd|rd|th)?,? )?{_YEAR}(?!\d)",
    r"(?<!\d)\d{1,2}" + said("st nd rd th") + rf" (?:of )?{_MONTH}(?: {_YEAR})?(?!{LETTER})",
    rf"(?<![\d.])\d{{1,2}}\.(?-i:[IVX]{{1,4}})\.{_YEAR}(?!\d)",
    rf"(?<!\d){_YEAR} ?" + said("年 년") + r" ?\d{1,2} ?[月월](?: ?\d{1,2} ?[日일])?",
    r"(?<!\d)\d{1,2}[. ]{1,2}(?:de )?"
    + said(
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre "
        "janeiro fevereiro março maio junho julho setembro outubro novembro dezembro gennaio "
        "febbraio aprile maggio giugno luglio settembre ottobre dicembre janvier février mars "
        "avril mai juin juillet août septembre octobre novembre décembre января февраля марта "
        "апреля мая июня июля августа сентября октября ноября декабря"
    )
    + rf" (?:de )?{_YEAR}(?!\d)",
)

# Numbers that states and insurances give, behind what says which; and such as are written in no
# other way: of the United States, Brazil, Russia, Korea, Italy, France, and India or Japan.
_NUMBERED: Final = (
    said(
        "ssn passport passnummer pass visa policy insurance mrn cpf dni nie tckn pesel bsn nhs "
        "снилс амка αμκα nir aadhaar fødselsnr fodselsnr personnummer personnr svnr ahv "
        "versichertennummer steuernummer マイナンバー 身份证号 身份證號 身份证 身分證字號 身分證 "
        "保険証番号 被保険者番号 주민번호 주민등록번호 رقم البطاقة الهوية ملی کدملی "
        "npi dea mbi ohip medicare ppsn ppsno pps curp nric abha cmnd cccd niss oib taj cnp hetu "
        "cpr pnr егн рнокпп іпн инн "
        "αφμ אזהות teudat donor inmate unos acct account order zip plz addr postcode postnummer"
    )
    + r"(?:[ .:#-]|n[or°º]\.?){0,4}[a-z]{0,4}\d(?:[a-z\d]|[./ -]{1,2}(?=\d)){4,24}",
    # Of hospitals, whose labels mean something else before fewer digits.
    said(
        "id pid accession acc patid patientid patnr patientnr patientennummer fallnummer fallnr "
        "auftragsnummer nhc ipp hn csn fin har empi chi mpi urn ur hkid encounter visit chart case "
        "prontuário prontuario cartella dossier historia"
    )
    + r"(?:[ .:#=-]|n[or°º]\.?|(?:id|number|num)(?![a-z])){0,4}[a-z]{0,3}-?\d{5,12}(?![\d.])",
    said("病历号 病歷號 住院号 住院號 门诊号 病案号 登録番号 患者番号 カルテ番号 등록번호 환자번호")
    + r"[ :\uff1a#]{0,3}[a-z]{0,3}-?\d{4,12}(?!\d)",
    said("r") + r"\. ?č\.:? ?\d{6}/?\d{3,4}",
    said("c") + r"\. ?c\.:? ?\d{1,3}(?:\.\d{3}){2,3}",
    said("c") + r"\.f\. ?[a-z]{6}\d\d[a-z]\d\d[a-z]\d{3}[a-z]",
    said("ת") + r"\.ז\.? ?\d{7,9}",
    said("n") + r"[°º] ?ss[ :]{0,2}[12](?: ?\d){12,14}",
    rf"{ALONE}(?<![-.])(?:\d{{3}}-\d\d-\d{{4}}|\d{{3}}\.\d{{3}}\.\d{{3}}-\d\d"
    r"|\d{3}-\d{3}-\d{3} \d\d|\d{6}-[1-4]\d{6}|[12] \d\d (?:0[1-9]|1[0-2]) \d\d \d{3} \d{3} \d\d"
    r"|(?!(?:\d\d[05]0 ?){3})\d{4} \d{4} \d{4})(?![^\W_]|[-.]\d)",
    # Of Switzerland and Belgium, of the insurance of the United States and Ontario, of Mexico, of
    # India and Thailand, and those that begin with the day of a birth.
    rf"{ALONE}(?<![-.])(?:756\.\d{{4}}\.\d{{4}}\.\d\d|\d\d\.[01]\d\.[0-3]\d-\d{{3}}\.\d\d"
    r"|\d-\d{4}-\d{5}-\d\d-\d|(?!\d\d(?:-\d\d[05]0){3})\d\d-\d{4}-\d{4}-\d{4}"
    r"|(?-i:[1-9][A-Z][A-Z\d]\d-[A-Z][A-Z\d]\d-[A-Z]{2}\d\d|\d{4}-\d{3}-\d{3}-[A-Z]{2}"
    r"|[A-Z]{4}\d\d[01]\d[0-3]\d[HM][A-Z]{5}[A-Z\d]\d|[0-3]\d[01]\d{3}[-+A]\d{3}[\dA-FHJ-NPR-Y]"
    r"|[1-9]\d{5}(?:19|20)\d\d[01]\d[0-3]\d{4}[\dX])"
    r"|(?:[0-3]\d[01]\d{3}|\d\d[01]\d[0-3]\d)-\d{4}|\d\d[0156]\d[0-3]\d/\d{4})"
    r"(?![^\W_]|[-.]\d)",
    rf"(?-i:{ALONE}[A-Z]{{6}}\d\d[A-EHLMPRST]\d\d[A-Z]\d{{3}}[A-Z](?![^\W_]))",
    # Identifiers that programs make, and addresses of machines.
    rf"{ALONE}[\da-f]{{8}}-(?:[\da-f]{{4}}-){{3}}[\da-f]{{12}}(?![^\W_])",
    rf"{ALONE}(?:[\da-f]{{2}}([:-]))(?:[\da-f]{{2}}\1){{4}}[\da-f]{{2}}(?![^\W_])",
    r"(?<![\d.])(?:10|127|169|172|192)\.(?:[12]?\d?\d\.){2}[12]?\d?\d(?![\d]|\.\d)",
)

# The same where no more than a word stands.
STATES: Final = Forms(*_NUMBERED)

# In those of them that have digits: streets, with a capital.
WITH_DIGITS_IN_ANY_TEXT: Final = Forms(
    # Rooms of wards, as those of machines have no letter.
    said("room rm zimmer zi") + r"[ .:#]{0,3}\d{2,4}-?[a-z]" + _ENDS,
    *_AGES,
    *_WHOLE_DAYS,
    *_NUMBERED,
    ALONE + r"\d{1,5}[a-z]? {1,3}(?:(?-i:[A-Z][a-z])[^\W\d_]{1,40} {1,3}){1,2}" + _STREET + r"\.?",
    rf"(?-i:(?<!{LETTER})[^\W\d_a-z])[^\W\d_]{{1,40}}(?:stra(?:ss|ß)e|str\.|weg|platz|gasse)"
    r" {0,3}\d{1,4}" + _ENDS,
)

# In cleaned texts, in which it is no loss.
IN_CLEANED: Final = Forms(
    *_ANYWHERE,
    r"\b[^\W\d_]{1,40}(?:stra(?:ss|ß)e|str\.|weg|platz|gasse)(?![^\W\d_])"
    r" {0,3}\d{0,5}",
    r"(?-i:" + said("Hr Fr") + r" [A-Z][^\W\d_A-Z]{1,40})",
    # Somebody who is called by a word, before what she is: B. Young, MD.
    rf"(?-i:{ALONE}(?:[A-Z]\. ?){{0,2}}[A-Z][^\W\d_]{{2,40}}), " + said("md phd rn np frcr facr"),
    # Institutions that are called by words: Sacred Heart Hospital.
    rf"(?-i:(?<!{LETTER})(?:[A-Z][a-z'\u2019]{{2,40}} ){{1,3}}(?:VA )?"
    + either(
        said("Hospital Clinic Hospice Nursing Manor Klinikum Krankenhaus Hastanesi Ziekenhuis"),
        said("Medical") + " Cent(?:er|re)",
        said("Care Cancer Dialysis Rehab Rehabilitation Retirement")
        + " (?:Home|Cent(?:er|re)|Community|Institute)",
        said("Assisted Senior") + " Living",
        said("Community") + " (?:Health|Healthcare)",
    )
    + ")",
    "(?-i:"
    + said("Mount Mt Saint St")
    + r"\.? [A-Z][a-z]{2,20} (?:Health|Healthcare|Medical|Imaging))",
    # Places that are called by words, too: born in Moose Jaw.
    said(
        "born lives living resides resident visiting moved works worked working employed teaches "
        "teacher student pupil attends enrolled"
    )
    + r" (?:in|at|of|from|to|near|for|by) (?-i:[A-Z][a-z]{2,40}(?: [A-Z][a-z]{2,40}){0,2})",
    # Two letters behind a name, for who had it.
    r"(?-i:"
    + said("sonographer radiographer technologist tech")
    + r" (?:[^\W\d_a-z][^\W\d_A-Z]{2,40}|\0) "
    r"(?!ap|pa|lt|rt|us|mr|ct|iv|in|at|on|of|to|by|is|re|no|or|up|as|mg)[a-z]{2})(?= *$|[.;])",
    said("ms hr fr sr") + r"\. {0,3}[^\W\d_]{1,40}(?:[ -](?-i:[A-Z])[^\W\d_]{1,40})?",
    # Two letters for who did something, of whom nobody knows.
    said(
        "dict dictated mtra op oper operador operateur operator tech technician technologist "
        "trans transcribed typed"
    )
    + "[:=] ?[a-z]{2}"
    + _ENDS,
    # Characters as HTML has them.
    sign("&") + r"#(?:\d{2,6}|x[0-9a-f]{2,6});",
    # E-mail addresses in words.
    r"(?<![\w.+-])[\w.+-]{1,64} ?[\[({<]" + said("at") + r"[\])}>] ?[\w.-]{1,255}",
)

# In those of them that have digits.
WITH_DIGITS_IN_CLEANED: Final = Forms(
    # With the letters of who gives them.
    r"(?-i:(?<![^\W_])[A-Z]{1,3}\d{6,10}(?![^\W_]))",
    # Numbers of somebody, behind what says so.
    # The bed of a tumour is none of a ward.
    r"(?<!tumor )(?<!tumour )"
    + _OF
    + rf"[ .:#=_-]{{0,3}}(?:{_NUMBER_SIGN}[ .:#=-]{{0,3}})?{_CODE}",
    ALONE
    + "(?:licen[cs]e|number) "
    + said("plate")
    + r":? (?:[a-z]{1,3}[ -])?(?=[a-z]{0,3} ?\d)[a-z\d]{1,8}(?: \d{1,4})?",
    said("last") + r"[ -]?4(?![^\W_])\D{0,3}\d{4}(?!\d)",
    _PATIENT + rf"[ .:_]{{0,2}}{_NUMBER_SIGN}[ .:#=_-]{{0,3}}{_CODE}",
    # Addresses of machines; versions begin with fewer digits.
    r"(?<![\d.])\d{2,3}" + sign(".") + r"\d{1,3}\.\d{1,3}\.\d{1,3}(?!\d|\.\d)",
    # In hexadecimal digits, too.
    r"(?<![^\W_])(?<!:)[0-9a-f]{1,4}"
    + sign(":")
    + r":?(?:[0-9a-f]{1,4}:{1,2}){2,6}[0-9a-f]{1,4}(?![^\W_])(?!:)",
    # Postal codes of the United Kingdom and Canada, and behind the sign of a country.
    r"(?-i:(?<![^\W_])(?:(?:[A-Z]{2}\d[A-Z\d]?|[BEGMNW]\d{1,2}[A-Z]?) \d[ABD-HJLNP-UW-Z]{2}"
    r"|(?:[a-z]{2}\d[a-z\d]?|[begmnw]\d{1,2}[a-z]?) \d[abd-hjlnp-uw-z]{2}"
    # And of Poland, before a town.
    r"|(?<!-)\d\d-\d{3}(?= [A-ZĄĆĘŁŃÓŚŹŻ\0][a-ząćęłńóśźż])"
    # L and S are vertebrae, too, of which some are the 2ND.
    r"|[LS]\d{1,2}[A-Z]? \d(?!ST|ND|RD|TH|MM|CM)[ABD-HJLNP-UW-Z]{2}"
    r"|[ABCEGHJ-NPRSTVXY]\d[A-Z] \d[A-Z]\d|(?:A|D|CH|F|I|DK|PL|CZ|SK|FIN)-\d{4,5})(?![^\W_]))",
    said("flat apt apartment whg wohnung appt piso") + r"[ _]?#?\d{1,4}[a-z]?" + _ENDS,
)

# Days in any order, with years of the eras that are in use; versions, sizes and the like have other
# numbers in them.
_D: Final = r"(?:[0-2]?\d|3[01])"
_M: Final = r"(?:0?\d|1[0-2])"
_Y: Final = r"(?:\d\d|1[01]\d|1[3489]\d\d|2[05]\d\d)"
_IN_DIGITS: Final = tuple(
    rf"(?<!\d){first}([-./]){second}\1{third}(?!\d)"
    for first, second, third in ((_D, _M, _Y), (_M, _D, _Y), (_Y, _M, _D))
)

# Ages above 89, and days: they are nobody's name, nor stands one beside them more than elsewhere.
DAYS: Final = Forms(
    *_AGES,
    either(
        rf"(?<!{LETTER})[mfwhk] ?" + sign("/") + rf" ?{_OLD_NUMBER}(?!\d)",
        _OLD + " ?" + sign("/") + rf" ?[mfwhk](?!{LETTER})",
    ),
    # Not yttrium and technetium.
    ALONE + r"9[1-9] ?" + said("y"),
    # Initials that are gone (YO) may have been `yo`.
    _OLD + r"(?: ?y\.?,?)?(?=[ \0]{0,3}" + _ADULT + ")",
    r"(?-i:" + ALONE + r"(?!99 ?M)9\d ?" + said("M F") + ")",
    # Above 99: at the begin, before what brings her; of no fever, and nothing that is counted.
    r"(?-i:\A1[01]\d ?"
    + said("M F")
    + r")(?= [a-z]|, )(?!,? (?:fever|febrile|temp|voxels|pixels|counts|oral|rectal|degrees))",
    # Dates: with a year of four digits or of two, with month names, and as in DICOM.
    r"(?<!\d)\d{2,4} ?" + said("年 년") + r" ?\d{1,2} ?[月월](?: ?\d{1,2} ?[日일])?",
    *_IN_DIGITS,
    rf"(?<!\d)\d{{1,2}}\.?[ _-]?{_MONTH}\.?,?[ _-]?\d{{2,4}}(?!\d)",
    rf"(?<![^\W\d_]){_MONTH}\.?[ _-]?\d{{1,2}}(?:st|nd|rd|th)?"
    r"(?:,?[ -]{1,3}\d{4}|-\d{2})(?!\d)",
    r"(?<!\d)\d{1,2}" + said("st nd rd th") + rf" (?:of )?{_MONTH}(?!{LETTER})",
    r"(?<!\d)(?:19|20)\d{2}(?:[-./]\d{1,3}|_\d{1,2}_\d{1,2})(?!\d)",
    # But for a value of a diffusion, and what a compression is called.
    r"(?<!\d)(?:\d{1,2}_\d{1,2}_)?(?!(?<=\bb)2000|(?<=\bb[ =_])2000|(?<=jpeg[ -])2000)"
    r"(?:19|20)\d{2}(?!\d)",
    # Without a year: with a zero that no fraction has, as in German, and behind a weekday.
    r"(?<![\d./])"
    + either(
        "0[1-9]" + sign("/") + r"[0-3]?\d",
        r"(?:[12]?\d|3[01])" + sign("/") + "0[1-9]",
    )
    + r"(?![\d/])",
    # Nor behind what is measured, at the end of a sentence.
    r"(?<![\d.])(?:0?[1-9]|[12]\d|3[01])" + sign(".") + rf"(?:0?[1-9]|1[0-2])\.(?!\d){_NO_VALUE}",
    # No size or field strength is a day.
    _SAYS_DAY + r":? \d{1,2}([-./])\d{1,2}(?!\d| ?%| ?(?:[cm]?m|t|kg|m[gl]|c?gy|x)(?![^\W_]))",
    # Not in capitals, in which months are abbreviations, too.
    said("on since until till from before after")
    + rf" {_CAPITALISED_MONTH}"
    + r"\.? (?:[12]?\d|3[01])(?:st|nd|rd|th)?(?![\d.]| ?[cm]m)",
    r"(?<!\d)\d{1,2}" + sign(":") + r"\d{2}(?::\d{2})?(?!\d)",
)

# What is told where these are gone.
BEHIND_DAYS: Final = Forms(
    # Phone numbers, and addresses of machines, in groups of digits with points.
    r"(?<![\d.])\d{2,5}" + sign(".") + r"\d{2,5}(?:\.\d{2,5}){1,5}(?!\d|\.\d)",
    either(
        # Soft tissue in a plane is no street.
        ALONE
        + r"(?<!\d[.,])\d{1,5}[a-z]? {1,3}(?!(?:ax|axial|cor|coronal|sag|sagittal|tra) st(?!\.))"
        + r"(?:(?:[^\W\d_]{1,40}|\d{1,3}(?:st|nd|rd|th)) {1,3}){1,2}"
        + _STREET,
        ALONE + r"\d{1,3}(?:st|nd|rd|th) " + _STREET,
    )
    + r"\.?",
    # Extensions and pagers, and what is in groups as a number of somebody.
    said(
        "tel tél phone fax pager pgr beeper bleep ext extension durchwahl dect poste nst klappe "
        "anexo interno toestel tlf доб вн 内線 内线 分机 내선"
    )
    + r"[ .:#_-]{0,4}\d{3,6}(?![ ()/.-]{0,2}\d)",
    # Not the values of a diffusion.
    said("dw") + r"[ .:_-]{1,3}(?!\d{1,3}[05]0(?!\d))\d{3,5}(?!\d)",
    rf"{ALONE}(?<!-)(?=[a-z\d-]{{0,20}}\d[a-z]+\d)(?:{_GROUP}-){{2,4}}{_GROUP}{_ENDS}(?!-)",
)

# What is left of numbers where dates and phone numbers are gone: with zeros before them, as no
# size has, and as those of people in trials are.
NUMBERS: Final = Forms(
    rf"(?<![^\W_])(?<!\d[-.,/])(?:{_NO_TRIAL}0\d{{3,}}(?![.,]\d)|"
    r"(?:0\d{1,3}[-/]\d{3,6}|\d{2,5}-0\d{2,5}"
    r"|\d{2,4}[_-](?-i:[A-Z])[_-]\d{3,5})(?![^\W_]|-\d)|\d{3} 0\d(?![\d.,]))"
)

# Where a word that no vocabulary has is somebody's name: behind what announces it, joined to a
# title, before what somebody is, and before an initial.
ANNOUNCED: Final = Forms(
    _ANNOUNCES + rf"[.:=]{{0,2}} {{0,2}}{ALONE}{_NAMES}",
    # By itself: many texts have a C in them.
    said("c") + rf"/o:? {{1,2}}{_NAMES}(?:, ({_NAME}))?",
    rf"(?<!{LETTER})(?<!\d)dr([^\W\d_]{{4,40}})",
    rf"{ALONE}({_NAME}),? "
    + either(
        said("md phd rn np facr frcr mbbs rdms cnmt"),
        said("m ph") + r"\.d",
        said("pa") + "-c",
        said("rt") + r"\(r\)",
    )
    + r"(?![^\W_])",
    rf"{ALONE}({_NAME})"
    + either(
        " " + said("proto"),
        r"['\u2019]s? " + said("pt pat patient clinic proto protocol preset list"),
    ),
    # Institutions of which no vocabulary has what they are called.
    rf"{ALONE}(?:({_NAME}) )?({_NAME}) "
    + said(
        "hospital clinic hospice infirmary klinikum krankenhaus ziekenhuis sykehus sjukhus "
        "lasarett sygehus sairaala nemocnice kórház szpital clinique ospedale"
    ),
    said(
        "klinikum krankenhaus ospedale szpital nemocnice clínica clinica hôpital больница лікарня "
        "νοσοκομείο κλινική מרכז مستشفى بیمارستان"
    )
    + rf" ({_NAME})(?: ({_NAME}))?",
    r"([\u30a1-\u30fe\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]{2,8})"
    + said("医院 病院 醫院 クリニック 診療所 诊所 병원 의원 의료원"),
    rf"{ALONE}({_NAME})" + either(sign(",") + r" ?[^\W\d_](?:\.|$)", sign("^") + r"(?=[^\W\d_])"),
)

# All of a text: two words, neither of which any vocabulary has.
LISTED: Final = Forms(rf"^\s*({_NAME})" + sign(",") + rf" ?({_NAME})\s*$")
