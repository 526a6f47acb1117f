"""Somebody who plays Stripe: opens pages to pay on, and signs what it reports, as Stripe's documents say."""

import hashlib
import hmac
import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from market import Market
from place import Failed

WEBHOOK = "/api/v1/webhooks/stripe"


class Stripe:
    def __init__(self) -> None:
        self.key = f"sk_test_{secrets.token_hex(16)}"
        self.signing = f"whsec_{secrets.token_hex(16)}"
        self.opened: list[dict[str, list[str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def report(self, market: Market, event: str, kind: str, about: dict[str, Any]) -> None:
        """Through the front, byte for byte as it was signed."""
        said = {"id": event, "created": int(time.time()), "type": kind, "data": {"object": about}}
        body, at = json.dumps(said, indent=2).encode(), int(time.time())
        signature = hmac.new(self.signing.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        head = {"Content-Type": "application/json", "Stripe-Signature": f"t={at},v1={signature}"}
        request = urllib.request.Request(market.hub + WEBHOOK, body, head, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                heard = json.load(answer)
        except urllib.error.HTTPError as refused:
            raise Failed(f"{event} is answered with {refused.code}: {refused.read()!r}") from refused
        if heard != {"received": True}:
            raise Failed(f"{event} is answered with {heard}")


def _answering(stripe: Stripe) -> type[BaseHTTPRequestHandler]:
    class Sessions(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            known = self.headers["Authorization"] == f"Bearer {stripe.key}"
            if known:
                stripe.opened.append(form)
            name = f"cs_test_{len(stripe.opened)}"
            page = {"id": name, "object": "checkout.session", "url": f"https://checkout.stripe.com/c/pay/{name}"}
            self.send_response(200 if known else 401)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(page if known else {"error": {"type": "api_error"}}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    return Sessions
