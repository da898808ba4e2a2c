"""The servers of these tests run in this process, and as they do in a worker."""

from __future__ import annotations

import os

from profile_service.serving.workers import TUNING

# gRPC reads it when it is first used, which no test has done yet.
os.environ.setdefault("GRPC_EXPERIMENTS", TUNING["GRPC_EXPERIMENTS"])
