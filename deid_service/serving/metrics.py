"""What DeidService counts of its streams and files: never anything that is in a file."""

from __future__ import annotations

from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.contract.rpc_errors import STATUSES
from profile_service.serving.metrics import Count, Family, Gauge, Timing


def families() -> tuple[Family, ...]:
    """Returns what is counted."""
    codes = tuple(dict.fromkeys(("OK", "CANCELLED", *(code.name for code, _ in STATUSES.values()))))
    reasons = tuple(dict.fromkeys(("", *(reason for _, reason in STATUSES.values()))))
    outcomes = ("", *(name.removeprefix("OUTCOME_") for name in profile_pb.Outcome.keys()[1:]))
    results = ("COMPLETE", "REJECTED")
    rejections = (name.removeprefix("REJECTION_REASON_") for name in pb.RejectionReason.keys()[1:])
    return (
        Count(
            "deidcascade_streams",
            "Streams that have ended, by status and by what applied to them.",
            "stream",
            {"code": codes, "reason": reasons, "outcome": outcomes},
        ),
        Timing("deidcascade_stream_seconds", "How long streams were open.", "stream"),
        Timing(
            "deidcascade_resolve_seconds",
            "How long ProfileService took to say what applies, attempts that failed included.",
            "resolution",
        ),
        Count(
            "deidcascade_files",
            "Files that have ended, by result and by the reason of a rejection.",
            "file",
            {"result": results, "reason": ("", *rejections)},
        ),
        Timing(
            "deidcascade_file_seconds",
            "How long files took from their first message to their result.",
            "file",
        ),
        Count(
            "deidcascade_received_bytes",
            "Bytes of files that came, by result: of COMPLETE the bytes_in of all receipts, of"
            " REJECTED what came before the rejection.",
            "file",
            {"result": results},
            of="bytes_in",
        ),
        Count(
            "deidcascade_sent_bytes",
            "Bytes of files that went, by result: of COMPLETE the bytes_out of all receipts, of"
            " REJECTED what had gone before the rejection, which callers throw away.",
            "file",
            {"result": results},
            of="bytes_out",
        ),
        Count(
            "deidcascade_learned_bytes",
            "Bytes of files that were treated by what was learned of others like them.",
            "file",
            of="applied_bytes",
        ),
        Gauge(
            "deidcascade_audit_waiting_files",
            "Files of the worker that the audit is not told of yet.",
            "audit_queue",
            of="files",
        ),
        Count(
            "deidcascade_audit_dropped_files",
            "Files that the audit is not told of one by one, as they waited too long or too many.",
            "audit_dropped",
            of="files",
        ),
        Gauge(
            "deidcascade_serving",
            "Whether ProfileService answers the worker, so that it can serve.",
            "health",
            of="status",
            when="SERVING",
        ),
    )
