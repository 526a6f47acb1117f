"""The whole product deployed to an emulator, from the template to the last lamport.

    python tests/deploy PROGRAMS ZIPS

PROGRAMS is the folder of the built programs, ZIPS what `cargo lambda build` packed.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud import Cloud
from creator import people
from crowd import too_many
from journeys import around, by_hand, keep_busy, paid_and_rendered, pushed, refunded, relay_ends
from legacy import Authority
from market import FLOAT, GAS_SOL, GIFT, PURSE_SOL, Market
from place import Failed, Place, free_ports
from roles import compare
from stripe import Stripe

# Where the provider with an endpoint of its own is.
ENDPOINTS = "127.0.0.0/8"
# Ten times what it takes. Whatever stands still then says where.
WHOLE_MAX_S = 30 * 60


@contextmanager
def step(what: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    print(f"deploy: {what} ({time.monotonic() - begun:.1f} s)", flush=True)


def run(place: Place, cloud: Cloud, market: Market, zips: Path) -> None:
    stripe = Stripe()
    with step("a chain, and a cloud that enforces roles"):
        market.start_chain()
        cloud.start()
        place.alarm = cloud.refuse_denials
        for name, sol in (("gas", GAS_SOL), ("anchor", PURSE_SOL), ("client", PURSE_SOL), ("other", PURSE_SOL)):
            market.wallet(name)
            market.airdrop(name, sol)
        for name in ("escrow", "node"):
            market.wallet(name)
    with step("the stack, by CloudFormation"):
        cloud.deploy(
            zips,
            {
                "Environment": "staging",
                "SolanaRpcUrl": market.rpc,
                "SolanaGenesisHash": market.genesis(),
                "EscrowWallet": market.wallet("escrow"),
                "KeysSecret": cloud.keep_secret("framefair-keys", market.keys()),
                "ProviderEndpointAllow": ENDPOINTS,
                "PayoutCapSol": "100",
                "TokenKeys": market.wallet("tokens"),
                "TokenSecret": cloud.keep_secret("framefair-token", place.path("tokens.json").read_text()),
                "AnchorWallet": market.wallet("anchor"),
                "AnchorIntervalSeconds": "1",
                "AnchorSecret": cloud.keep_secret("framefair-anchor", place.path("anchor.json").read_text()),
                "StripeSecret": cloud.keep_secret("framefair-stripe", stripe.key),
                "StripeWebhookSecrets": cloud.keep_secret("framefair-webhook", stripe.signing),
                "StripeApiUrl": stripe.url,
                "CheckoutSuccessUrl": "https://example.org/paid",
                "CheckoutCancelUrl": "https://example.org/",
                "FrontSecret": market.front_secret,
                "UploadSecret": market.upload_secret,
                "RelayImage": "registry.example.org/relay:1",
                "RelayVpc": "vpc-00000000",
                "RelaySubnets": "subnet-00000000,subnet-00000001",
                "RelayHost": "relay.example.org",
                "RelayCertificate": f"arn:aws:acm:us-east-1:{cloud.account}:certificate/relay",
            },
        )
    with step("a float for the escrow"):
        market.key("gas").pay(market.rpc, market.wallet("escrow"), FLOAT, GIFT)
    with step("a relay, the front and a node"):
        authority = Authority(place)
        market.start_relay(cloud, {"PROVIDER_ENDPOINT_ALLOW": ENDPOINTS, "SSL_CERT_FILE": str(authority.file)})
        market.start_front(cloud)
        market.start_node()
    with step("a scene"):
        scene = market.scene()
    with step("quote, payment, lease, render, verification, download, payout"):
        frame = paid_and_rendered(place, cloud, market, scene)
    with step("what else is asked of the hub"):
        around(cloud, market)
    with step("an unreported payment found, cancelled and refunded, while the node is busy"):
        busy = keep_busy(place, market, scene)
        refunded(place, cloud, market, scene)
    with step("a job given up over HTTP, leased again, handed in over HTTP and paid"):
        by_hand(place, cloud, market, frame, busy)
    with step("a job pushed to a provider's own endpoint over HTTPS, and paid"):
        pushed(place, cloud, market, scene, frame, authority)
    with step("somebody registers, spends credits, buys some, refreshes and logs out"):
        people(place, cloud, market, stripe)
    with step("one address that asks too often"):
        too_many(cloud, market)
    with step("the relay ends in order"):
        relay_ends(place, market)
    with step("no message was given up"):
        cloud.refuse_dead_letters()
    with step("each role grants what its function used, and nothing else"):
        compare(cloud)


def too_long(*_: object) -> None:
    raise TimeoutError(f"it is not done after {WHOLE_MAX_S} s")


def main(programs: Path, zips: Path) -> int:
    place = Place(programs)
    ports = free_ports()
    market, cloud = Market(place, ports), Cloud(place, next(ports))
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(WHOLE_MAX_S)
    try:
        run(place, cloud, market, zips)
    except Exception as failed:
        for name in ("relay", "node"):
            print(f"--- {name}\n{place.log(name)[-4000:]}", file=sys.stderr)
        print(f"--- functions\n{cloud.logs()}", file=sys.stderr)
        if not isinstance(failed, Failed):
            raise
        print(f"deploy: {failed}", file=sys.stderr)
        return 1
    finally:
        signal.alarm(0)
        place.close()
    print("deploy: everything holds")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
