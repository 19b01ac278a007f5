"""What all tests share: no network beyond this machine, and switches as a fresh shell has them."""

import csv
import socket

import pytest

from utils import switches

LOCAL = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Let a test talk to this machine only; anything else fails at once and by name."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
            raise OSError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def plain_switches(monkeypatch, request):
    """Unset the switches; a test marked `real` keeps LESSONS_DATA, which says where data lie."""
    for variable in ("LESSONS_SCALE", "LESSONS_SOURCE"):
        monkeypatch.delenv(variable, raising=False)
    if not request.node.get_closest_marker("real"):
        monkeypatch.delenv("LESSONS_DATA", raising=False)


@pytest.fixture
def course_sheet():
    """Return a reader of the course's workbooks: name -> rows of cells as text, A1 first.

    They are not ours to pass on, so they lie beside the real data, or the test is skipped.
    """

    def read(name):
        path = switches.data_folder() / "course-goldens" / f"{name}.csv"
        if not path.exists():
            pytest.skip(f"{path} is not at hand")
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))

    return read
