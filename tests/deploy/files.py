"""Files that come in beside a request: in parts, by links, and in a stream that a relay takes in."""

import hashlib
import secrets
import urllib.request
from typing import Any

from market import Market

# Above what a request to a function may carry.
LARGE = 5 << 20


Sent = tuple[dict[str, Any], dict[str, str]]
"""What stands for a file in a form, and in a head."""


def in_parts(market: Market, name: str, data: bytes, purpose: str) -> Sent:
    """Sends a small file as an upload of one part."""
    wish = {"filename": name, "size": len(data), "purpose": purpose, "parts": []}
    begun = market.must("POST", "/uploads", wish)
    path, head = f"/uploads/{begun['uploadId']}", {"X-Upload-Token": begun["uploadToken"]}
    part = {"number": 1, "sha256": hashlib.sha256(data).hexdigest()}
    (link,) = market.must("POST", f"{path}/parts", {"parts": [part]}, head=head)["parts"]
    put = urllib.request.Request(link["url"], data, link["headers"], method="PUT")
    with urllib.request.urlopen(put, timeout=60) as answer:
        etag = answer.headers["ETag"]
    market.must("POST", f"{path}/complete", {"parts": [{"number": 1, "etag": etag}]}, head=head)
    return {"uploadId": begun["uploadId"]}, head


def streamed(market: Market) -> list[int]:
    """Asks for quotes for two large files, a mesh and noise; gives the answers' statuses."""
    mesh = b"o large\n" + b"v 0.25 0.5 0.75\n" * (LARGE // 16)
    files = ("large.obj", mesh), ("noise.blend", secrets.token_bytes(LARGE))
    forms = ({"file": file, "clientWallet": market.wallet("client")} for file in files)
    return [market.ask("POST", "/render", form=form)[0] for form in forms]


def hand_in(market: Market, provider: str, job: str, result: Sent, by: str = "node") -> int:
    """A result over HTTP, as providers without a socket send it; gives the answer's status."""
    proof = {name: str(value) for name, value in market.signed(by, f"complete:{job}:1.5").items()}
    form = result[0] | {"providerId": provider, "renderTime": "1.5"} | proof
    return market.ask("POST", f"/provider/job/{job}/complete", form=form, head=result[1])[0]
