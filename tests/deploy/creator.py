"""People with an account over the deployed stack: they come, spend, and go."""

from typing import Any

from cloud import Cloud
from market import Market
from place import Failed, Place

EMAIL, PASSWORD = "ada@example.com", "correct horse"
API = "/api/v1"


def people(place: Place, cloud: Cloud, market: Market) -> None:
    def ask(verb: str, path: str, wanted: int, body: Any = None, token: str | None = None) -> Any:
        head = {"Authorization": f"Bearer {token}"} if token else {}
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
    fresh = ask("POST", "/auth/refresh", 200, {"refresh_token": pair["refresh_token"]})
    ask("POST", "/auth/logout", 200, token=fresh["access_token"])
    ask("GET", "/credits/balance", 401, token=token)
    ready = ask("GET", "/health/ready", 200)
    if ready["status"] != "ready" or ask("GET", "/health", 200)["status"] != "healthy":
        raise Failed(f"the deployment says of itself {ready}")
    if market.ask("GET", "/version")[1]["environment"] != "staging":
        raise Failed("the deployment does not know what it is called")


def anchored(market: Market, entry: int, token: str) -> bool | None:
    status, _ = market.ask("GET", f"{API}/ledger/{entry}/proof", head={"Authorization": f"Bearer {token}"})
    return True if status == 200 else None
