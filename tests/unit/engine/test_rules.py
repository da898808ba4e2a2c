"""Which elements rules select, in which order they act, and what the settings do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.engine.build import SYNTAXES, dicom, el, encode, header, item_header, sq
from tests.support.engine.every_way import (
    deidentified,
    every_way,
    plan_of,
    rejected,
    values_of,
)
from tests.support.engine.walk import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.engine.build import Part
    from tests.support.engine.walk import Syntax

CREATOR = "GEMS_IDEN_01"
HASH_OF_1CT1 = "1c3ee9adf6f95ec4"


def check(
    before: Sequence[Part],
    wanted: Sequence[Part],
    *rules: str,
    syntax: Syntax = SYNTAXES["explicit"],
    **settings: Any,
) -> None:  # fmt: skip
    """Compares the data set after some rules with the one that is wanted."""
    output = deidentified(dicom(*before, syntax=syntax), plan_of(*rules, **settings))
    assert b"".join(each.raw for each in read_file(output).elements) == encode(wanted, syntax)


# --- order ---


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (["replace-with: 1CT1", "hash: true"], HASH_OF_1CT1),
        (["hash: true", "replace-with: 1CT1"], "1CT1"),
        (["remove: true", "replace-with: 1CT1"], "1CT1"),
        (["replace-with: 1CT1", "remove: true"], None),
        (["remove: true", "hash: true"], None),
        (["remove: true", "replace-with: 1CT1", "hash: true"], HASH_OF_1CT1),
        (["keep: true", "remove: true"], None),
        (["replace-with: ''", "hash: true"], ""),
        (["remove: true", "replace-with: X, replace-with-insert: false"], None),
        (["hash: true", "hash: true"], "b9411ade6e1dd780"),
    ],
)
def test_a_later_rule_sees_what_an_earlier_one_left(rules: list[str], wanted: str | None) -> None:
    """Rules on one element act one after the other, in the order written."""
    left: list[Part] = [] if wanted is None else [el("PatientID", wanted)]

    check([el("PatientID", "1CT1")], left, *(f"name: PatientID, {rule}" for rule in rules))


def test_regex_subs_run_first_the_last_of_them_first() -> None:
    """The regex-sub rules run before the others, from the last to the first."""
    check(
        [el("PatientID", "a")],
        [el("PatientID", "abcd")],
        "name: PatientID, regex-sub: [{input-regex: 'ab$', output: abc}]",
        "name: PatientID, regex-sub: [{input-regex: 'a$', output: ab}]",
        "regex: PatientID, regex-sub: [{input-regex: 'a', output: a}]",
        "name: StudyID, remove: true",
        "name: PatientID, replace-with: abcd",
    )


def test_what_a_regex_sub_makes_can_be_replaced() -> None:
    """A replace-with that stands before a regex-sub runs after it."""
    check(
        [el("PatientID", "a")],
        [el("PatientID", "b")],
        "name: PatientID, replace-with: b",
        "name: PatientID, regex-sub: [{input-regex: '[ab]', output: c}]",
    )


# --- recursion ---


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_recursion_acts_once_at_every_depth(syntax: Syntax, undefined: bool) -> None:
    """With recurse-sequence each element is transformed once, and nothing inserted below."""

    def data(value: str) -> list[Part]:
        inner = sq("ReferencedSeriesSequence", [el("PatientID", value)], [], undefined=undefined)
        return [
            sq("ReferencedStudySequence", [el("PatientID", value), inner], undefined=undefined),
            el("PatientID", value),
        ]

    check(data("1CT1"), data(HASH_OF_1CT1), "name: PatientID, hash: true",
          syntax=syntax, recurse_sequence="true")  # fmt: skip
    check(
        [sq("ReferencedStudySequence", [el("Rows", (1,))], undefined=undefined)],
        [
            sq("ReferencedStudySequence", [el("Rows", (1,))], undefined=undefined),
            el("PatientID", "X"),
        ],
        "name: PatientID, replace-with: X",
        syntax=syntax,
        recurse_sequence="true",
    )


def test_what_is_removed_at_depth_is_not_inserted_there_again() -> None:
    """Below the top level a replace-with only replaces what is there."""
    name = el("PatientName", "A")

    check(
        [sq("ReferencedStudySequence", [name]), name],
        [sq("ReferencedStudySequence", []), el("PatientName", "X")],
        "name: PatientName, remove: true",
        "name: PatientName, replace-with: X",
        recurse_sequence="true",
    )


def test_without_recursion_only_the_top_level_is_meant() -> None:
    """A rule without a path leaves the items of sequences alone."""
    inner = sq("ReferencedStudySequence", [el("PatientID", "1CT1")])

    check([inner, el("PatientID", "1CT1")], [inner], "name: PatientID, remove: true")


@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_in_un_are_reached(undefined: bool) -> None:
    """The items of a UN are in implicit VR, and are de-identified as any others."""

    def data(value: str) -> list[Part]:
        return [
            sq("ReferencedStudySequence", [el("PatientID", value)], undefined=undefined, vr="UN")
        ]

    check(data("1CT1"), data(HASH_OF_1CT1), "name: PatientID, hash: true", recurse_sequence="true")


@pytest.mark.parametrize("vr", ["SQ", "UN"])
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_sequences_that_no_dictionary_knows_are_reached(vr: str, syntax: Syntax) -> None:
    """A private sequence shows itself by its first item, whatever VR it has."""

    def data(value: str) -> list[Part]:
        return [
            el(0x00090010, "ACME", "LO"),
            sq(0x00091001, [el("PatientID", value)], [el("PatientID", value)], vr=vr),
        ]

    check(data("1CT1"), data(HASH_OF_1CT1), "name: PatientID, hash: true",
          syntax=syntax, recurse_sequence="true")  # fmt: skip


# --- paths ---


def items(*values: str | None) -> Part:
    """Returns Other Patient IDs, an item for each value; None for one without."""
    return sq(
        "OtherPatientIDsSequence",
        *([] if value is None else [el("PatientID", value)] for value in values),
    )


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("OtherPatientIDsSequence.1.PatientID, replace-with: X",
         items("a", "b", "c"), items("a", "X", "c")),
        ("OtherPatientIDsSequence.*.PatientID, replace-with: X",
         items("a", None), items("X", None)),
        ("00101002.*.00100020, hash: true", items("1CT1", None, "1CT1"),
         items(HASH_OF_1CT1, None, HASH_OF_1CT1)),
        ("OtherPatientIDsSequence.0.PatientID, remove: true", items("a", "b"), items(None, "b")),
        ("OtherPatientIDsSequence.1.PatientID, replace-with: X", items("a"), items("a", "X")),
        ("OtherPatientIDsSequence.2.PatientID, replace-with: X", items(), items(None, None, "X")),
        ("OtherPatientIDsSequence.0.PatientID, replace-with: ''", items(None), items("")),
        ("OtherPatientIDsSequence, replace-with: ''", items("a", "b"), items()),
        ("OtherPatientIDsSequence.5.PatientID, hash: true", items("a"), items("a")),
    ],
)  # fmt: skip
def test_nested_paths(rule: str, before: Part, after: Part, syntax: Syntax) -> None:
    """A path reaches the item that it counts to, or each; a missing indexed one is made."""
    check([before], [after], f"name: {rule}", syntax=syntax)


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_a_missing_path_is_made_where_it_belongs(syntax: Syntax) -> None:
    """An absent sequence of a path with indices is inserted in the order of tags."""
    made = sq(
        "OtherPatientIDsSequence",
        [],
        [sq("IssuerOfPatientIDQualifiersSequence", [el("UniversalEntityID", "X")])],
    )

    check(
        [el("PatientName", "A"), el("PatientAge", "042Y")],
        [el("PatientName", "A"), made, el("PatientAge", "042Y")],
        "name: OtherPatientIDsSequence.1.IssuerOfPatientIDQualifiersSequence.0.UniversalEntityID, "
        "replace-with: X",
        syntax=syntax,
    )
    check([el("PatientName", "A")], [el("PatientName", "A")],
          "name: OtherPatientIDsSequence.*.PatientID, replace-with: X", syntax=syntax)  # fmt: skip


def test_several_rules_in_one_sequence() -> None:
    """Rules with an index and rules for every item act in their order."""
    check(
        [items("a", "b")],
        [items("Y", "X")],
        "name: OtherPatientIDsSequence.*.PatientID, replace-with: X",
        "name: OtherPatientIDsSequence.0.PatientID, replace-with: Y",
    )
    check(
        [items("a", "b")],
        [items("Y")],
        "name: OtherPatientIDsSequence, replace-with: ''",
        "name: OtherPatientIDsSequence.0.PatientID, replace-with: Y",
    )
    check(
        [items("a", "b")],
        [],
        "name: OtherPatientIDsSequence.0.PatientID, replace-with: Y",
        "name: OtherPatientIDsSequence, remove: true",
    )


@pytest.mark.parametrize("vr", ["SQ", "UN"])
def test_a_sequence_that_is_emptied_and_filled_again(vr: str) -> None:
    """New items have the encoding that the VR of their sequence demands."""
    name = "OtherPatientIDsSequence"

    check(
        [sq(name, [el("PatientID", "a")], [el("PatientName", "b")], vr=vr)],
        [sq(name, [el("PatientID", "X")], vr=vr)],
        f"name: {name}, replace-with: ''",
        f"name: {name}.0.PatientID, replace-with: X",
    )


def test_a_regex_that_passes_over_a_sequence_leaves_what_is_inserted_in_it() -> None:
    """A value action does nothing to a sequence, and so nothing to a path that leads into it."""
    path = "ReferencedStudySequence.0.OtherPatientIDsSequence.0.StudyID"
    made = sq("OtherPatientIDsSequence", [el("StudyID", "X")])

    check(
        [sq("ReferencedStudySequence", [])],
        [sq("ReferencedStudySequence", [made])],
        f"name: {path}, replace-with: X",
        "regex: '00081110.0.00101002$', replace-with: Y",
    )


def test_repeating_groups() -> None:
    """A rule on a repeating group acts on every group of the range, and on no private one."""
    curves = [el(0x50000005, (1,), "US"), el(0x50020005, (1,), "US")]
    others = [el(0x50010005, (1,), "US"), el(0x50020010, (1,), "US")]

    check(
        [curves[0], others[0], curves[1], others[1]],
        others,
        "name: '50XX0005', remove: true",
    )
    check([el(0x60003000, b"ab", "OW"), el(0x60023000, b"ab", "OW")], [],
          "name: '(60xx, 3000)', remove: true")  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "removed"),
    [
        ("PatientID", {"PatientID"}),
        ("Patient", {"PatientID", "PatientName"}),
        ("ID", set()),
        (".*ID$", {"PatientID", "first", "second"}),
        ("(?!PatientID)Patient", {"PatientName"}),
        ("00100010", {"PatientName"}),
        ("001000", {"PatientID", "PatientName"}),
        (r"OtherPatientIDsSequence\.1", {"second"}),
        (r"00101002\.0\.00100020", {"first"}),
        (r".*\.PatientID", {"first", "second"}),
    ],
)
def test_regexes_match_paths_from_the_start(pattern: str, removed: set[str]) -> None:
    """A regular expression is tried on the keyword path and on the hex path."""

    def left(name: str, part: Part) -> list[Part]:
        return [] if name in removed else [part]

    name, number = el("PatientName", "A"), el("PatientID", "B")
    item = el("PatientID", "C")
    sequence = sq("OtherPatientIDsSequence", left("first", item), left("second", item))

    check(
        [name, number, sq("OtherPatientIDsSequence", [item], [item])],
        [*left("PatientName", name), *left("PatientID", number), sequence],
        f"regex: '{pattern}', remove: true",
    )


def test_a_regex_removes_sequences_and_does_not_transform_them() -> None:
    """Value actions skip sequences that a regular expression matches; remove takes them."""
    check([items("a")], [items("a")], "regex: OtherPatientIDsSequence$, hash: true")
    check([items("a")], [], "regex: OtherPatientIDsSequence$, remove: true")


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        (".*PatientName", ["private", "unknown", "public"]),
        (r"20011000\.0\.PatientName", ["private"]),
        (r"20011000\.0\.00100010", ["private"]),
        (r"0072abcd\.1\.OtherPatientIDsSequence\.0\.PatientName", ["unknown"]),
        (r"OtherPatientIDsSequence\.0\.20011000\.0\.PatientName", ["public"]),
        (r"OtherPatientIDsSequence\.0\.00100010", []),
    ],
)
def test_regexes_reach_below_what_has_no_keyword(
    pattern: str, parts: list[str], syntax: Syntax
) -> None:
    """In a keyword path, a private or unknown sequence stands as its hex tag."""
    block = el(0x20010010, "Philips Imaging DD 129", "LO")

    def data_set(left: list[str]) -> list[Part]:
        def name(place: str) -> list[Part]:
            return [el("PatientName", "Doe")] if place in left else []

        public: list[Part] = [block, sq(0x20011000, name("public"))]
        unknown = sq("OtherPatientIDsSequence", name("unknown"))
        return [
            sq("OtherPatientIDsSequence", public),
            sq(0x0072ABCD, [el("PatientID", "7")], [unknown]),
            block,
            sq(0x20011000, name("private")),
        ]

    places = ["private", "unknown", "public"]
    left = [place for place in places if place not in parts]
    check(data_set(places), data_set(left), f"regex: '{pattern}', remove: true", syntax=syntax)


# --- private elements ---


def block(number: int, creator: str = CREATOR, value: str = "v") -> list[Part]:
    """Returns a creator and two elements of its block."""
    return [
        el(0x00090000 | number, creator, "LO"),
        el(0x00090002 | number << 8, value, "SH"),
        el(0x00090004 | number << 8, value, "SH"),
    ]


@pytest.mark.parametrize("number", [0x10, 0x42, 0xFF])
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_private_elements_are_found_in_any_block(number: int, syntax: Syntax) -> None:
    """A private element is named by its creator, wherever the block is."""
    other = [el(0x00110010, "OTHER", "LO"), el(0x00111002, "x", "SH")]
    rule = f"name: '(0009, \"{CREATOR}\", 02)'"
    start = block(number)

    check([*start, *other], [start[0], start[2], *other], f"{rule}, remove: true", syntax=syntax)
    check([*start, *other], [start[0], el(0x00090002 | number << 8, "X", "SH"), start[2], *other],
          f"{rule}, replace-with: X", syntax=syntax)  # fmt: skip


def test_private_elements_in_several_blocks() -> None:
    """The same creator can have two blocks; a rule counts for both, and for no other's."""
    first, second, other = block(0x10), block(0x12), block(0x14, "OTHER")

    check(
        [first[0], second[0], other[0], *first[1:], *second[1:], *other[1:]],
        [first[0], second[0], other[0], first[2], second[2], *other[1:]],
        f"name: '(0009, \"{CREATOR}\", 02)', remove: true",
    )


@pytest.mark.parametrize("number", [0x10, 0x42])
@pytest.mark.parametrize("setting", ["remove_private_tags", "remove_undefined"])
def test_a_kept_private_element_keeps_its_creator(number: int, setting: str) -> None:
    """Private elements go, at every depth, but those that a rule names, with their creators."""
    name = el("PatientName", "A")
    kept, gone = block(number), block(number + 1, "OTHER")
    stray = el(0x00090001, "x", "LO")
    settings: dict[str, Any] = {setting: "true"}
    before: list[Part] = [
        stray, kept[0], gone[0], *kept[1:], *gone[1:], name,
        el(0x00190010, "ELSE", "LO"), el(0x00191001, "x", "SH"),
    ]  # fmt: skip

    check(
        before,
        [kept[0], kept[1], name],
        f"name: '(0009, \"{CREATOR}\", 02)', keep: true",
        "name: PatientName",
        **settings,
    )


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("recursion", ["true", "false"])
@pytest.mark.parametrize("name", [f'(0009, "{CREATOR}", 02)', "00091002"])
def test_private_elements_go_in_items_too(name: str, recursion: str, undefined: bool) -> None:
    """remove-private-tags counts at every depth, and so does keeping, with creators."""
    inner = block(0x10)

    def at_depth(*parts: Part) -> list[Part]:
        first = sq("OtherPatientIDsSequence", [*parts, el("PatientID", "a")], undefined=undefined)
        return [sq("ReferencedStudySequence", [*parts, first, el("PatientID", "b")])]

    check([*inner, *at_depth(*inner)], [*inner[:2], *at_depth(*inner[:2])],
          f"name: '{name}', keep: true",
          remove_private_tags="true", recurse_sequence=recursion)  # fmt: skip


@pytest.mark.parametrize("action", ["remove: true", "hash: true", "replace-with: X"])
def test_private_elements_that_a_rule_changes_stay_where_it_changes_them(action: str) -> None:
    """What a rule changes at the top level is not wanted as it is in an item."""
    inner = block(0x10)
    before = sq("ReferencedStudySequence", [*inner, el("PatientID", "a")])

    check([before], [sq("ReferencedStudySequence", [el("PatientID", "a")])],
          f"name: '(0009, \"{CREATOR}\", 02)', {action}, replace-with-insert: false"
          if action.startswith("replace") else f"name: '(0009, \"{CREATOR}\", 02)', {action}",
          remove_private_tags="true")  # fmt: skip


# --- private creators out of order ---

SECRET = el(0x00091002, "secret", "SH")
GEMS = el(0x00090010, CREATOR, "LO")
RULE = f"name: '(0009, \"{CREATOR}\", 02)'"


def in_every_place(parts: Sequence[Part]) -> Iterator[tuple[list[Part], bool]]:
    """Yields a data set with some elements at the top level, and one in an item."""
    start: list[Part] = [el("SOPInstanceUID", "1.2"), el("Modality", "CT"), el("PatientID", "7")]
    yield [*start[:2], *parts, start[2], el("Rows", (1,)), el("Columns", (1,))], False
    for undefined in (False, True):
        item = sq("OtherPatientIDsSequence", [*parts, start[2]], undefined=undefined)
        yield [*start, item, el("Rows", (1,)), el("Columns", (1,))], True


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (f"{RULE}, remove: true", {}),
        (f"{RULE}, replace-with: X", {}),
        (f"{RULE}, hash: true", {}),
        (f"{RULE}, keep: true", {"remove_private_tags": "true"}),
        (f"{RULE}, keep: true", {"remove_undefined": "true"}),
    ],
)
@pytest.mark.parametrize(
    "parts",
    [
        [SECRET, GEMS],
        [SECRET, el(0x00091003, "x", "SH"), GEMS],
        [el(0x00090010, "OTHER", "LO"), SECRET, GEMS],
        [el(0x00090010, "OTHER", "LO"), GEMS, el(0x00090010, "OTHER", "LO"), SECRET, GEMS],
    ],
    ids=["none before", "others between", "another's block", "changing"],
)
def test_a_private_creator_behind_its_elements_rejects(
    parts: list[Part], rule: str, settings: dict[str, str], syntax: Syntax
) -> None:
    """What a rule does hangs on the creator: where that comes too late, nothing is certain."""
    places = zip(in_every_place(parts), in_every_place([]), strict=True)
    for (data_set, in_item), (plain, _) in places:
        recursion = {"recurse_sequence": "true"} if in_item else {}
        plan = plan_of(rule, **settings, **recursion)
        for _ in range(4):
            assert every_way(dicom(*plain, syntax=syntax), plan).error is None

        error = rejected(dicom(*data_set, syntax=syntax), plan)

        assert error[0] == "MALFORMED"
        assert error[2] in {"(0009,0010)", "(0009,1002)"}


def test_a_private_creator_may_come_late_where_no_rule_hangs_on_it() -> None:
    """What no rule selects by its creator, or by its tag alone, comes out in any order."""
    late: list[Part] = [el(0x00091003, "x", "SH"), GEMS]
    other: list[Part] = [el(0x00111002, "x", "SH"), el(0x00110010, "ELSE", "LO")]
    name = el("PatientName", "A")

    check([*late, *other, name], [*late, *other, name], f"{RULE}, remove: true")
    check([SECRET, GEMS, name], [GEMS, name], "name: '00091002', remove: true")
    check([SECRET, GEMS, name], [SECRET, GEMS, name], "name: '00091002', keep: true",
          remove_private_tags="true")  # fmt: skip
    check([*late, *other, name], [name], f"{RULE}, keep: true", remove_private_tags="true")


@pytest.mark.parametrize("recursion", ["true", "false"])
def test_a_kept_element_does_not_stay_without_its_creator(recursion: str) -> None:
    """A block behind a later one: its creator is left out by then, and rejects the file."""
    parts = [
        GEMS, el(0x00090011, "OTHER", "LO"), el(0x00091153, "x", "SH"),
        el(0x00091002, "kept", "SH"),
    ]  # fmt: skip
    plan = plan_of(f"{RULE}, keep: true", remove_private_tags="true", recurse_sequence=recursion)
    for data_set, _ in in_every_place(parts):
        error = rejected(dicom(*data_set), plan)

        assert error[:3] == (
            "MALFORMED", "a private element stands apart from its private creator", "(0009,1002)",
        )  # fmt: skip


def test_kept_elements_of_blocks_out_of_order_stay_with_their_creators() -> None:
    """An element that keeps its creator keeps it for all of its block."""
    first = [GEMS, el(0x00090011, "OTHER", "LO"), SECRET, el(0x00091153, "x", "SH")]
    again = el(0x00091002, "again", "SH")

    check([*first, again], [GEMS, SECRET, again], f"{RULE}, keep: true", remove_private_tags="true")
    check([GEMS, SECRET, GEMS, again], [GEMS, SECRET, GEMS, again], f"{RULE}, keep: true",
          remove_private_tags="true")  # fmt: skip


def test_an_inserted_private_element_takes_the_place_of_one_out_of_order() -> None:
    """An element behind the place where its new one was inserted is left out."""
    there = [GEMS, el(0x00091007, "x", "SH"), SECRET]

    check(there, [GEMS, el(0x00091002, "X", "SH"), there[1]], f"{RULE}, replace-with: X")


def test_an_inserted_private_creator_adopts_no_elements() -> None:
    """What stands without a creator in the block that was made for a rule rejects the file."""
    orphan, other = el(0x00091004, "x", "SH"), el(0x00091002, "y", "SH")
    rule = f"{RULE}, replace-with: X"
    made = [GEMS, el(0x00091002, "X", "SH")]

    for stray in (orphan, other):
        error = rejected(dicom(stray, el("PatientName", "A")), plan_of(rule))
        assert error[:2] == ("MALFORMED", "a private element stands apart from its private creator")
        check([stray], made, rule, remove_private_tags="true")
    late = [el("PatientName", "A"), *block(0x10)]
    assert rejected(dicom(*late), plan_of(rule))[0] == "MALFORMED"
    assert rejected(dicom(late[0], *block(0x15)), plan_of(rule))[0] == "MALFORMED"


def test_a_private_element_named_by_its_tag_or_a_regex_stays() -> None:
    """Any rule that names a private element protects it, with its creator."""
    kept = block(0x10)
    for rule in ("name: '00091002', keep: true", "regex: '00091002'", "name: '00091002'"):
        check(kept, kept[:2], rule, remove_private_tags="true")


def test_an_absent_private_element_is_inserted() -> None:
    """With a VR from the private dictionary, in its creator's block or in a new one."""
    rule = f"name: '(0009, \"{CREATOR}\", 04)', replace-with: X"
    there, other = block(0x11), block(0x10, "OTHER")
    made = el(0x00091104, "X", "SH")

    check(there[:2], [*there[:2], made], rule)
    check(other, [other[0], el(0x00090011, CREATOR, "LO"), *other[1:], made], rule)
    check([el("PatientName", "A")],
          [el(0x00090010, CREATOR, "LO"), el(0x00091004, "X", "SH"), el("PatientName", "A")],
          rule)  # fmt: skip


# --- settings ---


def test_keep_protects_against_the_settings_not_against_rules() -> None:
    """A kept element survives remove-undefined, and not a rule that removes it."""
    name, number = el("PatientName", "A"), el("PatientID", "B")

    check([name, number], [name], "name: PatientName, keep: true", remove_undefined="true")
    check([name, number], [], "name: PatientName, keep: true", "name: PatientName, remove: true",
          remove_undefined="true")  # fmt: skip


def test_remove_undefined_leaves_what_rules_name_at_every_depth() -> None:
    """What no rule names goes; sequences on the way to what one names stay."""
    check(
        [
            el("SpecificCharacterSet", "ISO_IR 100"),
            el("StudyDate", "20040119"),
            sq("ReferencedStudySequence", [el("PatientID", "a")]),
            sq("OtherPatientIDsSequence", [el("PatientID", "a"), el("PatientName", "b")], []),
            el("PatientComments", "c"),
        ],
        [
            el("SpecificCharacterSet", "ISO_IR 100"),
            sq("OtherPatientIDsSequence", [el("PatientID", "a")], []),
        ],
        "name: OtherPatientIDsSequence.*.PatientID",
        remove_undefined="true",
    )


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("rule", ["regex: '.*PatientID$'", "name: PatientID"])
def test_remove_undefined_with_rules_for_every_depth(rule: str, undefined: bool) -> None:
    """A sequence stays if a rule names something in it, at whatever depth, and else goes."""
    settings: dict[str, Any] = {"remove_undefined": "true"}
    if rule.startswith("name"):
        settings["recurse_sequence"] = "true"
    deep = sq("ReferencedSeriesSequence", [el("PatientID", "a")], undefined=undefined)

    check(
        [
            sq("ReferencedStudySequence", [el("PatientName", "x"), deep], undefined=undefined),
            sq("ReferencedPatientSequence", [el("PatientName", "x")], undefined=undefined),
            el("PatientID", "a"),
        ],
        [sq("ReferencedStudySequence", [deep], undefined=undefined), el("PatientID", "a")],
        rule,
        **settings,
    )


def test_remove_undefined_takes_a_sequence_that_a_rule_has_emptied() -> None:
    """A sequence does not stay for an element inside of it that another rule removes."""
    check(
        [sq("ReferencedStudySequence", [el("StudyDate", "20040119"), el("PatientSex", "M")])],
        [],
        "name: StudyDate, remove: true",
        remove_undefined="true",
        recurse_sequence="true",
    )


def test_group_lengths() -> None:
    """A group length stays while it is right, and goes when a change has made it wrong."""
    right = el(0x00100000, (10,), "UL")
    name = el("PatientName", "AB")

    check([right, name], [right, name], "name: PatientID, remove: true")
    check([right, name], [right, el("PatientName", "XY")], "name: PatientName, replace-with: XY")
    check([right, name], [el("PatientName", "XYZ ")], "name: PatientName, replace-with: XYZ")
    check([right, name], [], "name: PatientName, remove: true")


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_length_to_end_goes(syntax: Syntax) -> None:
    """The retired (0008,0001) says how many bytes follow, which a rule makes wrong."""
    length, number = el(0x00080001, (1000,), "UL"), el("PatientID", "1CT1")
    start: list[Part] = [el("SOPInstanceUID", "1.2"), el("Modality", "CT")]
    plan = plan_of("name: PatientID, hash: true")
    data = dicom(length, *start, number, el("Rows", (1,)), syntax=syntax)

    outcome = every_way(data, plan)

    wanted = [*start, el("PatientID", HASH_OF_1CT1), el("Rows", (1,))]
    assert outcome.output.endswith(encode(wanted, syntax))
    assert 0x00080001 not in values_of(outcome.output)
    assert outcome.actions == (("hash", 1),)
    item = sq("OtherPatientIDsSequence", [length, number])
    check([item], [item], "name: PatientID, hash: true")
    check([length, number], [length, number], "name: 00080001, keep: true")


def test_insertions_go_where_they_belong() -> None:
    """Absent elements are inserted in the order of tags, around what is there."""
    there = [el("StudyDate", "20040119"), el("PatientID", "a"), el("Rows", (1,))]
    names = ["DeviceSerialNumber", "PatientName", "PatientSex", "RequestedProcedureDescription"]

    check(
        there,
        [there[0], el("PatientName"), there[1], el("PatientSex"), el("DeviceSerialNumber"),
         there[2], el("RequestedProcedureDescription")],
        *(f"name: {name}, replace-with: ''" for name in names),
    )  # fmt: skip


def test_elements_out_of_order_are_replaced_not_doubled() -> None:
    """Where an element stands behind its place, it is not there twice in the output."""
    data = dicom(el("Rows", (1,)), el("PatientID", "secret"))

    outcome = every_way(data, plan_of("name: PatientID, replace-with: X"))

    assert b"secret" not in outcome.output
    assert outcome.error is None


# --- items in another encoding ---


@pytest.mark.parametrize("vr", ["SQ", "UN"])
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [SYNTAXES["explicit"], SYNTAXES["implicit"]], ids=["ex", "im"])
@pytest.mark.parametrize(
    ("rules", "settings", "reached"),
    [
        (["name: PatientID, hash: true"], {"recurse_sequence": "true"}, True),
        (["name: OtherPatientIDsSequence.*.PatientID, hash: true"], {}, True),
        (["regex: '.*PatientID', hash: true"], {}, True),
        (["name: PatientName, hash: true"], {"recurse_sequence": "true"}, False),
        (["name: StudyID, replace-with: O"], {}, False),
    ],
)
@pytest.mark.parametrize("first", [el("PatientName", ""), el(0x0072ABCD, b"ab", "UN"), None])
def test_items_are_read_in_the_encoding_that_they_have(
    first: Part | None,
    rules: list[str],
    settings: dict[str, str],
    reached: bool,
    syntax: Syntax,
    undefined: bool,
    vr: str,
) -> None:
    """Explicit items where implicit ones are due, and the reverse, are told by their start."""
    for inner in (SYNTAXES["explicit"], SYNTAXES["implicit"]):

        def data_set(number: str, inner: Syntax = inner) -> bytes:
            parts = [*([] if first is None else [first]), el("PatientID", number)]
            deep = _sequence(encode(parts, inner), inner, "SQ", undefined=undefined)
            content = encode([*parts, deep], inner)
            around = _sequence(content, syntax, vr, undefined=undefined)
            end = [el("StudyID", "O"), el("Rows", (1,)), el("Columns", (1,))]
            return encode([el("SOPInstanceUID", "1.2"), el("Modality", "CT"), around, *end], syntax)

        data = dicom(data_set("1CT1"), syntax=syntax)

        output = deidentified(data, plan_of(*rules, **settings))

        wanted = data_set(HASH_OF_1CT1 if reached else "1CT1")
        if reached and len(rules) == 1 and "*" in rules[0] and "regex" not in rules[0]:
            # The path leads to the outer item alone.
            assert output.count(HASH_OF_1CT1.encode()) == 1
        else:
            assert output.endswith(wanted)


def _sequence(content: bytes, syntax: Syntax, vr: str, *, undefined: bool) -> bytes:
    """Encodes Other Patient IDs Sequence with one item of a given content."""
    if not undefined:
        item = item_header(0xFFFEE000, len(content)) + content
        return header(0x00101002, vr, len(item), syntax) + item
    return (
        header(0x00101002, vr, 0xFFFFFFFF, syntax)
        + item_header(0xFFFEE000, 0xFFFFFFFF)
        + content
        + item_header(0xFFFEE00D, 0)
        + item_header(0xFFFEE0DD, 0)
    )
