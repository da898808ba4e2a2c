"""Values rewritten where they stand, and the character sets that they are read in."""

from __future__ import annotations

from deid_service.engine.encoding.charsets import (
    CharacterSetError,
    UndefinedCharacterSets,
    character_sets,
)
from deid_service.engine.encoding.values import OPAQUE_VRS
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.rules.fits import MAX_BYTES, is_vouched_for
from deid_service.engine.rules.ops import (
    CharacterSet,
    Dropped,
    Fitting,
    Kept,
    Rewritten,
)
from deid_service.engine.rules.profile import CompiledProfile
from deid_service.engine.rules.rewriting import (
    Around,
    Place,
    allow_leftover,
    apply_steps,
    became,
    becomes_zeros,
    bytes_of,
    check_patient,
    constant_texts,
    count_growth,
    texts_of,
    zeros_of,
)
from deid_service.engine.walk.levels import (
    Level,
)
from deid_service.engine.walk.notes import (
    PATIENT_AGE_FROM_BIRTHDATE,
    Notes,
    given_up,
    name_of,
    outcome_of,
)
from deid_service.engine.walk.pixel_data import written
from deid_service.engine.walk.splicer import Found, Splicer


class Values:
    """Does what is done to the values of elements."""

    def __init__(self, splicer: Splicer, notes: Notes, profile: CompiledProfile) -> None:
        self._splicer = splicer
        self._notes = notes
        self._profile = profile

    def act(self, level: Level, found: Found, op: Kept | Dropped | Rewritten, place: Place) -> bool:
        """Changes the value of an element, or takes note of it; False: input is missing."""
        if not isinstance(op, Rewritten) or (op.on_error == "reject" and not op.drops_unlisted):
            return self._act(level, found, op, place)
        try:
            return self._act(level, found, op, place)
        except DicomError as error:
            outcome, name = outcome_of(op, error), name_of(error)
            if outcome == "reject":
                raise
        # Nothing of the element has been written, or counted.
        self._splicer.depend()
        self._splicer.count((name,))
        if op.final:
            self._notes.note_final(place, "")
        self._splicer.replace(level, found, given_up(level, found, outcome, place))
        return True

    def _act(
        self, level: Level, found: Found, op: Kept | Dropped | Rewritten, place: Place
    ) -> bool:
        splicer = self._splicer
        if isinstance(op, Fitting):
            return self._act_on_fitting(level, found, op, place)
        is_array = isinstance(op, Rewritten) and op.is_whole and place.vr in OPAQUE_VRS
        if is_array and found.end - found.start > MAX_BYTES:
            return splicer.pass_over(found)
        if isinstance(op, Rewritten) and becomes_zeros(op, place.vr) and not op.original:
            self._put_zeros(level, found, op, place)
            return True
        reads = op.reads_value if isinstance(op, Rewritten) else op.original or op.final
        reads = reads or (op.patient and not isinstance(op, Dropped))
        if reads and self._lacks_value(found, place):
            return False
        if op.repeatable and not isinstance(op, Dropped) and found.end <= len(splicer.buffer):
            self._become(level, found, op, place)
            return True
        texts: list[str] = []
        if op.patient and not isinstance(op, Dropped):
            value = splicer.buffer[found.start : found.end]
            check_patient(place, value, self._notes.memo.pseudonyms)
        if reads:
            texts = self._texts(level, found, place)
            if op.original:
                self._notes.note_original(place, "\\".join(texts))
        if isinstance(op, Dropped):
            splicer.drop(level, found, op.name)
            return True
        new_texts = None if isinstance(op, Kept) else self._before_steps(op, place, texts)
        if new_texts is None or isinstance(op, Kept):
            if op.final:
                self._notes.note_final(place, "\\".join(texts))
            splicer.pass_over(found)
            return True
        if op.needs - self._notes.originals.keys():
            self._notes.defer(level, found, op, place, new_texts)
            return True
        self._rewrite(level, found, op, place, new_texts)
        return True

    def _act_on_fitting(self, level: Level, found: Found, op: Fitting, place: Place) -> bool:
        """Passes a value that is of its VR; does what is done to another."""
        splicer = self._splicer
        if found.end - found.start > op.fit.longest:
            return splicer.pass_over(found)
        # However little may be held: to look at it takes a kibibyte at the most.
        if splicer.lacks(found.end - found.position):
            return False
        if is_vouched_for(found.tag, found.vr) and op.fit.fits(
            splicer.buffer, found.start, found.end
        ):
            return splicer.pass_over(found, op.fit)
        if not op.repeatable:
            splicer.depend()
        self._become(level, found, op, place)
        return True

    def _put_zeros(self, level: Level, found: Found, op: Rewritten, place: Place) -> None:
        """Puts zeros in place of a value, however long it is."""
        splicer = self._splicer
        if op.final:
            self._notes.note_final(place, "")
        if op.repeatable and found.end <= len(splicer.buffer):
            self._become(level, found, op, place)
        elif found.start == found.end:
            splicer.pass_over(found)
        else:
            zeros = zeros_of(place, found.end - found.start)
            new = written(level, place, found.vr, zeros)
            splicer.count(op.names)
            splicer.replace(level, found, new)

    def _texts(self, level: Level, found: Found, place: Place) -> list[str]:
        """Returns the values of an element that is all there."""
        self._splicer.depend()
        big = level.encoding.big and found.vr != "UN"
        return texts_of(
            place, self._splicer.buffer[found.start : found.end], level.charsets, big=big
        )

    def _before_steps(self, op: Rewritten, place: Place, texts: list[str]) -> list[str] | None:
        """Returns the values that steps are done to; None where nothing is done."""
        if op.age and (computed := self._notes.age(stands=bool(texts))) is not None:
            self._splicer.count((PATIENT_AGE_FROM_BIRTHDATE,))
            return [computed]
        if op.constant is not None:
            return constant_texts(place, op.constant)
        return texts if texts and op.steps else None

    def _rewrite(
        self, level: Level, found: Found, op: Rewritten, place: Place, texts: list[str]
    ) -> bytes:
        """Does the steps, writes the element, and returns its new value."""
        before, memo, settings = texts, self._notes.memo, self._profile.settings
        is_left = op.sweeps and settings.leftovers != "remove"
        if is_left and memo.cleaner.finds(texts, place.vr, op.sweep):
            allow_leftover(place, settings.leftovers)
            self._splicer.count(op.names)
        texts = apply_steps(
            place,
            texts,
            () if is_left else op.steps,
            settings,
            self._notes.originals,
            memo.pseudonyms,
            memo.cleaner,
        )
        if op.cleans and texts == before:
            if op.final:
                self._notes.note_final(place, "\\".join(texts))
            value = self._splicer.buffer[found.start : found.end]
            self._splicer.pass_over(found)
            return value
        big = level.encoding.big and found.vr != "UN"
        value = bytes_of(place, texts, level.charsets, big=big)
        new = written(level, place, found.vr, value)
        count_growth(place, new, found.end - found.position)
        self._splicer.count(op.names)
        if op.final:
            self._notes.note_final(place, "\\".join(texts))
        self._splicer.replace(level, found, new)
        return value

    def _become(self, level: Level, found: Found, op: Kept | Rewritten, place: Place) -> None:
        """Does to an element what depends on nothing but itself."""
        splicer = self._splicer
        element = splicer.buffer[found.position : found.end]
        around = Around(level.encoding, level.charsets, self._profile.settings, self._notes.memo)
        result = became(op, place, found.vr, element, around)
        if op.final:
            # Before the element is passed: how far that is depends on the cut.
            self._notes.note_final(place, result[2])
        splicer.become(level, found, op, place, result)

    def _lacks_value(self, found: Found, place: Place) -> bool:
        """Whether a value that is needed is not all there.

        Raises:
            DicomError: it is longer than what may be held.
        """
        splicer = self._splicer
        if found.end - found.start > splicer.max_held:
            raise splicer.error(
                Reason.LIMIT_EXCEEDED,
                f"a value that a rule needs is longer than {splicer.max_held} bytes",
                place.tag,
                place.vr,
            )
        return splicer.lacks(found.end - found.position)

    def act_on_charset(self, level: Level, found: Found, op: CharacterSet, place: Place) -> bool:
        """Takes note of the character sets, and does what is done to the element."""
        splicer = self._splicer
        becomes = op.becomes
        if isinstance(becomes, Dropped) and not becomes.original:
            splicer.drop(level, found, becomes.name)
            return True
        if self._lacks_value(found, place):
            return False
        element = splicer.buffer[found.position : found.end]
        self._note_charset(level, place, splicer.buffer[found.start : found.end])
        if isinstance(becomes, Rewritten) and not becomes.needs - self._notes.originals.keys():
            texts = self._texts(level, found, place)
            if becomes.original:
                self._notes.note_original(place, "\\".join(texts))
            new_texts = self._before_steps(becomes, place, texts)
            if new_texts is not None:
                value = self._rewrite(level, found, becomes, place, new_texts)
                self._note_charset(level, place, value)
                return True
        # What is needed elsewhere is the values, and not the text that says them.
        is_plain = isinstance(becomes, Kept) and becomes.repeatable and not becomes.final
        if is_plain and not isinstance(level.charsets, UndefinedCharacterSets):
            text = element[found.start - found.position :].rstrip(b" \0").decode("latin-1")
            self._notes.memo.remember(op, level.encoding, element, (None, (), text))
            splicer.declare(level)
            return splicer.pass_over(found)
        splicer.depend()
        return self.act(level, found, becomes, place)

    def _note_charset(self, level: Level, place: Place, value: bytes) -> None:
        text = value.rstrip(b" \0").decode("latin-1")
        try:
            level.charsets = character_sets(text)
        except CharacterSetError:
            # Whether that matters is for the values to say that are read and written.
            level.charsets = UndefinedCharacterSets(place.offset)
