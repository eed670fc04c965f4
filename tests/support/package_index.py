"""A package index of a day to come: each locked package has a newer release there."""

import re
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.servers import HOST

NEWER = "99999"
"""The release that is newer than any other."""


def normal(name: str) -> str:
    """The name of a package as an index writes it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(wheel: Path) -> str:
    """The name of the package that a wheel holds, as an index writes it."""
    return normal(wheel.name.split("-")[0])


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep requests out of the tests' output."""


@contextmanager
def serving(wheels: Iterable[Path], folder: Path) -> Iterator[str]:
    """The address of an index (PEP 503) of these files and a newer release of each package."""
    for wheel in wheels:
        distribution = wheel.name.split("-")[0]
        page = folder / "simple" / name_of(wheel)
        page.mkdir(parents=True)
        (page / wheel.name).symlink_to(wheel)
        _write_newer(page, distribution)
        links = [f'<a href="{each.name}">{each.name}</a><br>' for each in sorted(page.iterdir())]
        (page / "index.html").write_text("<!DOCTYPE html>\n" + "\n".join(links))
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/simple"
        finally:
            server.shutdown()
            thread.join()


def without_content(wheel: Path, folder: Path) -> Path:
    """A file of the same name with the metadata of a wheel and nothing else, in this folder."""
    hollow = folder / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(hollow, "w") as copy:
        for each in whole.namelist():
            if re.fullmatch(r"[^/]+\.dist-info/(METADATA|WHEEL|RECORD)", each):
                copy.writestr(each, whole.read(each))
    return hollow


def _write_newer(folder: Path, distribution: str) -> None:
    about = f"{distribution}-{NEWER}.dist-info"
    with zipfile.ZipFile(folder / f"{distribution}-{NEWER}-py3-none-any.whl", "w") as wheel:
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {NEWER}\n"
        wheel.writestr(f"{about}/METADATA", metadata)
        tags = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{about}/WHEEL", tags)
        wheel.writestr(f"{about}/RECORD", "")
