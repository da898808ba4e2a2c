"""Resource names and the cascade."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profile_service.errors import InvalidNameError
from profile_service.hierarchy import (
    TARGETS,
    Kind,
    Level,
    LevelVerdict,
    Outcome,
    Resolution,
    Verdict,
    cascade,
    parse_name,
)
from profile_service.language import Violation
from profile_service.model import Decision, ProfileVersion

IDS = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", fullmatch=True)


@given(IDS, IDS, IDS)
def test_every_legal_id_makes_a_name_of_each_kind(site: str, group: str, project: str) -> None:
    """Any ids of the documented form make names, whose kind and parent are known."""
    names = {
        f"sites/{site}": (Kind.SITE, None),
        f"sites/{site}/groups/{group}": (Kind.GROUP, f"sites/{site}"),
        f"sites/{site}/groups/{group}/projects/{project}": (
            Kind.PROJECT,
            f"sites/{site}/groups/{group}",
        ),
        f"sites/{site}/devices/{group}": (Kind.DEVICE, f"sites/{site}"),
    }
    for text, (kind, parent) in names.items():
        name = parse_name(text, field="name")
        assert (str(name), name.kind, name.parent, name.site) == (
            text,
            kind,
            parent,
            f"sites/{site}",
        )


@given(st.text(alphabet="sites/groupdvcj.-_A\n\0 \u0661%", max_size=40))
def test_no_other_text_is_a_name(text: str) -> None:
    """A text is a name exactly when each of its parts has the documented form."""
    one = "[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"
    legal = re.compile(
        rf"sites/{one}|sites/{one}/groups/{one}|sites/{one}/groups/{one}/projects/{one}"
        rf"|sites/{one}/devices/{one}"
    )
    if legal.fullmatch(text):
        assert parse_name(text, field="name").text == text
    else:
        with pytest.raises(InvalidNameError):
            parse_name(text, field="name")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sites",
        "sites/",
        "/sites/a",
        "sites/a/",
        "sites//groups/g",
        "sites/..",
        "sites/a/groups/..",
        "sites/a/../b",
        "sites/.a",
        "sites/a.",
        "sites/A",
        "sites/a b",
        "sites/a\n",
        "sites/\u0661",
        "sites/" + "a" * 64,
        "sites/a/projects/p",
        "sites/a/groups/g/devices/d",
        "sites/a/devices/d/projects/p",
        "sites/a/profile",
        "groups/g",
    ],
)
def test_malformed_names_are_refused(text: str) -> None:
    """What is no name, or a trick with one, is refused without being repeated."""
    with pytest.raises(InvalidNameError) as caught:
        parse_name(text, field="container.name")
    assert caught.value.field == "container.name"
    assert caught.value.message.startswith("container.name: must be sites/{site} or ")


def test_a_name_must_be_of_a_kind_that_fits() -> None:
    """Where only targets are wanted, a site is no name, and the message says what is."""
    with pytest.raises(InvalidNameError) as caught:
        parse_name("sites/a", field="target", kinds=TARGETS)
    assert "sites/{site}/devices/{device};" in caught.value.message
    assert "must be sites/{site} or" not in caught.value.message


PROBLEM = Violation("UNKNOWN_KEYWORD", "dicom.fields[0].name", 3, 9, "No such keyword.")


def attached(container: str, kind: str) -> ProfileVersion | None:
    """Returns what a letter of the table stands for."""
    if kind == "-":
        return None
    decision = Decision("1", kind == "blank", (PROBLEM,) if kind == "bad" else (), ())
    return ProfileVersion(
        container_id=7,
        container=container,
        version=3,
        sha256=hashlib.sha256(container.encode()).digest(),
        decision=decision,
        create_time=datetime(2026, 1, 1, tzinfo=UTC),
        etag="7-3",
        source="...",
    )


# What project, group and site have attached; the outcome, and the three verdicts.
S, A, I, N = "SELECTED", "ABSENT", "INVALID", "NOT_CONSULTED"  # noqa: E741
PROJECTS = [
    ("ok ok ok", "PROFILE", (S, N, N)),
    ("ok - -", "PROFILE", (S, N, N)),
    ("blank ok ok", "PROFILE", (S, N, N)),
    ("- ok ok", "PROFILE", (A, S, N)),
    ("- - ok", "PROFILE", (A, A, S)),
    ("bad ok ok", "PROFILE", (I, S, N)),
    ("bad bad ok", "PROFILE", (I, I, S)),
    ("bad - ok", "PROFILE", (I, A, S)),
    ("- bad ok", "PROFILE", (A, I, S)),
    ("- - -", "NO_VALID_PROFILE", (A, A, A)),
    ("bad bad bad", "NO_VALID_PROFILE", (I, I, I)),
    ("bad - -", "NO_VALID_PROFILE", (I, A, A)),
    ("- - bad", "NO_VALID_PROFILE", (A, A, I)),
]
NAMES = ("sites/s/groups/g/projects/p", "sites/s/groups/g", "sites/s")


@pytest.mark.parametrize(("have", "outcome", "verdicts"), PROJECTS)
def test_the_nearest_valid_profile_applies(
    have: str, outcome: str, verdicts: tuple[str, ...]
) -> None:
    """Project before group before site; absent and invalid levels are skipped, with reasons."""
    profiles = [attached(name, kind) for name, kind in zip(NAMES, have.split(), strict=True)]
    levels = [Level(name, profile) for name, profile in zip(NAMES, profiles, strict=True)]
    selected = profiles[verdicts.index(S)] if S in verdicts else None
    assert cascade(levels, enforced=True) == Resolution(
        Outcome[outcome],
        selected,
        tuple(
            LevelVerdict(
                name,
                Verdict[verdict],
                3 if verdict in {S, I} else 0,
                (PROBLEM,) if verdict == I else (),
            )
            for name, verdict in zip(NAMES, verdicts, strict=True)
        ),
    )


# The same, with an exclamation mark behind what is locked.
O = "OVERRIDDEN_BY_LOCK"  # noqa: E741
LOCKED = [
    ("ok ok ok!", "PROFILE", (O, O, S)),
    ("blank - ok!", "PROFILE", (O, O, S)),
    ("ok ok! ok", "PROFILE", (O, S, N)),
    ("ok ok! ok!", "PROFILE", (O, O, S)),
    ("ok -! ok", "PROFILE", (O, A, S)),
    ("ok bad! ok", "PROFILE", (O, I, S)),
    # Fail closed: what is locked and says nothing valid lets nothing below speak for it.
    ("ok ok -!", "NO_VALID_PROFILE", (O, O, A)),
    ("ok ok bad!", "NO_VALID_PROFILE", (O, O, I)),
    ("ok -! -", "NO_VALID_PROFILE", (O, A, A)),
]


@pytest.mark.parametrize(("have", "outcome", "verdicts"), LOCKED)
def test_levels_below_a_lock_are_skipped(
    have: str, outcome: str, verdicts: tuple[str, ...]
) -> None:
    """From the topmost lock on the cascade goes as ever, and what is below does not count."""
    levels = [
        Level(name, attached(name, kind.rstrip("!")), kind.endswith("!"))
        for name, kind in zip(NAMES, have.split(), strict=True)
    ]
    found = cascade(levels, enforced=True)
    assert found.outcome == Outcome[outcome]
    assert tuple(level.verdict.name for level in found.levels) == verdicts
    selected = levels[verdicts.index(S)].profile if S in verdicts else None
    assert found.profile is selected
    off = cascade(levels, enforced=False)
    assert {level.verdict for level in off.levels} == {Verdict.NOT_CONSULTED}


@pytest.mark.parametrize("have", ["ok ok ok", "bad bad bad", "- - -"])
def test_disabled_enforcement_consults_nothing(have: str) -> None:
    """With the switch of the site off, no level is looked at, whatever is attached."""
    levels = [
        Level(name, attached(name, kind)) for name, kind in zip(NAMES, have.split(), strict=True)
    ]
    assert cascade(levels, enforced=False) == Resolution(
        Outcome.DISABLED,
        None,
        tuple(LevelVerdict(name, Verdict.NOT_CONSULTED) for name in NAMES),
    )
