"""The de-identification engine: a plan and bytes in, bytes out.

    plan = compile_plan(parse_profile(yaml_text))
    out = deidentify(data, plan)

or, in pieces of any size and in constant memory:

    deidentifier = Deidentifier(plan)
    for piece in pieces:
        send(*deidentifier.receive(piece))
    result = deidentifier.finish()
    send(*result.tail)
"""

from deid_service.engine.deidentifier import Deidentifier, Result
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.file.kind import HEAD_BYTES, is_dicom
from deid_service.engine.in_memory import deidentify, deidentify_alike
from deid_service.engine.limits import MAX_HELD_BYTES
from deid_service.engine.plan import Plan, compile_plan
from deid_service.engine.probe import (
    PatientProbe,
    code_digest,
    knowing,
    known_of,
    seeking,
    table_digests,
)
from deid_service.engine.rules.pseudonyms import Given, Keys
from deid_service.engine.texts.listed import Listed
from deid_service.engine.version import ENGINE_VERSION

__all__ = [
    "ENGINE_VERSION",
    "HEAD_BYTES",
    "MAX_HELD_BYTES",
    "Deidentifier",
    "DicomError",
    "Given",
    "Keys",
    "Listed",
    "PatientProbe",
    "Plan",
    "Reason",
    "Result",
    "code_digest",
    "compile_plan",
    "deidentify",
    "deidentify_alike",
    "is_dicom",
    "knowing",
    "known_of",
    "seeking",
    "table_digests",
]
