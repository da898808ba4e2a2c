"""What elements need of others: values that are noted, and what waits for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from deid_service.engine.encoding.tags import (
    PATIENT_BIRTH_DATE,
    SPECIFIC_CHARACTER_SET,
    STUDY_DATE,
)
from deid_service.engine.errors import DicomError, Reason, format_tag
from deid_service.engine.limits import MAX_ACTIONS_ON_ELEMENT, MAX_WAITING
from deid_service.engine.rules.dates import age, read_date
from deid_service.engine.rules.memo import Memo
from deid_service.engine.rules.ops import (
    AGE_NOT_COMPUTED,
    ON_ERROR,
    UNLISTED,
    Rewritten,
)
from deid_service.engine.rules.profile import CompiledProfile
from deid_service.engine.rules.rewriting import (
    Place,
    apply_steps,
    bytes_of,
    count_growth,
    dummy_of,
    weight_of,
)
from deid_service.engine.walk.levels import (
    LengthSlot,
    Level,
)
from deid_service.engine.walk.output import Slot
from deid_service.engine.walk.pixel_data import written
from deid_service.engine.walk.splicer import Found, Splicer
from profile_service.language.model import OnError

# How much a value counts for of MAX_WAITING.
_VALUE: Final = 8

PATIENT_AGE_FROM_BIRTHDATE: Final = "patient-age-from-birthdate"


class Deferred(Slot):
    """An element whose new value needs others that come later in the file."""

    __slots__ = ("actions", "lengths", "needs", "resolve", "size")

    def __init__(
        self,
        offset: int,
        tag: int,
        *,
        needs: frozenset[int],
        size: int,
        lengths: list[LengthSlot],
        actions: int,
        resolve: Callable[[], bytes],
    ) -> None:
        super().__init__(offset, tag)
        self.needs = needs
        self.size = size
        self.lengths = lengths
        self.actions = actions
        self.resolve = resolve


def is_about_value(error: DicomError) -> bool:
    """Whether an action could not work on a value, as a rule may allow for."""
    if error.reason is Reason.NOT_SUPPORTED:
        # What character set it is in cannot be told.
        return error.tag == format_tag(SPECIFIC_CHARACTER_SET)
    return error.reason in {Reason.VALUE_NOT_TRANSFORMABLE, Reason.VALUE_NOT_ENCODABLE}


def outcome_of(op: Rewritten, error: DicomError) -> OnError:
    """Returns what happens to an element on which an action has failed."""
    if error.reason is Reason.NOT_IN_TABLE:
        return "remove" if op.drops_unlisted else "reject"
    return op.on_error if is_about_value(error) else "reject"


def name_of(error: DicomError) -> str:
    """Returns what a receipt counts where such an error rejects no file."""
    return UNLISTED if error.reason is Reason.NOT_IN_TABLE else ON_ERROR


def given_up(level: Level, found: Found, outcome: OnError, place: Place) -> bytes:
    """Returns what stands for an element on which an action has failed."""
    if outcome == "remove":
        return b""
    value = b""
    if outcome == "dummy":
        value = dummy_of(place, found.end - found.start, level.encoding)
    return written(level, place, found.vr, value)


class Notes:
    """The values that other elements, the file meta and the file name need.

    Attributes:
        memo: what became of elements before, and pseudonyms.
        originals: the original values that other elements need, by tag; None
            for an absent element.
        finals: the resulting values that the file meta and the file name need.
    """

    def __init__(
        self, splicer: Splicer, profile: CompiledProfile, memo: Memo, on_final: Callable[[], None]
    ) -> None:
        """Starts with none.

        Args:
            splicer: of the data set.
            profile: says what is needed.
            memo: see there.
            on_final: called when another of `Rules.finals` is known.
        """
        self.memo = memo
        self.originals: dict[int, str | None] = {}
        self.finals: dict[int, str | None] = {}
        # Where the elements that were noted stand, in the input.
        self._offsets: dict[int, int] = {}
        self._splicer = splicer
        self._profile = profile
        self._on_final = on_final
        self._deferred: list[Deferred] = []
        self._waiting = 0
        # What is to be done to them, in actions; and how many originals were known when
        # they were last looked through.
        self._deferred_actions = 0
        self._known = 0

    def defer(
        self, level: Level, found: Found, op: Rewritten, place: Place, texts: list[str]
    ) -> None:
        """Leaves a slot for an element whose new value needs later elements."""
        splicer = self._splicer
        charsets = level.charsets
        big = level.encoding.big and found.vr != "UN"
        size = found.end - found.position

        def resolve() -> bytes:
            try:
                return rewrite()
            except DicomError as error:
                outcome, name = outcome_of(op, error), name_of(error)
                if outcome == "reject":
                    raise
            splicer.count((name,))
            if op.final:
                self.note_final(place, "")
            return given_up(level, found, outcome, place)

        def rewrite() -> bytes:
            settings, pseudonyms = self._profile.settings, self.memo.pseudonyms
            changed = apply_steps(place, texts, op.steps, settings, self.originals, pseudonyms)
            value = bytes_of(place, changed, charsets, big=big)
            new = written(level, place, found.vr, value)
            count_growth(place, new, size)
            splicer.count(op.names)
            if op.final:
                self.note_final(place, "\\".join(changed))
            return new

        actions = weight_of(op.steps, texts)
        self._deferred_actions += actions
        if self._deferred_actions > MAX_ACTIONS_ON_ELEMENT:
            raise place.error(
                Reason.LIMIT_EXCEEDED,
                f"more than {MAX_ACTIONS_ON_ELEMENT} actions wait for a later element",
            )
        levels = [*splicer.stack, level]
        lengths = [slot for above in levels if (slot := above.length_slot) is not None]
        self._waiting += _VALUE + len(lengths)
        if self._waiting > MAX_WAITING:
            raise place.error(
                Reason.LIMIT_EXCEEDED, "too many elements wait for a value further on"
            )
        for slot in lengths:
            slot.waiting += 1
        for above in levels:
            above.group_unsure = True
        deferred = Deferred(
            place.offset,
            found.tag,
            needs=op.needs,
            size=size,
            lengths=lengths,
            actions=actions,
            resolve=resolve,
        )
        splicer.hold(deferred, found)
        self._deferred.append(deferred)

    def resolve_deferred(self) -> None:
        """Writes the elements whose new values need no more."""
        splicer = self._splicer
        known = self.originals.keys()
        if len(known) == self._known:
            return
        self._known = len(known)
        ready = [each for each in self._deferred if each.needs <= known]
        if ready:
            self._deferred = [each for each in self._deferred if not each.needs <= known]
        for deferred in ready:
            self._waiting -= _VALUE + len(deferred.lengths)
            self._deferred_actions -= deferred.actions
            splicer.check_overdue(deferred)
            new = deferred.resolve()
            splicer.output.fill(deferred, [new])
            for slot in deferred.lengths:
                slot.delta += len(new) - deferred.size
                slot.waiting -= 1
                if slot.closed and not slot.waiting:
                    splicer.output.fill(slot, [slot.written()])

    def note_original(self, place: Place, text: str) -> None:
        """Takes note of an original value that is needed elsewhere."""
        is_new = place.tag not in self.originals
        self.note(self.originals, place, text)
        if is_new:
            self.resolve_deferred()

    def note_final(self, place: Place, text: str) -> None:
        """Takes note of a resulting value that is needed elsewhere."""
        self.note(self.finals, place, text)
        self._on_final()

    def note(self, known: dict[int, str | None], place: Place, text: str) -> None:
        """Takes note of a value that is needed elsewhere.

        An element can stand twice, with the same value. Where it does not, what
        was made with the first value, or with none, may be out already.
        """
        self._offsets.setdefault(place.tag, place.offset)
        if known.setdefault(place.tag, text) != text:
            raise place.error(
                Reason.MALFORMED, "an element that is needed elsewhere stands out of order"
            )

    def passed(self, tag: int) -> None:
        """Takes note of an element needed elsewhere that was not there."""
        if tag in self._profile.originals and tag not in self.originals:
            self.originals[tag] = None
            self.resolve_deferred()
        if tag in self._profile.finals and tag not in self.finals:
            if any(deferred.tag == tag for deferred in self._deferred):
                return
            self.finals[tag] = None
            self._on_final()

    def age(self, *, stands: bool) -> str | None:
        """Returns PatientAge as computed, or None where that cannot be done.

        Args:
            stands: whether the element has a value, which stays where there is no new one.

        Raises:
            DicomError: a date is none, and an age stands that it contradicts; or the study
                is before the birth.
        """
        settings = self._profile.settings
        finest = settings.age_from_birthdate
        dates = []
        for tag in (PATIENT_BIRTH_DATE, STUDY_DATE):
            text = self.originals.get(tag)
            if not text or finest is None:
                return None
            try:
                dates.append(read_date(text, settings.date_format))
            except ValueError as error:
                if stands:
                    raise self._age_error(tag, str(error)) from None
                self._splicer.count((AGE_NOT_COMPUTED,))
                return None
        born, studied = dates
        if studied < born:
            raise self._age_error(PATIENT_BIRTH_DATE, "the study date is before the birth date")
        assert finest is not None
        return age(born, studied, finest)

    def _age_error(self, tag: int, message: str) -> DicomError:
        return DicomError(
            Reason.VALUE_NOT_TRANSFORMABLE,
            f"the age cannot be computed: {message}",
            tag=tag,
            vr="DA",
            offset=self._offsets[tag],
        )

    def give_up_overdue(self) -> None:
        """Decides about slots that have been open for too long.

        The same is decided where a slot is filled too late, so that it does not
        depend on how the input is cut.
        """
        splicer = self._splicer
        while (slot := splicer.output.first_open()) is not None and splicer.is_overdue(slot):
            if slot.give_up is not None:
                slot.give_up()
            elif isinstance(slot, LengthSlot):
                # It waits for a value inside of it, or for its end, which is near: what is
                # longer than may be held has no such slot.
                waiting = next((each for each in self._deferred if slot in each.lengths), None)
                if waiting is not None:
                    splicer.check_overdue(waiting)
                return
            else:
                splicer.check_overdue(slot)
