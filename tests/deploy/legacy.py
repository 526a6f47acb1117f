"""A provider of the published kind: it serves its own endpoint over HTTPS, with a certificate of an
authority that the relay is told of, and reports over HTTP."""

import json
import ssl
import threading
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from market import Market
from place import Place

PRICE = {"pricePerFrame": 0.001, "pricePerSecond": 0.0001, "pricePerGb": 0.01}
PRICING = PRICE | {"minimumPrice": 0.005, "currency": "SOL"}
SPEC = {
    "gpus": [{"name": "NVIDIA RTX 4090", "vram": 24}],
    "gpuCount": 1,
    "totalVram": 24,
    "maxFileSize": 500,
    "supportedFormats": [".blend"],
    "blenderVersion": "9.9.9",
    "renderEngines": ["cycles", "eevee"],
}


class Authority:
    """Who vouches for the endpoint, and for nobody else."""

    def __init__(self, place: Place) -> None:
        self._authority = trustme.CA()
        self.file = place.path("authority.pem")
        self._authority.cert_pem.write_to_path(str(self.file))

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert("127.0.0.1").configure_cert(context)
        return context


class Legacy:
    """Takes the first task that is pushed without ever saying so, and is busy from then on."""

    def __init__(self, market: Market, authority: Authority) -> None:
        self.market = market
        self.jobs: list[str] = []
        self.knocks = 0
        self.asked = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(self))
        self._server.socket = authority.context().wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.id = self._register(f"https://127.0.0.1:{self._server.server_address[1]}")
        self._set("online")

    def close(self) -> None:
        self._set("offline")
        self._server.shutdown()

    def complete(self, job: str, picture: Path) -> None:
        signature = self.market.key("legacy").sign(f"complete:{job}:1.5")
        words = {"providerId": self.id, "renderTime": "1.5", "signature": signature}
        form = {"result": ("result.png", picture.read_bytes())} | words
        self.market.must("POST", f"/provider/job/{job}/complete", form=form)

    def is_said_to_fail(self, job: str) -> None:
        """Unsigned, as anybody can say it."""
        word = {"providerId": self.id, "error": "out of memory"}
        self.market.must("POST", f"/provider/job/{job}/failed", word)

    def _register(self, endpoint: str) -> str:
        wallet, name = self.market.wallet("legacy"), "legacy"
        signature = self.market.key("legacy").sign(f"register:{wallet}:{name}")
        body = {"name": name, "wallet": wallet, "endpoint": endpoint, "spec": SPEC, "pricing": PRICING}
        return self.market.must("POST", "/provider/register", body | {"signature": signature})["providerId"]

    def _set(self, status: str) -> None:
        signature = self.market.key("legacy").sign(f"status:{self.id}:{status}")
        body = {"providerId": self.id, "status": status, "signature": signature}
        self.market.must("PUT", "/provider/status", body)


def _answering(legacy: Legacy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            legacy.asked += 1
            self._say(200, {"status": "ok", "isRendering": bool(legacy.jobs), "spec": SPEC, "pricing": PRICING})

        def do_POST(self) -> None:
            form = _form(self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"])))
            legacy.knocks += 1
            if legacy.jobs:
                self._say(503, {"error": "Already rendering"})
            else:
                # The connection ends, and nothing was answered.
                legacy.jobs.append(form["jobId"])

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _say(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler


def _form(kind: str, body: bytes) -> dict[str, str]:
    """The texts of a form; of a file its name."""
    form = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    return {_name(part): part.get_filename() or str(part.get_payload()) for part in form.iter_parts()}


def _name(part: Message) -> str:
    return str(part.get_param("name", header="content-disposition"))
