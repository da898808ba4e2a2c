"""`deidcascade demo`: the main job on real files and real services, told as it happens."""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import grpc
from deidcascade.v1 import deid_service_pb2 as deid
from deidcascade.v1 import profile_service_pb2 as pb
from pydicom.data import get_testdata_file
from rich.padding import Padding
from rich.text import Text

from deid_service.cli.connection import profile_service, read_key_file
from deid_service.cli.console import Failure, enum_name, printable
from deid_service.cli.preview import change_table
from deid_service.cli.terminal import cell, console, table
from deid_service.cli.up import embedded_mode
from deid_service.cli.upload import file_report
from deid_service.cli.verdicts import verdict_table
from deid_service.client import FileResult, Source, StreamRefusedError, Upload, open_channel
from deid_service.contract.rpc_errors import verdicts_of
from deid_service.embedded.errors import StandaloneError
from deid_service.preview.changes import changes

if TYPE_CHECKING:
    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
    from rich.table import Table

SITE = "sites/riverside"
GROUP = f"{SITE}/groups/oncology"
ARCHIVE = f"{SITE}/groups/radiology/projects/archive"
TRIAL = f"{GROUP}/projects/trial"
PHANTOMS = f"{GROUP}/projects/phantoms"
SCANNER = f"{SITE}/devices/ct-2"
NEWCOMER = "sites/newcomer/groups/pilot/projects/first"

CONTAINERS = (
    SITE,
    f"{SITE}/groups/radiology",
    ARCHIVE,
    GROUP,
    TRIAL,
    PHANTOMS,
    SCANNER,
    "sites/newcomer",
    "sites/newcomer/groups/pilot",
    NEWCOMER,
)

SITE_PROFILE = """\
name: Riverside, for everything
dicom:
  date-increment: -17
  remove-private-tags: true
  recurse-sequence: true
  fields:
    - {name: PatientName, replace-with: REDACTED}
    - {name: PatientID, hash: true}
    - {name: PatientBirthDate, replace-with: ""}
    - {name: OtherPatientIDsSequence, remove: true}
    - {name: InstitutionName, remove: true}
    - {name: InstitutionAddress, remove: true}
    - {name: ReferringPhysicianName, replace-with: ""}
    - {name: OperatorsName, remove: true}
    - {name: AccessionNumber, hash: true}
    - {name: StudyDate, increment-date: true}
    - {name: SeriesDate, increment-date: true}
    - {name: AcquisitionDate, increment-date: true}
    - {name: ContentDate, increment-date: true}
    - {name: StudyInstanceUID, hashuid: true}
    - {name: SeriesInstanceUID, hashuid: true}
    - {name: SOPInstanceUID, hashuid: true}
    - {name: FrameOfReferenceUID, hashuid: true}
    - {name: ReferencedSOPInstanceUID, hashuid: true}
"""
GROUP_PROFILE = """\
name: Oncology, names and UIDs
dicom:
  fields:
    - {name: PatientName, replace-with: ONCOLOGY}
    - {name: PatientID, hash: true}
    - {name: SOPInstanceUID, hashuid: true}
"""
MISSPELT_PROFILE = """\
name: Trial, with a slip
dicom:
  fields:
    - {name: PatientNme, remove: true}
"""
BLANK_PROFILE = "dicom: {fields: []}\n"
SCANNER_PROFILE = """\
name: CT 2
dicom:
  fields:
    - {name: PatientName, replace-with: CT-2}
    - {name: StationName, remove: true}
"""

# What each container has, for the table; the profile of TRIAL comes later.
PROFILES = {
    SITE: ("18 rules, dates move by 17 days, private elements go", ""),
    GROUP: ("3 rules", ""),
    PHANTOMS: ("blank", ""),
    SCANNER: ("2 rules", ""),
}

CT, MR = "CT_small.dcm", "MR_small.dcm"
FILES = {
    CT: "CT image",
    MR: "MR image",
    "rtstruct.dcm": "RT structure set",
    "reportsi.dcm": "structured report",
    "examples_rgb_color.dcm": "ultrasound image",
}

# What a person looks for first in a before/after.
IDENTIFYING = (
    "MediaStorageSOPInstanceUID",
    "SOPInstanceUID",
    "StudyDate",
    "AccessionNumber",
    "InstitutionName",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "StudyInstanceUID",
)


@click.command("demo")
def demo() -> None:
    """Shows the main job on real files.

    Everything is started, used, and removed again.
    """
    standalone = embedded_mode()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    screen = console()
    screen.print("Starting PostgreSQL, ProfileService and DeidService ...")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="deidcascade-demo-") as folder,
            standalone(Path(folder) / "data") as pair,
            profile_service(pair.profile_service, read_key_file(pair.admin_key)) as stub,
        ):
            screen.print(
                f"Three processes in {time.monotonic() - started:.1f} s, talking gRPC: "
                f"ProfileService on {pair.profile_service}, DeidService on {pair.deid_service}."
            )
            Demo(stub, pair.deid_service, read_key_file(pair.admin_key), Path(folder)).run()
            screen.print("\nStopping, and removing what was made ...")
    except StandaloneError as error:
        raise Failure(str(error)) from error
    except KeyboardInterrupt:
        raise Failure("stopped.") from None
    screen.print(f"Done in {time.monotonic() - started:.1f} s.")
    screen.print(NEXT_STEPS, markup=False)


NEXT_STEPS = """
What to try next
  .venv/bin/deidcascade up                          the services, with data that stays
  .venv/bin/deidcascade profile validate FILE       is a profile valid, and where is it not
  .venv/bin/deidcascade preview --profile P FILE    what it would change in a file of yours
  .venv/bin/deidcascade apply --profile P SRC --out DIR
README.md has three steps to a first result of your own."""


class Demo:
    """The tour, one station after the other.

    Each station checks what it tells: the demo fails when something is not so.
    """

    def __init__(self, stub: ProfileServiceStub, deid_service: str, key: str, folder: Path) -> None:
        self._stub = stub
        self._deid_service = deid_service
        self._key = key
        self._folder = folder
        self._screen = console()
        self._stations = 0

    def run(self) -> None:
        """Goes through all stations."""
        self.institution()
        self.site_applies()
        self.group_applies()
        self.blank_applies()
        self.nothing_applies()
        self.broken_file()
        self.device()

    def institution(self) -> None:
        """Makes the hierarchy, and attaches the profiles."""
        self.heading("Two sites with groups, projects and a device")
        for name in CONTAINERS:
            self._stub.CreateContainer(pb.CreateContainerRequest(container=pb.Container(name=name)))
        for name, source in (
            (SITE, SITE_PROFILE),
            (GROUP, GROUP_PROFILE),
            (PHANTOMS, BLANK_PROFILE),
            (SCANNER, SCANNER_PROFILE),
        ):
            self._stub.SetProfile(pb.SetProfileRequest(container=name, source=source))
        self.show(
            table(
                ("CONTAINER", "PROFILE"),
                ((name, cell(*PROFILES.get(name, ("none", "dim")))) for name in CONTAINERS),
            )
        )

    def site_applies(self) -> None:
        """Uploads one file of each kind; the site's profile is the nearest one."""
        self.heading("Five files into a project without a profile of its own")
        self.tell(f"Which profile applies to {ARCHIVE}, and why:")
        self.resolve(ARCHIVE, SITE)
        results = self.upload(ARCHIVE, [source_of(name) for name in FILES])
        self.check(all(result.complete for result in results), "all five files are de-identified")
        self.tell("What came back:")
        self.show(
            table(
                ("FILE", "KIND", "COMES BACK AS", "WHAT WAS DONE"),
                (
                    (
                        result.name,
                        FILES[result.name],
                        result.path.name if result.path else "",
                        actions_of(result),
                    )
                    for result in sorted(results, key=lambda result: list(FILES).index(result.name))
                ),
            )
        )
        for name in FILES:
            result = next(result for result in results if result.name == name)
            self.before_after(name, result)

    def group_applies(self) -> None:
        """Shows that an invalid profile is refused, and skipped when it is there all the same."""
        self.heading("A project whose profile is invalid: its group's applies")
        request = pb.SetProfileRequest(container=TRIAL, source=MISSPELT_PROFILE)
        try:
            self._stub.SetProfile(request)
        except grpc.RpcError as error:
            self.tell("A profile with a slip is refused when it is set:")
            self.show(Text(printable(error.details() or ""), style="red"))
        else:
            raise Failure("the demo found that an invalid profile was taken.")
        request.allow_invalid = True
        self._stub.SetProfile(request)
        self.tell("Stored all the same (--allow-invalid), it is skipped, and the answer says why:")
        self.resolve(TRIAL, GROUP)
        (result,) = self.upload(TRIAL, [source_of(CT)])
        self.check(result.complete, "the CT is de-identified")
        self.before_after(CT, result)

    def blank_applies(self) -> None:
        """Shows that a blank profile on a project lets bytes through, and says so."""
        self.heading("A project with a blank profile: bytes go through unchanged")
        (result,) = self.upload(PHANTOMS, [source_of(MR)])
        same = result.path is not None and result.path.read_bytes() == path_of(MR).read_bytes()
        self.check(same, "the MR comes back byte for byte as it was")
        treatment = result.receipt.treatment if result.receipt else 0
        name = f"TREATMENT_{enum_name(deid.Treatment, treatment)}"
        self.tell(f"{MR} came back byte for byte as it was, and its receipt says so: {name}.")

    def nothing_applies(self) -> None:
        """Shows that an upload without any valid profile is refused."""
        self.heading("A project with no profile anywhere: rejected")
        try:
            self.upload(NEWCOMER, [source_of(CT)])
        except StreamRefusedError as error:
            self.check(error.reason == "NO_VALID_PROFILE", "the upload is refused")
            self.tell(f"The upload into {NEWCOMER} was refused with {error.reason}:")
            self.show(verdict_table(error.verdicts))
        else:
            raise Failure("the demo found that an upload without a profile was taken.")

    def broken_file(self) -> None:
        """Shows that one bad file is one rejection, and the others are not disturbed."""
        self.heading("A broken file among good ones, and a file that is not DICOM")
        whole = path_of(MR).read_bytes()
        results = self.upload(
            ARCHIVE,
            [
                source_of(CT),
                Source.of_bytes("half-an-MR.dcm", whole[: len(whole) // 2]),
                Source.of_bytes("notes.txt", b"Not an image. " * 20),
                source_of("reportsi.dcm"),
            ],
        )
        reports = [file_report(result) for result in results]
        self.check([bool(report.output) for report in reports].count(True) == 2, "two pass")
        self.show(
            table(
                ("FILE", "RESULT"),
                (
                    (
                        report.source,
                        cell("de-identified", "green")
                        if report.output
                        else cell(f"rejected, {report.problem}", "red"),
                    )
                    for report in sorted(reports, key=lambda report: report.source)
                ),
            )
        )

    def device(self) -> None:
        """Shows that a device is treated by its own profile alone."""
        self.heading("An imaging device that sends by itself: its own profile, and only that")
        self.resolve(SCANNER, SCANNER)
        (result,) = self.upload(SCANNER, [source_of(CT)])
        self.check(result.complete, "the CT is de-identified")
        self.before_after(CT, result)

    def resolve(self, target: str, selected: str) -> None:
        """Shows the verdicts on the levels of a target."""
        answer = self._stub.ResolveProfile(pb.ResolveProfileRequest(target=target))
        self.check(answer.profile.name == f"{selected}/profile", f"{selected} is selected")
        self.show(verdict_table(verdicts_of(pb.CascadeVerdicts(levels=answer.levels))))

    def upload(self, target: str, sources: list[Source]) -> list[FileResult]:
        """Uploads into a folder of this station."""
        out = self._folder / f"out-{self._stations}"
        with (
            open_channel(self._deid_service, key=self._key) as channel,
            Upload([channel], target, sources, out) as uploading,
        ):
            return list(uploading)

    def before_after(self, name: str, result: FileResult) -> None:
        """Shows the identifying elements of a file before and after."""
        if result.path is None:
            return
        found = list(changes(path_of(name).read_bytes(), result.path.read_bytes()))
        shown = [change for change in found if change.element.path in IDENTIFYING]
        self.tell(f"{name}, before and after ({len(found)} elements differ):")
        self.show(change_table(shown))

    def heading(self, text: str) -> None:
        """Begins a station."""
        self._stations += 1
        self._screen.print()
        self._screen.rule(Text(f"{self._stations}. {text}", style="bold"), align="left")

    def tell(self, text: str) -> None:
        """Says something."""
        self._screen.print()
        self._screen.print(Text(printable(text)))

    def show(self, what: Table | Text) -> None:
        """Shows a table or a quotation, set in."""
        self._screen.print(Padding(what, (0, 0, 0, 2)))

    def check(self, holds: bool, claim: str) -> None:
        """Ends the demo when something that it tells is not so."""
        if not holds:
            raise Failure(f"the demo expected that {claim}, and that is not so.")


def path_of(name: str) -> Path:
    """Returns a file that pydicom's package carries; nothing is downloaded."""
    path = get_testdata_file(name, download=False)
    if not isinstance(path, str):
        raise Failure(f"the package of pydicom that is installed has no file {name}.")
    return Path(path)


def source_of(name: str) -> Source:
    """Returns a file of pydicom's package, to upload."""
    return Source.of_path(path_of(name))


def actions_of(result: FileResult) -> str:
    """Returns how many elements each action changed, from the receipt."""
    actions = result.receipt.actions if result.receipt else {}
    return ", ".join(f"{name} {count}" for name, count in sorted(actions.items()))
