"""What pseudonyms are made with: keys of sites, and codes of patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from deidcascade.v1 import profile_service_pb2 as pb

from profile_service import messages, paging
from profile_service.errors import InvalidCodeError
from profile_service.hierarchy import SITES, TARGETS, parse_name
from profile_service.language.model import CodePattern, KeyScope

if TYPE_CHECKING:
    from profile_service.guard import Call
    from profile_service.site_keys import SiteKeys
    from profile_service.subjects import Subjects

# Of a code: with the text around its digits it is to fit into LO.
MAX_CODE_DIGITS = 9
MAX_CODE_TEXT = 64

# Patients who are given codes in one request.
MAX_PATIENTS = 100

# SHA-256.
DIGEST_BYTES = 32


class PseudonymCalls:
    """The calls about keys and codes."""

    def __init__(self, keys: SiteKeys, subjects: Subjects) -> None:
        self._keys = keys
        self._subjects = subjects

    def ListSiteKeys(  # noqa: N802, D102
        self, request: pb.ListSiteKeysRequest, call: Call
    ) -> pb.ListSiteKeysResponse:
        del call
        site = parse_name(request.site, field="site", kinds=SITES)
        return pb.ListSiteKeysResponse(keys=map(messages.site_key, self._keys.list(site)))

    def RotateSiteKey(  # noqa: N802, D102
        self, request: pb.RotateSiteKeyRequest, call: Call
    ) -> pb.RotateSiteKeyResponse:
        site = parse_name(request.site, field="site", kinds=SITES)
        made = self._keys.rotate(
            site, call.actor, after=request.after_generation, proposed_by=call.proposed_by
        )
        return pb.RotateSiteKeyResponse(key=messages.site_key(made))

    def AssignCodes(  # noqa: N802, D102
        self, request: pb.AssignCodesRequest, call: Call
    ) -> pb.AssignCodesResponse:
        del call
        target = parse_name(request.target, field="target", kinds=TARGETS)
        scope = next((each for each in get_args(KeyScope) if each == request.scope), None)
        if scope is None:
            raise InvalidCodeError("scope", "must be site, group or project.")
        if not 1 <= request.digits <= MAX_CODE_DIGITS:
            raise InvalidCodeError("digits", f"must be from 1 to {MAX_CODE_DIGITS}.")
        if len(request.before) + len(request.after) > MAX_CODE_TEXT or "{" in request.before:
            raise InvalidCodeError("before", "must be short, and without braces.")
        if not 1 <= len(request.patients) <= MAX_PATIENTS:
            raise InvalidCodeError("patients", f"must be from 1 to {MAX_PATIENTS}.")
        if any(len(each.digest) != DIGEST_BYTES or not each.original for each in request.patients):
            raise InvalidCodeError("patients", f"need {DIGEST_BYTES} bytes, and an original.")
        pattern = CodePattern(request.before, request.digits, request.after, request.random_order)
        originals = {each.digest: each.original for each in request.patients}
        codes = self._subjects.codes(target, scope, pattern, originals)
        return pb.AssignCodesResponse(codes=[codes[each.digest] for each in request.patients])

    def ListSubjects(  # noqa: N802, D102
        self, request: pb.ListSubjectsRequest, call: Call
    ) -> pb.ListSubjectsResponse:
        name = parse_name(request.container, field="container")
        size = paging.page_size(request.page_size)
        listed = f"{name}/subjects"
        after = paging.read_token(listed, request.page_token)
        found = self._subjects.list(
            name, code=request.code, after=after, limit=size + 1, actor=call.actor
        )
        page, token = paging.cut(found, size, listed, lambda each: each.code)
        return pb.ListSubjectsResponse(subjects=map(messages.subject, page), next_page_token=token)
