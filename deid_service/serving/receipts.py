"""What is said of each file, as bytes: that its output begins, and its receipt.

Protobuf puts messages together by putting their bytes together, so what many files have in
common is written once. To write these messages by protobuf takes a tenth of a small file's time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.contract import wire
from deid_service.engine import ENGINE_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deid_service.engine import Result
    from deid_service.serving.digest import Digest, NoDigest
    from deid_service.serving.resolver import AppliedProfile

# The counts of actions that are remembered of a stream, as bytes of receipts.
MAX_KNOWN_ACTIONS = 64


class Receipts:
    """What the files of a stream are answered with that go out.

    A series has the same actions in each file, and a map is the dearest field to write.
    """

    def __init__(self, applied: AppliedProfile, key_id: str) -> None:
        """Takes what applies to all of them, and the name of the key, if there is one."""
        self._fixed = pb.Receipt(
            treatment=applied.treatment,
            profile_name=applied.name,
            profile_version=applied.version,
            profile_sha256=applied.sha256,
            engine_version=ENGINE_VERSION,
            key_id=key_id,
            tables=[table.message() for table in applied.tables],
        ).SerializeToString()
        self._known: dict[tuple[tuple[str, int], ...], bytes] = {}

    def result(
        self,
        file_id: bytes,
        done: Result,
        bytes_in: int,
        bytes_out: int,
        digest: Digest | NoDigest,
    ) -> bytes:
        """Returns the result of a file that goes out, a FileResult.

        Args:
            file_id: what the caller calls it.
            done: what was done to it.
            bytes_in: received.
            bytes_out: sent.
            digest: of what is sent. Its hex digits are not in the result: they end it.
        """
        receipt = b"".join(
            (
                self._common(done.actions),
                wire.number_field(wire.RECEIPT_BYTES_IN, bytes_in),
                wire.number_field(wire.RECEIPT_BYTES_OUT, bytes_out),
                _warnings(done.warnings),
                digest.header,
            )
        )
        header = wire.field_header(wire.RESULT_RECEIPT, len(receipt) + digest.hex_bytes)
        return wire.bytes_field(wire.RESULT_FILE_ID, file_id) + header + receipt

    def _common(self, actions: dict[str, int]) -> bytes:
        """Returns all of a receipt that hangs on its actions and the stream alone."""
        key = tuple(actions.items())
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_KNOWN_ACTIONS:
                self._known.clear()
            counts = pb.Receipt(actions=actions).SerializeToString()
            known = self._known[key] = self._fixed + counts
        return known


def file_output(file_id: bytes, name: str) -> bytes:
    """Returns that the output of a file begins, a FileOutput, with its name if it has one."""
    return wire.bytes_field(wire.OUTPUT_FILE_ID, file_id) + wire.bytes_field(
        wire.OUTPUT_NAME, name.encode()
    )


def file_rejected(file_id: bytes, rejection: pb.Rejection) -> bytes:
    """Returns the result of a file that is rejected, a FileResult."""
    result = pb.FileResult(rejection=rejection).SerializeToString()
    return wire.bytes_field(wire.RESULT_FILE_ID, file_id) + result


def _warnings(warnings: Sequence[str]) -> bytes:
    return pb.Receipt(warnings=warnings).SerializeToString() if warnings else b""
