"""One address that asks more often than it may. Past the front, with the front's own words, so that it
is one address."""

import time

from cloud import Cloud
from market import Market
from place import Failed

VIEWER = "2001:db8:ffff::1"
# How often each route may be asked within a minute.
LIMITS = {
    "POST /render": 10,
    "POST /api/v1/auth/login": 5,
    "POST /api/v1/auth/refresh": 3,
    "POST /api/v1/auth/register": 10,
}
# One call more than any of them may be asked.
ENOUGH = 11
# Functions of these tell each other of every fifth part of what is allowed, which is less than so many calls.
COUNTED_TOGETHER = {"GET /metrics": 13, "GET /stats": 25, "POST /api/v1/nodes/register": 13}
# More seconds than that many calls take.
ROOM_S = 30
NUMBER = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001"


def too_many(cloud: Cloud, market: Market) -> None:
    """Every route once, and those with a limit that may not be passed by a single call once too often."""
    head = {"X-Framefair-Front": market.front_secret, "X-Framefair-Viewer": VIEWER}
    for verb, path in routes(cloud):
        url = market.gateway(cloud) + path
        body = None if verb == "GET" else {}
        route = f"{verb} {path}"
        calls = ENOUGH if route in LIMITS else COUNTED_TOGETHER.get(route, 1)
        if calls > 1:
            wait_for_room()
        said = [market.send(verb, url, body, head=head)[0] for _ in range(calls)]
        wanted = LIMITS.get(route, calls)
        let_in = [status for status in said if status != 429]
        if len(let_in) != wanted or any(status >= 500 for status in said):
            raise Failed(f"{verb} {path}, {calls} times, is answered with {said}")


def wait_for_room() -> None:
    """Until all calls of a route fit into this minute: a new one is counted by itself."""
    left = 60 - time.time() % 60
    if left < ROOM_S:
        time.sleep(left + 0.1)


def routes(cloud: Cloud) -> list[tuple[str, str]]:
    found = []
    for resource in cloud.template["Resources"].values():
        if resource["Type"] == "AWS::ApiGatewayV2::Route":
            verb, _, path = resource["Properties"]["RouteKey"].partition(" ")
            if verb in ("GET", "POST", "PUT") and path != "/health":
                for name in ("id", "jobId", "job_id", "uploadId"):
                    path = path.replace(f"{{{name}}}", NUMBER)
                found.append((verb, path))
    return sorted(found)
