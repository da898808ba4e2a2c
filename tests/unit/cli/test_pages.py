"""Pages hold all they need, and nothing of a file gets out of its place in them."""

from __future__ import annotations

import base64
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pydicom import data

from deid_service.cli.pages import Cell, Section, page_of
from deid_service.cli.pictures import picture

FOLDER = Path(data.__file__).parent / "test_files"

HOSTILE = "</td><script>alert(1)</script>\x1b[2J{body}\"'&"


class Reader(HTMLParser):
    """Reads the tags and the cells of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Takes a tag in."""
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        """Takes a text in."""
        if self.cells and self.lasttag == "td":
            self.cells[-1] += data


def test_values_stay_in_their_cells() -> None:
    """Whatever a file says, it is text in its cell: no tag, no script, no escape sequence."""
    section = Section(HOSTILE, ("a", "b"), [(HOSTILE, Cell(HOSTILE, "old"))])

    read = Reader(page_of(HOSTILE, [section]))

    assert read.tags.count("script") == 1
    assert read.tags.count("td") == 2
    assert [cell.strip() for cell in read.cells] == [HOSTILE.replace("\x1b", "\\x1b")] * 2


def test_a_page_asks_no_network() -> None:
    """A page refers to nothing outside of itself, and forbids that, too."""
    uri = picture((FOLDER / "CT_small.dcm").read_bytes())
    page = page_of("page", [Section("s", ("a",), [("b",)], [(uri, "before")])])

    assert Reader(page).links == [uri]
    assert "default-src 'none'" in page
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize(
    ("name", "width", "height", "kind"),
    [("CT_small.dcm", 128, 128, 0), ("examples_rgb_color.dcm", 320, 240, 2)],
)
def test_a_picture_is_a_png(name: str, width: int, height: int, kind: int) -> None:
    """The picture of an uncompressed image is a PNG of its size, made smaller where it is large."""
    png = base64.b64decode(picture((FOLDER / name).read_bytes()).partition(",")[2])

    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(png[16:20], "big") == width
    assert int.from_bytes(png[20:24], "big") == height
    assert png[25] == kind
    start = png.index(b"IDAT")
    size = int.from_bytes(png[start - 4 : start], "big")
    lines = zlib.decompress(png[start + 4 : start + 4 + size])
    assert len(lines) == height * (1 + width * (3 if kind else 1))


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "reportsi.dcm", "rtplan.dcm"])
def test_what_has_no_picture(name: str) -> None:
    """What needs a codec, or is no image, has no picture."""
    assert picture((FOLDER / name).read_bytes()) == ""


def test_what_is_short_stays_on_one_line() -> None:
    """A tag is not broken over lines where a long value beside it needs the room."""
    long = "1.2.826.0.1.3680043.8.498.1"
    page = page_of("page", [Section("s", ("Tag", "Value"), [("(0010,0020)", Cell(long, "new"))])])

    assert f'<td class="short">(0010,0020)</td><td class="new">{long}</td>' in page
    assert "td.short { white-space: nowrap;" in page
