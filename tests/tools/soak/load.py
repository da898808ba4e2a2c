"""What callers do in a soak: upload and check, or misbehave."""

from __future__ import annotations

import random
import struct
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub

from deid_service.client import Source, StreamRefusedError, Upload
from profile_service.serving.logs import origin
from tests.integration.faults.files import (
    LARGE_BYTES,
    assert_all_or_nothing,
    assert_nothing_identified,
    identified_file,
)
from tests.support import callers
from tests.support.callers import open_channel
from tests.support.deid_service import TARGET, chunk, opened, start
from tests.support.engine.build import dicom, el, sq
from tests.support.witness import Seen, Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deidcascade.v1 import deid_service_pb2 as pb

    from tests.support.engine.build import Part

FILES_PER_UPLOAD = 40
SECONDS_BETWEEN_RUDE_CALLERS = 0.5

# An upload that begins while ProfileService is away is refused within seconds, and whoever
# began it tries again. No fault keeps it away for as long as this.
OUTAGE = "PROFILE_SERVICE_UNAVAILABLE"
OUTAGE_SECONDS = 60.0


def hostile_files() -> list[bytes]:
    """Returns files that cost far more than others of their size."""
    deep: Part = el("PatientName", "A")
    for _ in range(90):
        deep = sq("ReferencedImageSequence", [deep])
    return [
        dicom(*[el("PatientName", "")] * 100_000),
        dicom(*[el(0x00091000 + number % 0xF000, "", "SH") for number in range(60_000)]),
        dicom(el("SOPInstanceUID", "1.2\\" * 200_000, "UC"), meta=[]),
        dicom(sq("ReferencedImageSequence", *[[el("PatientID", "1")]] * 20_000)),
        dicom(el("PatientName", "A"), el("PixelData", bytes(64 << 20), "OB"), deflated=True),
        dicom(deep),
    ]


class Load:
    """Callers, each in a thread, until they are stopped.

    Attributes:
        counts: how often what happened.
        violations: what must not happen and did, in words without any content.
    """

    def __init__(self, address: str, folder: Path) -> None:
        """Prepares.

        Args:
            address: of DeidService.
            folder: takes the output.
        """
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self._address = address
        self._folder = folder
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._last_answer = time.monotonic()
        self._large = identified_file(0, LARGE_BYTES)
        self._small = identified_file(1)
        # Its pixel data do not end before whoever sends it leaves.
        size, endless = (struct.pack("<I", number) for number in (LARGE_BYTES, 0xFFFF_FFF0))
        self._begun = self._large[:500_000].replace(size, endless)
        self._uploads, self._rude = Witness(), Witness()
        self._hostile = hostile_files()
        self._threads = [
            *(threading.Thread(target=self._repeat, args=(self._upload, n)) for n in range(3)),
            threading.Thread(target=self._repeat, args=(self._be_rude, 100)),
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Starts all callers; lets them finish at the end, and waits for that."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def seen(self) -> Seen:
        """Returns what the callers saw, once they have stopped."""
        rude = self._rude.seen()
        # Nobody waits for the results of these: they have none, as they do not end.
        return self._uploads.seen() + replace(rude, unanswered=0, unanswered_in=0)

    def files(self) -> list[bytes]:
        """Returns what is uploaded, of what has values."""
        return [self._large, self._small]

    def _repeat(self, once: Callable[[random.Random], None], seed: int) -> None:
        draw = random.Random(seed)  # noqa: S311 - no secret
        while not self._stop.is_set():
            try:
                once(draw)
            except StreamRefusedError as error:
                self._refused(once.__name__, error)
            except Exception as error:  # noqa: BLE001 - a violation, reported at the end
                with self._lock:
                    self.violations.append(f"{once.__name__}: {origin(error)} {error}")

    def _refused(self, what: str, error: StreamRefusedError) -> None:
        """Counts a refusal; it is a violation, unless a fault is why and it ends with that."""
        now = time.monotonic()
        with self._lock:
            if now - self._last_answer > OUTAGE_SECONDS or error.reason != OUTAGE:
                self.violations.append(f"{what}: refused, {error.reason}")
            self.counts["uploads refused while ProfileService was away"] += 1

    def _upload(self, draw: random.Random) -> None:
        """Uploads good and bad files, and checks what came of each."""
        sources = {}
        for number in range(FILES_PER_UPLOAD):
            kind = draw.choices(["small", "large", "noise", "cut", "hostile"], [68, 15, 10, 5, 2])[
                0
            ]
            data = {
                "small": self._small,
                "large": self._large,
                "noise": draw.randbytes(5000),
                "cut": self._small[: draw.randrange(len(self._small))],
                "hostile": draw.choice(self._hostile),
            }[kind]
            sources[f"{kind}-{number}"] = Source.of_bytes(f"{kind}-{number}", data)
        channels = [open_channel(self._address) for _ in range(draw.randint(1, 2))]
        watched = [self._uploads.watch(channel) for channel in channels]
        try:
            with (
                tempfile.TemporaryDirectory(dir=self._folder) as out,
                Upload(watched, TARGET, sources.values(), out) as upload,
            ):
                results = assert_all_or_nothing(list(upload), Path(out), sources)
        finally:
            for channel in channels:
                channel.close()
        counts: Counter[str] = Counter()
        for name, result in results.items():
            good = name.startswith(("small", "large"))
            if result.complete and name.startswith("noise"):
                raise AssertionError("A file that is none has a receipt.")
            if result.rejection is not None and good:
                raise AssertionError("A good file was rejected.")
            outcome = "complete" if result.complete else "rejected"
            counts["reported as failed" if result.problem else outcome] += 1
        with self._lock:
            self.counts += counts
            self._last_answer = time.monotonic()

    def _be_rude(self, draw: random.Random) -> None:
        """Begins a stream and leaves it, or sends what is no message."""
        manner = draw.choice(["vanishes in mid-file", "sends garbage", "does not read"])
        left = threading.Event()
        with callers.channel(
            self._address, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as unwatched:
            channel = self._rude.watch(unwatched)
            messages = [opened(), start(), chunk(self._begun)]

            def requests() -> Iterator[pb.DeidentifyRequest]:
                yield from messages
                while not left.is_set():
                    yield chunk(bytes(100_000))

            if manner == "sends garbage":
                raw: grpc.StreamStreamMultiCallable[bytes, bytes]
                raw = channel.stream_stream("/deidcascade.v1.DeidService/Deidentify")
                parts = [*(message.SerializeToString() for message in messages), b"\xff" * 100]
                with suppress(grpc.RpcError):
                    for answer in raw(iter(parts)):
                        assert_nothing_identified(answer)
            else:
                call = DeidServiceStub(channel).Deidentify(requests())
                with suppress(grpc.RpcError):
                    for _ in range(3 if manner == "vanishes in mid-file" else 1):
                        assert_nothing_identified(next(call).SerializeToString())
                self._stop.wait(SECONDS_BETWEEN_RUDE_CALLERS)
                left.set()
                call.cancel()
        with self._lock:
            self.counts[f"a caller {manner}"] += 1
