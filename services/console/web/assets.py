"""Style, scripts and pictures of the pages: ours and vendored ones, served from here and from nowhere else.

Their addresses carry a digest of what is in them, so a browser keeps them for ever and never an old one.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from libs.runtime.problems import Problem

FOLDER = Path(__file__).parents[1] / "assets"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_KEPT = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    content: bytes
    packed: bytes
    media_type: str
    digest: str


class Assets:
    """All of them, in memory: some 150 kB."""

    def __init__(self) -> None:
        self._assets = {
            path.relative_to(FOLDER).as_posix(): _read(path)
            for path in sorted(FOLDER.rglob("*"))
            if path.suffix in _TYPES
        }

    def url(self, name: str) -> str:
        """Where a page finds a file. KeyError: there is none."""
        return f"/assets/{self._assets[name].digest}/{name}"

    def routes(self) -> APIRouter:
        """They are for everybody: nothing of anybody is in them."""
        router = APIRouter(prefix="/assets", include_in_schema=False)

        @router.get("/{digest}/{name:path}")
        async def asset(request: Request, digest: str, name: str) -> Response:
            found = self._assets.get(name)
            if found is None or found.digest != digest:
                raise Problem(404, "http_404", "Not Found", "There is no such file.", "Reload the page.")
            headers = {"Cache-Control": _KEPT, "Vary": "Accept-Encoding"}
            if "gzip" in request.headers.get("accept-encoding", ""):
                return Response(found.packed, 200, headers | {"Content-Encoding": "gzip"}, found.media_type)
            return Response(found.content, 200, headers, found.media_type)

        return router


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Asset(content, gzip.compress(content, 9, mtime=0), _TYPES[path.suffix], digest)
