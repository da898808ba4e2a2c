"""What is inserted at one level: what becomes of elements that are absent."""

from __future__ import annotations

from deid_service.engine.encoding.tags import PATIENT_AGE
from deid_service.engine.rules.chains import Chain
from deid_service.engine.rules.ops import Insertion
from deid_service.engine.rules.reach import Reach, items_made
from deid_service.engine.rules.selection import Active, empties, last_of, removes
from profile_service.language.model import Element, PrivateElement


def find_insertions(reach: Reach) -> dict[int, Insertion]:
    """Returns what is inserted of public elements, by tag."""
    candidates = set()
    for active in reach.actives:
        path = active.path
        if path is None or (active.anywhere and not reach.top):
            continue
        element = (
            path.element if active.depth == len(path.parents) else path.parents[active.depth][0]
        )
        if isinstance(element, Element) and active.inserts:
            candidates.add(element.tag)
    if reach.top and reach.rules.profile.computes_age:
        candidates.add(PATIENT_AGE)
    return {tag: made for tag in candidates if (made := insertion(reach, tag)) is not None}


def insertion(reach: Reach, tag: int) -> Insertion | None:
    """Returns what an absent public element becomes, or None: it stays absent."""
    rules, _ = reach.selecting(tag, None, None)
    settings = reach.rules.profile.settings
    wanted = items_made(reach.into(tag, None, last_of(rules, empties)))
    if wanted or _is_emptied(reach, tag, rules):
        return Insertion("", names=("replace-with",), items=wanted)
    chain = Chain(settings, present=False)
    aged = Chain(settings, present=True)
    for active in rules:
        inserts = reach.top or not active.anywhere
        chain.add(active.rule, inserts=inserts)
        aged.add(active.rule, inserts=inserts)
    if chain.constant is not None:
        return chain.insertion(chain.constant)
    if not (reach.top and tag == PATIENT_AGE and reach.rules.profile.computes_age):
        return None
    if aged.drop is not None:
        return None
    return Insertion(aged.constant, tuple(aged.steps), tuple(aged.names), with_age=True)


def _is_emptied(reach: Reach, tag: int, rules: list[Active]) -> bool:
    """Whether items are made in an absent sequence that a later rule empties."""
    removed = last_of(rules, removes)
    return last_of(rules, empties) > removed and bool(items_made(reach.into(tag, None, removed)))


def find_private_insertions(reach: Reach) -> dict[int, list[tuple[PrivateElement, Insertion]]]:
    """Returns what is inserted into private blocks, by group."""
    found: dict[int, list[tuple[PrivateElement, Insertion]]] = {}
    seen = set()
    for active in reach.actives:
        path = active.path
        if path is None or active.depth < len(path.parents) or not active.inserts:
            continue
        element = path.element
        if not isinstance(element, PrivateElement) or element in seen:
            continue
        if active.anywhere and not reach.top:
            continue
        seen.add(element)
        chain = Chain(reach.rules.profile.settings, present=False)
        tag = element.group << 16 | 0x1000 | element.offset
        for selecting in reach.selecting(tag, element.creator, None)[0]:
            chain.add(selecting.rule)
        if chain.constant is not None:
            made = chain.insertion(chain.constant)
            found.setdefault(element.group, []).append((element, made))
    for entries in found.values():
        entries.sort(key=lambda entry: (entry[0].creator, entry[0].offset))
    return found
