"""The cache of plans."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from deid_service.contract.errors import ProfileNotSupportedError
from deid_service.serving.resolver import PlanCache


def profile(number: int) -> tuple[str, str]:
    """Returns a profile text and its digest."""
    source = f"dicom: {{fields: [{{name: PatientName, replace-with: N{number}}}]}}"
    return source, hashlib.sha256(source.encode()).hexdigest()


def test_the_least_recently_used_plans_go_first() -> None:
    """The cache is bounded, and a plan that is used stays longer."""

    async def fill() -> list[str]:
        cache = PlanCache(size=2)
        await cache.plan_of(*profile(1))
        await cache.plan_of(*profile(2))
        cache.note_use(profile(1)[1])
        await cache.plan_of(*profile(3))
        return list(cache.snapshot())

    assert asyncio.run(fill()) == [profile(1)[1], profile(3)[1]]


def test_a_profile_that_is_refused_is_not_kept() -> None:
    """What cannot be applied leaves nothing behind."""
    source = "dicom: {"
    digest = hashlib.sha256(source.encode()).hexdigest()

    async def fill() -> list[str]:
        cache = PlanCache()
        with pytest.raises(ProfileNotSupportedError):
            await cache.plan_of(source, digest)
        return list(cache.snapshot())

    assert asyncio.run(fill()) == []


def test_a_caller_that_gives_up_does_not_stop_the_others() -> None:
    """A compilation goes on when the stream that began it is cancelled."""

    async def fill() -> int:
        cache = PlanCache()
        first = asyncio.create_task(cache.plan_of(*profile(1)))
        second = asyncio.create_task(cache.plan_of(*profile(1)))
        await asyncio.sleep(0)
        first.cancel()
        await second
        return len(cache.snapshot())

    assert asyncio.run(fill()) == 1


def test_a_plan_that_is_there_stays() -> None:
    """An answer that was asked for before it was there brings its text: it is not made again."""

    async def ask_twice() -> bool:
        cache = PlanCache()
        return await cache.plan_of(*profile(1)) is await cache.plan_of(*profile(1))

    assert asyncio.run(ask_twice())
