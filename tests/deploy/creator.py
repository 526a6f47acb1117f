"""People with an account over the deployed stack: they come, spend, and go."""

import base64
import contextlib
import json
import time
import urllib.request
from typing import Any

from cloud import Cloud
from market import Market
from place import PATIENCE_S, Failed, Place
from solders.keypair import Keypair
from stripe import Stripe
from websockets.sync.client import ClientConnection, connect

EMAIL, PASSWORD = "ada@example.com", "correct horse"
API = "/api/v1"
# What stands before an Ed25519 key in its DER form.
SPKI = bytes.fromhex("302a300506032b6570032100")


def people(place: Place, cloud: Cloud, market: Market, stripe: Stripe) -> None:
    def ask(
        verb: str, path: str, wanted: int, body: Any = None, token: str | None = None, key: str | None = None
    ) -> Any:
        head = {"Authorization": f"Bearer {token}"} if token else {}
        head |= {"Idempotency-Key": key} if key else {}
        status, said = market.ask(verb, API + path, body, head=head)
        if status != wanted:
            raise Failed(f"{verb} {path} is answered with {status}, not {wanted}: {said}")
        return said

    who = {"email": EMAIL, "password": PASSWORD}
    ask("POST", "/auth/register", 201, who | {"name": "Ada"})
    ask("POST", "/auth/register", 409, who)
    ask("POST", "/auth/login", 401, who | {"password": "wrong horse"})
    pair = ask("POST", "/auth/login", 200, who)
    market.give_credits(cloud, EMAIL, "100")
    token = pair["access_token"]
    spent = {"amount": "10.5", "reference_id": "manual-1"}
    first = ask("POST", "/credits/deduct", 200, spent, token)
    if ask("POST", "/credits/deduct", 200, spent, token) != first:
        raise Failed("a deduction that came again is another one")
    ask("POST", "/credits/deduct", 402, {"amount": "90", "reference_id": "manual-2"}, token)
    balance = ask("GET", "/credits/balance", 200, token=token)["balance"]
    history = ask("GET", "/credits/history", 200, token=token)
    used = ask("GET", "/credits/usage", 200, token=token)
    if (balance, history["count"]) != ("89.5000", 2) or sum(day["credits"] for day in used) != 10.5:
        raise Failed(f"the account has {balance}, {history} and {used}")
    entry = first["entry_id"]
    place.until("the entry is anchored", lambda: anchored(market, entry, token))
    verdict = ask("GET", f"/ledger/{entry}/verify", 200, token=token)
    proof = ask("GET", f"/ledger/{first['id']}/proof", 200, token=token)
    anchors = ask("GET", "/ledger/anchors", 200, token=token)
    if not verdict["verified"] or verdict["merkle_root"] != proof["merkle_root"] or anchors["count"] < 1:
        raise Failed(f"the ledger says {verdict}, {proof} and {anchors}")
    ask("POST", "/credits/checkout", 422, {"sku": "cred1"}, token)
    page = ask("POST", "/credits/checkout", 200, {"sku": "cred50"}, token, "one")["url"]
    if ask("POST", "/credits/checkout", 200, {"sku": "cred50"}, token, "one")["url"] != page:
        raise Failed("a checkout that came again is another one")
    bought(market, stripe, page.rsplit("/", 1)[1])
    balance = ask("GET", "/credits/balance", 200, token=token)["balance"]
    history = ask("GET", "/credits/history", 200, token=token)
    if (balance, history["count"]) != ("89.5000", 4):
        raise Failed(f"after a purchase that was refunded the account has {balance}, {history}")
    node = nodes(ask)
    ask("POST", "/jobs/dispatch", 400, {"job_type": "inference", "payload_ref": "x"}, token)
    market.admit(cloud, node["node_id"])
    fleet = {row["job_type"]: row for row in ask("GET", "/nodes", 200, token=token)["job_types"]}
    if fleet["echo"]["nodes"] < 1:
        raise Failed(f"a node that was admitted is not counted: {fleet}")
    work(ask, market, token, node)
    fresh = ask("POST", "/auth/refresh", 200, {"refresh_token": pair["refresh_token"]})
    ask("POST", "/auth/logout", 200, token=fresh["access_token"])
    ask("GET", "/credits/balance", 401, token=token)
    ready = ask("GET", "/health/ready", 200)
    if ready["status"] != "ready" or ask("GET", "/health", 200)["status"] != "healthy":
        raise Failed(f"the deployment says of itself {ready}")
    if market.ask("GET", "/version")[1]["environment"] != "staging":
        raise Failed("the deployment does not know what it is called")


def nodes(ask: Any) -> Any:
    """A node registers, proves its key when it comes again, and lives."""
    key = Keypair()
    der = SPKI + bytes(key.pubkey())
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"
    body = {"name": "node", "public_key": pem, "capabilities": ["echo", "inference"]}
    challenge = ask("POST", "/nodes/register", 201, body)["challenge"]
    ask("POST", "/nodes/register", 409, body)
    signature = base64.b64encode(bytes(key.sign_message(challenge.encode()))).decode()
    node = ask("POST", "/nodes/register", 201, body | {"challenge": challenge, "signature": signature})
    for _ in range(2):
        beat = ask("POST", "/nodes/heartbeat", 200, {"current_load": 0.5}, node["token"])
        if beat["status"] != "HEALTHY" or beat["node_id"] != node["node_id"]:
            raise Failed(f"a node that lives is {beat}")
    return node


def work(ask: Any, market: Market, token: str, node: Any) -> None:
    """Jobs reach the node over its socket: one is put back and then done, one is taken back."""
    url = market.hub.replace("http://", "ws://") + f"{API}/relay/ws/{node['node_id']}?token={node['token']}"
    with connect(url, open_timeout=PATIENCE_S) as socket:
        hear(socket, "heartbeat_ping")
        wish = {"job_type": "inference", "payload_ref": "https://example.org/model.onnx?priority=low&gpu=false"}
        job = ask("POST", "/jobs/dispatch", 200, wish, token, "two")["job_id"]
        if ask("POST", "/jobs/dispatch", 200, wish, token, "two")["job_id"] != job:
            raise Failed("a dispatch that came again made another job")
        hear(socket, "job_dispatch")
        say(socket, {"type": "job_ack", "job_id": job, "accepted": False})
        told = hear(socket, "job_dispatch")
        if told["attempt"] != 2 or told["payload_ref"] != "https://example.org/model.onnx":
            raise Failed(f"the second attempt is {told}")
        say(socket, {"type": "job_status", "job_id": job, "status": "running", "progress": 0.5})
        put = urllib.request.Request(told["upload_url"], b'{"y":1}', {"Content-Type": "application/json"}, method="PUT")
        urllib.request.urlopen(put, timeout=60).close()
        done = {"type": "job_result", "job_id": job, "status": "completed", "result_ref": told["result_ref"]}
        say(socket, done)
        market.place.until("the job is completed", lambda: completed(ask, job, token))
        link = ask("GET", f"/jobs/{job}/result", 200, token=token)["download_url"]
        with urllib.request.urlopen(link, timeout=60) as file:
            result = file.read()
        balance = ask("GET", "/credits/balance", 200, token=token)
        if (result, balance["balance"], balance["held"]) != (b'{"y":1}', "84.5000", "0.0000"):
            raise Failed(f"the job came to {result!r} for {balance}")
        job = ask("POST", "/jobs/dispatch", 200, wish, token)["job_id"]
        # A node that never heard of a job is not told that it is taken back.
        hear(socket, "job_dispatch", job)
        if ask("POST", f"/jobs/{job}/cancel", 200, token=token)["status"] != "FAILED":
            raise Failed("a job that was taken back has not failed")
        hear(socket, "job_cancel", job)
    for path, count in (("/jobs", 2), ("/jobs?status=failed", 1)):
        listed = ask("GET", path, 200, token=token)
        if (listed["count"], listed["jobs"][0]["id"]) != (count, job):
            raise Failed(f"the account has the jobs {listed}")


def hear(socket: ClientConnection, kind: str, job: str | None = None) -> Any:
    """The next frame of this type, about this job. Pings come for ever."""
    last = time.monotonic() + PATIENCE_S
    with contextlib.suppress(TimeoutError):
        while (left := last - time.monotonic()) > 0:
            frame = json.loads(socket.recv(timeout=left))
            if frame["type"] == kind and job in (None, frame.get("job_id")):
                return frame
    raise Failed(f"the node was sent no {kind} of {job} within {PATIENCE_S} s")


def say(socket: ClientConnection, frame: Any) -> None:
    socket.send(json.dumps(frame))


def completed(ask: Any, job: str, token: str) -> bool | None:
    status = ask("GET", f"/jobs/{job}", 200, token=token)["status"]
    if status == "FAILED":
        raise Failed(f"job {job} failed")
    return True if status == "COMPLETED" else None


def bought(market: Market, stripe: Stripe, session: str) -> None:
    """A package is paid and its money given back, each told twice."""
    form = stripe.opened[-1]
    account, sku = form["client_reference_id"][0], form["metadata[sku]"][0]
    if sku != "cred50" or form["line_items[0][price_data][unit_amount]"] != ["4000"]:
        raise Failed(f"the page asks for {form}")
    payment = f"pi_{session}"
    paid = {"id": session, "payment_status": "paid", "client_reference_id": account, "payment_intent": payment}
    paid |= {"metadata": {"sku": sku}}
    back = {"id": f"ch_{session}", "payment_intent": payment, "amount": 4000, "amount_refunded": 4000}
    back |= {"currency": "usd", "metadata": {}}
    for _ in range(2):
        stripe.report(market, "evt_paid", "checkout.session.completed", paid)
    for event in ("evt_back", "evt_back_again"):
        stripe.report(market, event, "charge.refunded", back)


def anchored(market: Market, entry: int, token: str) -> bool | None:
    status, _ = market.ask("GET", f"{API}/ledger/{entry}/proof", head={"Authorization": f"Bearer {token}"})
    return True if status == 200 else None
