"""What a service tells Prometheus, asked as Prometheus asks."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from tests.support.processes import ServiceProcess

# How long streams may take to end that nobody goes on with.
_PATIENCE_SECONDS = 30.0
_SECONDS_BETWEEN = 0.05


class Scrape:
    """What a service says at one moment."""

    def __init__(self, address: str) -> None:
        self.text = ask(f"http://{address}/metrics")
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Returns a value; 0 where there is none."""
        return self._samples.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """Returns the sum of all values that have these labels, whatever others they have."""
        wanted = labels.items()
        return sum(
            value for (each, has), value in self._samples.items() if each == name and wanted <= has
        )

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Returns the sums by these labels."""
        sums: dict[tuple[str, ...], float] = {}
        for (each, has), value in self._samples.items():
            if each == name:
                given = dict(has)
                key = tuple(given.get(label, "") for label in labels)
                sums[key] = sums.get(key, 0.0) + value
        return sums

    def since(self, earlier: Scrape) -> Scrape:
        """Returns by how much the values have grown."""
        grown = object.__new__(Scrape)
        grown.text = self.text
        grown._samples = {
            key: value - earlier._samples.get(key, 0.0) for key, value in self._samples.items()
        }
        return grown

    def names(self) -> set[str]:
        """Returns the names of all samples."""
        return {name for name, _ in self._samples}


def ask(url: str) -> str:
    """Returns what is answered to a GET."""
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - an address of this test
        text: str = answer.read().decode()
    return text


def metrics_of(service: ServiceProcess) -> str:
    """Returns where a service tells them."""
    return service.wait_for(r"event=metrics address=(\S+)")[0][1]


def at_rest(address: str) -> Scrape:
    """Returns what a service says once no stream is open, of those that were."""
    ends = time.monotonic() + _PATIENCE_SECONDS
    while Scrape(address).total("deidcascade_worker_load"):
        if time.monotonic() > ends:
            raise AssertionError("Streams do not end that nobody goes on with.")
        time.sleep(_SECONDS_BETWEEN)
    # The last of them may have been counted a moment after it had left.
    return Scrape(address)
