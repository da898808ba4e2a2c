"""What is said to every service and command of the tests, by the environment.

Servers in the process of the tests run as they do in a worker: to be imported before gRPC,
which reads that then. And all know the same two keys: that of an administrator, with which
tests call, and that of DeidService.
"""

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

from profile_service.serving.supervisor import TUNING

os.environ.setdefault("GRPC_EXPERIMENTS", TUNING["GRPC_EXPERIMENTS"])

ADMIN_KEY = f"deidcascade_{'a' * 12}_{'A' * 43}"
SERVICE_KEY = f"deidcascade_{'s' * 12}_{'S' * 43}"

_FOLDER = Path(tempfile.mkdtemp(prefix="keys-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
ADMIN_KEY_FILE = _FOLDER / "admin.key"
SERVICE_KEY_FILE = _FOLDER / "service.key"
ADMIN_KEY_FILE.write_text(f"{ADMIN_KEY}\n", "ascii")
SERVICE_KEY_FILE.write_text(f"{SERVICE_KEY}\n", "ascii")

# As the metadata of a call, for those who make channels by themselves: as an administrator, and
# as DeidService for one.
AS_ADMIN = (("authorization", f"Bearer {ADMIN_KEY}"),)
AS_SERVICE = (
    ("authorization", f"Bearer {SERVICE_KEY}"),
    ("caller-authorization", f"Bearer {ADMIN_KEY}"),
)

os.environ["DEIDCASCADE_PROFILE_ADMIN_KEY_FILE"] = str(ADMIN_KEY_FILE)
os.environ["DEIDCASCADE_PROFILE_SERVICE_KEY_FILE"] = str(SERVICE_KEY_FILE)
os.environ["DEIDCASCADE_DEID_KEY_FILE"] = str(SERVICE_KEY_FILE)
os.environ["DEIDCASCADE_KEY_FILE"] = str(ADMIN_KEY_FILE)

# What `nohup`, or a shell that runs something in the background, has switched off would be
# switched off in every program that tests start, and send signals to.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(
            _number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL
        )
