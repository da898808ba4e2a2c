"""Generates the stubs of the contract beside the protos, or checks that they match.

Usage: python -m tests.tools.stubs [--check]
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"
PACKAGE = Path("deidcascade/v1")


def generate(out: Path) -> None:
    """Generates all stubs below a folder."""
    sources = sorted(str(path) for path in (PROTOS / PACKAGE).glob("*.proto"))
    well_known = str(files("grpc_tools") / "_proto")
    failed = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTOS}",
            f"--proto_path={well_known}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out={out}",
            f"--mypy_grpc_out={out}",
            *sources,
        ]
    )
    if failed:
        raise SystemExit("protoc failed")


def stubs_below(folder: Path) -> dict[str, bytes]:
    """Returns the generated files by name."""
    return {path.name: path.read_bytes() for path in sorted((folder / PACKAGE).glob("*_pb2*.py*"))}


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    if not arguments:
        generate(PROTOS)
        return 0
    if arguments != ["--check"]:
        print("Usage: python -m tests.tools.stubs [--check]", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh, committed = stubs_below(Path(folder)), stubs_below(PROTOS)
    stale = sorted(
        name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name)
    )
    if stale:
        print(f"Stubs differ from the protos ({', '.join(stale)}): ./dev protos", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
