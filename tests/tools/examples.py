"""Runs the uploaders of `examples` against a pair of services, and compares what they leave.

Usage: python -m tests.tools.examples [python|node|go]...

Of those that are named, or of all. Each uploads files of which one is rejected, over a
DeidService one of whose workers is killed meanwhile, and leaves what the others leave. What a
language needs must be there: node and npm; go, protoc-gen-go and protoc-gen-go-grpc. A language
that is missing is a failure.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.integration.faults.files import identified_file
from tests.integration.faults.system import System, running_system
from tests.support.deid_service import TARGET

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PROTOS = ROOT / "protos"

FILES = 40
LARGE_BYTES = 3 * 1024 * 1024

# For packages, where a machine is slow and far from them.
PATIENCE_SECONDS = 300


class MissingError(Exception):
    """What an example needs is not on this machine."""


def needed(*programs: str) -> None:
    """Makes sure that programs are there."""
    missing = [each for each in programs if shutil.which(each) is None]
    if missing:
        raise MissingError(f"there is no {', '.join(missing)}")


def step(*command: str | Path, folder: Path, **variables: str) -> None:
    """Runs a command that must succeed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")


def python(_folder: Path) -> list[str | Path]:
    """Returns how the example in Python is run: with the stubs of this project."""
    return [sys.executable, EXAMPLES / "python" / "upload.py"]


def node(folder: Path) -> list[str | Path]:
    """Installs what the example in Node needs; returns how it is run."""
    needed("node", "npm")
    shutil.copytree(EXAMPLES / "node", folder / "examples" / "node")
    shutil.copytree(PROTOS, folder / "protos")
    step("npm", "install", "--no-audit", "--no-fund", folder=folder / "examples" / "node")
    return ["node", folder / "examples" / "node" / "upload.js"]


def go(folder: Path) -> list[str | Path]:
    """Generates the stubs of the example in Go, and builds it; returns how it is run."""
    needed("go", "protoc-gen-go", "protoc-gen-go-grpc")
    source = folder / "src" / "uploader"
    shutil.copytree(EXAMPLES / "go", source)
    files = sorted(str(each.relative_to(PROTOS)) for each in PROTOS.rglob("*.proto"))
    options = [f"--go{each}_{what}" for each in ("", "-grpc") for what in (f"out={source}",)]
    options += [f"--go{each}_opt=paths=source_relative" for each in ("", "-grpc")]
    step(sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *options, *files, folder=folder)
    program = folder / "uploader"
    if os.environ.get("GO111MODULE") == "off":
        # Packages of the system, where GOPATH says.
        path = os.pathsep.join((str(folder), os.environ.get("GOPATH", "")))
        step("go", "build", "-o", program, "uploader", folder=source, GOPATH=path)
    else:
        step("go", "mod", "tidy", folder=source)
        step("go", "build", "-o", program, folder=source)
    return [program]


LANGUAGES: dict[str, Callable[[Path], list[str | Path]]] = {
    "python": python,
    "node": node,
    "go": go,
}


def files_in(folder: Path) -> list[Path]:
    """Makes what is uploaded: small and large files, and one that is none in their midst."""
    paths = []
    for number in range(FILES):
        large = number % 10 == 3
        data = identified_file(number, LARGE_BYTES) if large else identified_file(number)
        paths.append(folder / f"{number}.dcm")
        paths[-1].write_bytes(data if number != FILES // 2 else b"no DICOM at all")
    return paths


def kill_workers(system: System) -> None:
    """Kills the workers of DeidService that there are."""
    # Not by the numbers in its log: another process may have one of those by now.
    for worker in system.deid_service.processes():
        with suppress(psutil.NoSuchProcess):
            worker.kill()


def outcome(command: list[str | Path], system: System, out: Path, paths: list[Path]) -> object:
    """Runs an uploader, kills a worker when the first file is there, and returns what it left."""
    address = system.deid_service.address
    lines = []
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [*command, address, TARGET, out, *paths],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        for line in process.stdout or ():
            lines.append(json.loads(line))
            if len(lines) == 1:
                kill_workers(system)
        code = process.wait()
        errors.seek(0)
        said = errors.read()
        if code != 1 or said or len(lines) != len(paths):
            raise RuntimeError(f"exit code {code}, {len(lines)} results: {said}")
    if [line["file"] for line in lines] != [str(each) for each in paths]:
        raise RuntimeError("results are not in the order of the files")
    left = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}
    told = {line["output"]: line["sha256"] for line in lines if "output" in line}
    if left != told:
        raise RuntimeError("what is there is not what was told")
    return [{name: line[name] for name in line if name != "file"} for line in lines]


def main(names: list[str]) -> int:
    """Runs those that are named, or all; returns the exit code."""
    if unknown := set(names) - set(LANGUAGES):
        print(f"There is no example in {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    outcomes, failed = {}, False
    with tempfile.TemporaryDirectory(prefix="deidcascade-") as made:
        folder = Path(made)
        commands = {}
        for name in names or LANGUAGES:
            (folder / name).mkdir()
            try:
                commands[name] = LANGUAGES[name](folder / name)
            except (MissingError, RuntimeError) as error:
                print(f"{name}: FAILED: {error}", file=sys.stderr)
                failed = True
        if not commands:
            return 1
        (folder / "files").mkdir()
        paths = files_in(folder / "files")
        with running_system(folder / "system") as system:
            for name, command in commands.items():
                try:
                    outcomes[name] = outcome(command, system, folder / f"{name}-out", paths)
                except RuntimeError as error:
                    print(f"{name}: FAILED: {error}", file=sys.stderr)
                    failed = True
                else:
                    print(f"{name}: passed")
    if any(each != next(iter(outcomes.values())) for each in outcomes.values()):
        print("They do not leave the same.", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
