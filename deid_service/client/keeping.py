"""Where outputs go, and what earlier runs have put there: one for each source."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from deid_service.client.ledger import applied_by

if TYPE_CHECKING:
    from deidcascade.v1 import deid_service_pb2 as pb

    from deid_service.client.ledger import Applied, Finished, Ledger
    from deid_service.client.outputs import Destination, PartialFile
    from deid_service.client.sources import Source


class Keeper:
    """Gives outputs their places.

    Attributes:
        destination: the folder.
        ledger: what earlier runs have done; None where that does not count.
    """

    def __init__(
        self, destination: Destination, ledger: Ledger | None, *, keep_names: bool
    ) -> None:
        """Begins.

        Args:
            destination: see there.
            ledger: see there.
            keep_names: whether outputs are named like their sources.
        """
        self.destination = destination
        self.ledger = ledger
        self._keep_names = keep_names
        # Whether earlier runs have done anything that counts: else it is not asked of each file.
        self.resumes = ledger is not None and not ledger.is_empty

    def finished(self, source: Source, applied: Applied) -> Finished | None:
        """Returns what an earlier run made of a source; None when it made nothing that is there."""
        return self.ledger.finished(source, applied) if self.ledger and self.resumes else None

    def keep(
        self, partial: PartialFile, source: Source, suggested: str | None, receipt: pb.Receipt
    ) -> str:
        """Gives an output its name, and notes it.

        What the source came to before is replaced, or goes: one source has one output.

        Args:
            partial: the output.
            source: what it was made of.
            suggested: a name for it; None for that of the source.
            receipt: what was done to it.

        Raises:
            OutputError: it cannot have the name, or not be noted.

        Returns:
            The path of the output.
        """
        ledger = self.ledger
        earlier = None
        if self.resumes:
            finished = self.finished(source, applied_by(receipt))
            earlier = finished.path if finished else None

        def note(target: str) -> None:
            if ledger is not None:
                ledger.note(source, target, receipt)

        if self._keep_names or suggested is None:
            path = self.destination.keep(partial, source.name, earlier=earlier, note=note)
        else:
            path = self.destination.keep_suggested(partial, suggested, earlier=earlier, note=note)
        if earlier is not None and str(earlier) != path:
            with suppress(OSError):
                earlier.unlink()
        if ledger is not None:
            ledger.confirm(source)
        return path

    def close(self) -> None:
        """Notes what is left to note."""
        if self.ledger is not None:
            self.ledger.close()
