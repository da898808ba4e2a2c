"""Opens a page in a browser: `./dev pages [FOLDER]` (Chromium must be there).

Makes a page with 1,000 elements, checks in the browser that it can be filtered without
delay and by keyboard, and leaves pictures of it, light and dark, in FOLDER for whoever
wants to look at them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pydicom import data

from deid_service.cli.pages import Cell, Section, page_of
from deid_service.cli.pictures import picture

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ELEMENTS = 1000
# What a person does not feel.
MAX_MILLISECONDS = 100

# Types into the page as a person does, and writes down what came of it.
PROBE = """
<script>
addEventListener("load", () => {
  const visible = () => document.querySelectorAll("tbody tr:not([hidden])").length;
  const press = key => document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  const all = visible();
  press("/");
  const focused = document.activeElement === filter;
  const started = performance.now();
  filter.value = "element777 ";
  filter.dispatchEvent(new Event("input"));
  const left = visible();
  document.body.offsetHeight;
  const took = performance.now() - started;
  press("Escape");
  const again = visible();
  document.title = `probed all=${all} focused=${focused} left=${left} again=${again} took=${took}`;
});
</script>
"""


def main(arguments: list[str]) -> int:
    """Checks the page, and returns the exit code."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"./dev pages needs one of {', '.join(BROWSERS)}.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments[0]) if arguments else Path(temporary)
        folder.mkdir(exist_ok=True)
        page = folder / "page.html"
        page.write_text(example(), encoding="utf-8")
        for theme, flags in (("light", []), ("dark", ["--force-dark-mode"])):
            run(browser, page, f"--screenshot={folder / theme}.png", *flags)
        probed = folder / "probed.html"
        # The policy of the page lets no script in but its own.
        probed.write_text(example() + PROBE, encoding="utf-8")
        found = re.search(r"<title>probed (.*?)</title>", run(browser, probed, "--dump-dom"))
        print(found[1] if found else "The page did not run.")
        if not found:
            return 1
        said = dict(part.split("=") for part in found[1].split())
        well = (said["all"], said["focused"], said["left"], said["again"]) == (
            str(ELEMENTS),
            "true",
            "1",
            str(ELEMENTS),
        )
        return 0 if well and float(said["took"]) <= MAX_MILLISECONDS else 1


def example() -> str:
    """Returns a page with as many elements as a large file has."""
    image = (Path(data.__file__).parent / "test_files" / "CT_small.dcm").read_bytes()
    rows = [
        (f"Element{number}", "(0010,0010)", "PN", Cell("Doe^Jane", "old"), Cell("X", "new"), "")
        for number in range(ELEMENTS)
    ]
    columns = ("Element", "Tag", "VR", "Before", "After", "By")
    pictures = [(picture(image), "before"), (picture(image), "after")]
    return page_of("An example", [Section("What changes", columns, rows, pictures)])


def run(browser: str, page: Path, *flags: str) -> str:
    """Opens a page, and returns what the browser prints."""
    done = subprocess.run(
        [
            browser,
            *("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"),
            *flags,
            page.resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
