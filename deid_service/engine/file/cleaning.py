"""What texts of a file are cleaned with: whom it is about, as the memo of such files."""

from __future__ import annotations

from deid_service.engine.file.people import people_along
from deid_service.engine.layouts.trails import Trails
from deid_service.engine.rules.memo import Memo
from deid_service.engine.rules.profile import CompiledProfile
from deid_service.engine.texts.cleaner import Cleaner
from deid_service.engine.texts.earlier import Earlier
from deid_service.engine.texts.identity import Identity


def cleaner_for(
    identity: Identity, profile: CompiledProfile, memo: Memo, earlier: Earlier | None
) -> Cleaner:
    """Returns what cleans the texts of files about the same people.

    Args:
        identity: what a file shows of them; joined by what earlier files have shown.
        profile: that the files are treated by.
        memo: of the stream.
        earlier: what earlier files have shown; None where that is not asked.
    """
    if earlier is not None:
        earlier.join(identity)
    identity.harmless = profile.vocabulary.terms
    identity.listed = memo.listed
    identity.hides_uids = profile.hides_uids
    return Cleaner(profile.vocabulary, identity)


def memo_along(
    trails: Trails,
    data: bytes,
    position: int,
    end: int,
    profile: CompiledProfile,
    memo: Memo,
    earlier: Earlier | None,
) -> Memo | None:
    """Learns along a trail whom a file is about.

    Args:
        trails: of files with its file meta.
        data: the input.
        position: where the data set begins in it.
        end: how far it may be looked at.
        profile: that the file is treated by.
        memo: of the stream.
        earlier: as above.

    Returns:
        The memo of files about the same people; None where the file has no trail.
    """
    found = trails.follow(data, position, end)
    if found is None:
        return None
    trail, elements = found
    # Of other earlier files, another is meant.
    known = (found, None if earlier is None else earlier.version)
    of_people = memo.along(known)
    if of_people is None:
        identity = people_along(trail, elements)
        of_people = memo.of(cleaner_for(identity, profile, memo, earlier), known)
    return of_people
