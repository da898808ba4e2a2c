"""Servers in the process of the tests run as they do in a worker.

To be imported before gRPC, which reads it then.
"""

import os

from profile_service.serving.workers import TUNING

os.environ.setdefault("GRPC_EXPERIMENTS", TUNING["GRPC_EXPERIMENTS"])
