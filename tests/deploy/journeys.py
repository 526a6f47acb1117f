"""What must go well from a client's first request to the last payout, and what must be given back."""

import json
from pathlib import Path
from typing import Any

from cloud import Cloud
from files import LARGE, hand_in, in_parts, streamed
from legacy import Authority, Legacy
from market import HEIGHT, WIDTH, Market
from place import Failed, Place

# More samples than a node renders while the rest of a journey happens.
LONG = ("--samples", "65536")
SHORT = ("--samples", "4")
SETTINGS = {"resolution": {"width": WIDTH, "height": HEIGHT}, "samples": 4}
STRAY = 3_000_000
PNG = b"\x89PNG\r\n\x1a\n"


def paid_and_rendered(place: Place, cloud: Cloud, market: Market, scene: str) -> Path:
    """A frame for money; gives the frame."""
    before = market.lamports("client")
    market.begin_render("first", scene, "client", *SHORT)
    said = json.loads(place.finish("first"))
    frame = Path(said["files"][0])
    if not frame.read_bytes().startswith(PNG):
        raise Failed(f"{frame} is no picture")
    audit = settled(place, cloud, market, said["job"])
    price, base = int(said["lamports"]), audit["paid_out"]
    expect("the node has", market.lamports("node"), base)
    expect("escrow keeps", audit["fees"], price - base)
    fee = market.fee(said["paymentTx"])
    expect("the client paid", before - market.lamports("client"), price + fee)
    return frame


def keep_busy(place: Place, market: Market, scene: str) -> str:
    """Gives the node a job that it does not finish by itself; gives the job."""
    market.begin_render("busy", scene, "client", *LONG)

    def job() -> str | None:
        events = (json.loads(line) for line in place.log("busy").splitlines() if line[:1] == "{")
        return next((event["job"] for event in events if event.get("event") == "paid"), None)

    found = place.until("a long job is paid", job)
    place.until("the node begins it", lambda: begun(place, found, 1))
    # Not before a machine under load has said a word about its first sample.
    place.until("its progress is seen", lambda: market.job(found)["status"] == "rendering" or None)
    return found


def relay_ends(place: Place, market: Market) -> None:
    """SIGTERM: sockets are told, the slot is free, the status is 0."""
    expect("the relay ends with", place.stop("relay"), 0)
    place.says("node", "offline")


def refunded(place: Place, cloud: Cloud, market: Market, scene: str) -> None:
    """While the node is busy: a payment that nobody reported, found by the watcher, and taken back."""
    before = market.lamports("other")
    upload, head = in_parts(market, "scene.blend", Path(scene).read_bytes(), "scene")
    who = {"clientWallet": market.wallet("other"), "providerId": provider(market)["id"]}
    form = who | upload | {"settings": json.dumps(SETTINGS)}
    status, quote = market.ask("POST", "/render", form=form, head=head)
    expect("a quote is answered with", status, 402)
    offer = quote["payment"]
    job, lamports = offer["jobId"], int(offer["lamports"])
    paid = market.key("other").pay(market.rpc, offer["payTo"], lamports, offer["memo"])
    place.until("the watcher finds the payment", lambda: paying(market, job))
    stray = market.key("other").pay(market.rpc, offer["payTo"], STRAY, "a mistake")
    market.must("POST", f"/render/{job}/cancel", market.signed("other", f"cancel:{job}"))
    settled(place, cloud, market, job)
    out = before - market.fee(paid) - market.fee(stray)
    place.until("payment and stray are back", lambda: market.lamports("other") == out or None)
    status, _ = market.ask("GET", f"/render/{job}/result")
    expect("the result of a cancelled job is answered with", status, 400)


def by_hand(place: Place, cloud: Cloud, market: Market, frame: Path, busy: str) -> None:
    """A job that is given up over HTTP, and handed in over HTTP: first what is no picture, then a frame."""
    held = market.lamports("node")
    word = market.signed("node", f"failed:{busy}:out of memory")
    node = provider(market)["id"]
    word |= {"providerId": node, "error": "out of memory"}
    market.must("POST", f"/provider/job/{busy}/failed", word)
    place.until("the node begins the job again", lambda: begun(place, busy, 2))
    large = {"result": ("frame.png", b"no picture" * (LARGE // 10))}, {}
    expect("a stranger's result is answered with", hand_in(market, node, busy, large, "other"), 401)
    expect("a large result is answered with", hand_in(market, node, busy, large), 200)
    place.until("the node begins what was rejected", lambda: begun(place, busy, 3))
    uploaded = in_parts(market, "frame.png", frame.read_bytes(), "result")
    # Again, and in another way: the first answer might have been lost.
    for result in (uploaded, ({"result": ("frame.png", frame.read_bytes())}, {})):
        expect("a result is answered with", hand_in(market, node, busy, result), 200)
    said = json.loads(place.finish("busy"))
    expect("what was handed in comes out", Path(said["files"][0]).read_bytes() == frame.read_bytes(), True)
    audit = settled(place, cloud, market, busy)
    expect("what is still owed is", audit["open_obligations"], 0)
    if market.lamports("node") <= held:
        raise Failed("the provider was not paid for what it handed in")


def pushed(place: Place, cloud: Cloud, market: Market, scene: str, frame: Path, authority: Authority) -> None:
    """A job for a provider with an endpoint of its own. Its first answer is lost, so it is asked again; then
    somebody says that it failed, so it is asked for its health; it hands in a frame and is paid."""
    legacy = Legacy(market, authority)
    market.begin_render("pushed", scene, "client", "--provider", legacy.id, *SHORT)
    job = place.until("a task is pushed", lambda: legacy.jobs[0] if legacy.jobs else None)
    place.until("it is pushed again", lambda: True if legacy.knocks > 1 else None)
    place.until("it shows as rendering", lambda: market.job(job)["status"] == "rendering" or None)
    asked = legacy.asked
    legacy.is_said_to_fail(job)
    place.until("its health is asked for", lambda: True if legacy.asked > asked else None)
    legacy.complete(job, frame)
    said = json.loads(place.finish("pushed"))
    expect("what was handed in comes out", Path(said["files"][0]).read_bytes() == frame.read_bytes(), True)
    settled(place, cloud, market, job)
    expect("the provider has", market.lamports("legacy") > 0, True)
    expect("it rendered", legacy.jobs, [job])
    legacy.close()


def around(cloud: Cloud, market: Market) -> None:
    """What has no part in a job: totals, prices, what the edge answers, and who comes past the front."""
    for path in ("/stats", "/health", "/nowhere"):
        expect(f"{path} past the front says", market.send("GET", market.gateway(cloud) + path)[0], 403)
    expect("a large mesh and large noise are answered with", streamed(market), [402, 400])
    expect("/health says", market.ask("GET", "/health")[1]["status"], "healthy")
    expect("/hub/health says", market.ask("GET", "/hub/health")[1]["service"], "framefair-hub")
    expect("an unknown path is answered with", market.ask("GET", "/nowhere")[0], 404)
    expect("a wrong verb is answered with", market.ask("DELETE", "/render")[0], 405)
    expect("jobs completed", market.must("GET", "/hub/stats")["completedJobs"], 1)
    known = provider(market)
    pricing = json.dumps(known["pricing"], separators=(",", ":"))
    word = market.signed("node", f"pricing:{known['id']}:{pricing}")
    market.must("PUT", "/provider/pricing", {"providerId": known["id"], "pricing": known["pricing"], **word})


def provider(market: Market) -> dict[str, Any]:
    return market.must("GET", "/providers")["providers"][0]


def paying(market: Market, job: str) -> str | None:
    status = market.job(job)["status"]
    return status if status != "pending_payment" else None


def begun(place: Place, job: str, times: int) -> bool | None:
    """Whether the node has begun the job so often."""
    lines = [line for line in place.log("node").splitlines() if line.startswith("started")]
    return True if sum(job in line for line in lines) >= times else None


def settled(place: Place, cloud: Cloud, market: Market, job: str) -> dict[str, Any]:
    """Waits until all money of a job is where it belongs, and gives an audit that balances."""

    def look() -> bool | None:
        return True if market.job(job).get("settlement") == "settled" else None

    def audit() -> dict[str, Any] | None:
        # What came in without a quote is booked by the watcher's next look.
        found = market.audit(cloud)
        return None if found.get("mismatches", True) else found

    place.until("the job is settled", look)
    return place.until("the audit balances", audit)


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Failed(f"{what} {found!r}, not {wanted!r}")
