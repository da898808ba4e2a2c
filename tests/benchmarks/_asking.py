"""A client that asks for the profiles of projects at random, and prints how long answers took.

Usage: python -m tests.benchmarks._asking OPTIONS

OPTIONS is JSON: `address`, `groups` and `each` (projects of a group), `seed` (with another one,
it asks for other projects), `calls` and `callers` at once, and `known`: whether it asks again
and again for a few projects, and says that it has the texts of their profiles. It shows two API
keys, as DeidService does: its own, and that of its caller. `tokens` is a file with tokens, a
line each, that are shown in turn in place of the latter, and `ca` one with an authority, for
TLS. Prints median and p95 in seconds, and the number of calls, those before the measurement
included, as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import statistics
import sys
import time
from pathlib import Path

import grpc
from deidcascade.v1 import profile_service_pb2 as pb

from tests.support.environment import AS_SERVICE

METHOD = "/deidcascade.v1.ProfileService/ResolveProfile"

# Connections are made and plans of the database prepared before it counts.
WARM_UP_CALLS = 100

# As many digests as DeidService has after a while.
DIGESTS = 64


async def main(
    *,
    address: str,
    groups: int,
    each: int,
    seed: int,
    calls: int,
    callers: int,
    known: bool,
    tokens: str = "",
    ca: str = "",
) -> None:
    """Asks, and prints what it took."""
    draw = random.Random(seed)  # noqa: S311 - the same projects in each run, no secret
    # None of them is one in question.
    digests = [f"{number:064x}" for number in range(DIGESTS)]

    def anyone() -> str:
        group, project = draw.randrange(groups), draw.randrange(each)
        return f"sites/hospital/groups/g{group}/projects/p{project}"

    few = [anyone() for _ in range(DIGESTS)]

    def request() -> pb.ResolveProfileRequest:
        target = draw.choice(few) if known else anyone()
        return pb.ResolveProfileRequest(target=target, known_sha256=digests)

    shown = itertools.cycle([AS_SERVICE])
    if tokens:
        lines = Path(tokens).read_text("ascii").split()
        shown = itertools.cycle(
            [(AS_SERVICE[0], ("caller-authorization", f"Bearer {line}")) for line in lines]
        )
    opened = (
        grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(Path(ca).read_bytes()))
        if ca
        else grpc.aio.insecure_channel(address)
    )
    async with opened as channel:
        call = channel.unary_unary(
            METHOD,
            request_serializer=pb.ResolveProfileRequest.SerializeToString,
            response_deserializer=pb.ResolveProfileResponse.FromString,
        )

        if known:
            answers = [
                await call(pb.ResolveProfileRequest(target=target), metadata=AS_SERVICE)
                for target in few
            ]
            texts = {answer.profile.sha256 for answer in answers}
            digests = [*texts, *digests][:DIGESTS]

        async def ask(count: int) -> list[float]:
            times = []
            for _ in range(count):
                asked = request()
                began = time.perf_counter()
                await call(asked, metadata=next(shown))
                times.append(time.perf_counter() - began)
            return times

        await ask(WARM_UP_CALLS - DIGESTS if known else WARM_UP_CALLS)
        gathered = await asyncio.gather(*(ask(calls // callers) for _ in range(callers)))
    times = [one for part in gathered for one in part]
    result = {
        "median": statistics.median(times),
        "p95": statistics.quantiles(times, n=20)[-1],
        "calls": len(times) + WARM_UP_CALLS,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
