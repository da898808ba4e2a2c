"""What stands before the data set in the output, and what the output is called.

Both wait for values of the data set: the file meta for the SOP Instance UID, the name for
what it is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from deid_service.engine.encoding.tags import SOP_INSTANCE_UID
from deid_service.engine.file.directory import DIRECTORY_NAME
from deid_service.engine.file.meta import FileMeta
from deid_service.engine.file.names import output_name
from deid_service.engine.layouts.layout import Applied
from deid_service.engine.rules.rules import Rules
from deid_service.engine.walk.output import Output, Slot
from deid_service.engine.walk.walk import Walk

_NOTHING: Final[Mapping[int, str | None]] = {}


class Head:
    """The preamble, the file meta and the name of an output.

    Attributes:
        preamble: of the output, with the prefix behind it; empty where there is none.
        name: of the output; None until it is known.
        size: of all that stands before the data set, in bytes; 0 until it is known.
    """

    def __init__(self, rules: Rules, filename: str, meta: FileMeta, output: Output) -> None:
        """Starts with nothing known.

        Args:
            rules: of the profile.
            filename: the name that the file came with.
            meta: the file meta.
            output: where the head goes.
        """
        self.preamble = b""
        self.name: str | None = None
        self.size = 0
        self._rules = rules
        self._filename = filename
        self._meta = meta
        self._output = output
        self._walk: Walk | None = None
        self._name_slot: Slot | None = None
        self._meta_slot: Slot | None = None

    def use(self, rules: Rules) -> None:
        """Takes the rules as they are for the file."""
        self._rules = rules
        self._meta.use(rules)

    def write(self, applied: Applied) -> None:
        """Writes all of it, and what was changed behind it.

        A layout that the data set begins with has what it needs.
        """
        self._output.parts.append(written_head(self.preamble, self._meta, applied))
        self.name = self._name_of(applied.finals)

    def open(self, walk: Walk, base: int, *, is_directory: bool) -> None:
        """Leaves room for it.

        Args:
            walk: over the data set.
            base: where the data set begins, as the walk counts.
            is_directory: the file is a media directory, which is called nothing else.
        """
        self._walk = walk
        slot = self._name_slot = Slot(0, give_up=self._give_up_name)
        self._output.open(slot)
        if is_directory:
            self.name = DIRECTORY_NAME
            self._output.fill(slot, [])
        if self.preamble:
            self._output.parts.append(self.preamble)
        if self._meta.elements:
            self._meta_slot = Slot(base, SOP_INSTANCE_UID)
            self._output.open(self._meta_slot)
            if not self._rules.changes_instance_uid:
                self._write_meta(self._meta_slot, None)

    def on_final(self) -> None:
        """Writes the file meta and settles the name once what they need is known."""
        walk = self._walk
        if walk is None:
            # It is written, or there is no walk yet that could know anything.
            return
        finals = walk.notes.finals
        slot = self._meta_slot
        if slot is not None and SOP_INSTANCE_UID in finals:
            walk.splicer.check_overdue(slot)
            self._write_meta(slot, finals[SOP_INSTANCE_UID])
        if self.name is None and self._rules.profile.finals <= finals.keys():
            assert self._name_slot is not None
            overdue = walk.splicer.is_overdue(self._name_slot)
            self._settle_name(_NOTHING if overdue else finals)

    def let_go(self) -> None:
        """Lets go of the walk, which holds this."""
        self._walk = None
        if self._name_slot is not None:
            self._name_slot.give_up = None

    def _write_meta(self, slot: Slot, instance_uid: str | None) -> None:
        assert self._walk is not None
        self._meta_slot = None
        written = self._meta.write(instance_uid, self._walk.splicer.count)
        self.size = len(self.preamble) + sum(map(len, written))
        self._output.fill(slot, written)

    def _give_up_name(self) -> None:
        """Names the output although its values are too far away: by none of them."""
        self._settle_name(_NOTHING)

    def _settle_name(self, finals: Mapping[int, str | None]) -> None:
        assert self._name_slot is not None
        self.name = self._name_of(finals)
        self._output.fill(self._name_slot, [])

    def _name_of(self, finals: Mapping[int, str | None]) -> str:
        profile = self._rules.profile
        return output_name(profile.filenames, self._filename, finals, profile.settings)


def written_head(preamble: bytes, meta: FileMeta, applied: Applied) -> bytes:
    """Returns what stands before a data set along a layout, and what was changed behind that.

    It is one piece: for whoever digests and sends a small file, pieces cost as much as bytes.

    Args:
        preamble: with the prefix behind it; empty where there is none.
        meta: the file meta.
        applied: the layout, which the data set begins with. It counts what changes before it.

    Raises:
        DicomError: a rule cannot transform a value of the file meta.
    """
    written = meta.write(applied.finals.get(SOP_INSTANCE_UID), applied.count)
    return b"".join((preamble, *written, applied.changed))
