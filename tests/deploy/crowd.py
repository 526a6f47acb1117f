"""One address that asks more often than it may. Past the front, with the front's own words, so that it
is one address."""

from cloud import Cloud
from market import Market
from place import Failed

VIEWER = "2001:db8:ffff::1"
# Functions tell each other of every fifth part of what may be asked within a minute.
ENOUGH = 120 // 5 + 1
SUBMISSIONS = 10
NUMBER = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001"


def too_many(cloud: Cloud, market: Market) -> None:
    """Every route of the market often enough to be counted in the table, and one of them too often."""
    head = {"X-Framefair-Front": market.front_secret, "X-Framefair-Viewer": VIEWER}
    for verb, path in routes(cloud):
        url = market.gateway(cloud) + path
        body = None if verb == "GET" else {}
        said = [market.send(verb, url, body, head=head)[0] for _ in range(ENOUGH)]
        wanted = SUBMISSIONS if (verb, path) == ("POST", "/render") else ENOUGH
        let_in = [status for status in said if status != 429]
        # A minute may end in between, and a new one begins with a count of its own.
        if not wanted <= len(let_in) <= 2 * wanted or any(status >= 500 for status in said):
            raise Failed(f"{verb} {path}, {ENOUGH} times, is answered with {said}")


def routes(cloud: Cloud) -> list[tuple[str, str]]:
    found = []
    for resource in cloud.template["Resources"].values():
        if resource["Type"] == "AWS::ApiGatewayV2::Route":
            verb, _, path = resource["Properties"]["RouteKey"].partition(" ")
            if verb in ("GET", "POST", "PUT") and path != "/health":
                for name in ("id", "jobId", "uploadId"):
                    path = path.replace(f"{{{name}}}", NUMBER)
                found.append((verb, path))
    return sorted(found)
