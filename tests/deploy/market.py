"""The market over the deployed stack: who takes part, and what each of them does. Drives real programs;
knows no database."""

import json
import secrets
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from cloud import ROOT, Cloud
from place import Failed, Place
from urllib3 import encode_multipart_formdata
from wallet import Wallet, ask_chain

SLOT_MS = "50"
# Large enough that no machine ends a render of many samples during a journey.
WIDTH, HEIGHT = 960, 540
SOL = 1_000_000_000
GAS_SOL, PURSE_SOL = "10", "1"
FLOAT = SOL
# Whoever sends money to escrow with these words makes it the operator's own.
GIFT = "framefair:donation"


def said(answer: Any) -> Any:
    """A document where it is one, else its text."""
    text = answer.read().decode()
    return json.loads(text) if answer.headers.get_content_type() == "application/json" else text


class Market:
    """A chain, the keys, a relay, a front and a node around a deployed stack."""

    def __init__(self, place: Place, ports: Any) -> None:
        self.place = place
        self.rpc = f"http://127.0.0.1:{next(ports)}"
        self.relay_port, self.front_port = next(ports), next(ports)
        self.hub = f"http://127.0.0.1:{self.front_port}"
        self.wallets: dict[str, str] = {}
        self.front_secret, self.upload_secret = secrets.token_hex(32), secrets.token_hex(32)

    def start_chain(self) -> None:
        port = self.rpc.rsplit(":", 1)[1]
        line = [self.place.program("framefair-local"), "chain", "--data", "chain"]
        self.place.start("chain", [*line, "--rpc-port", port, "--slot-ms", SLOT_MS])
        self.place.says("chain", "rpc ")

    def genesis(self) -> str:
        return ask_chain(self.rpc, "getGenesisHash")

    def command(self, *line: str) -> dict[str, Any]:
        """A command of the command line, and the one document that it prints."""
        return json.loads(self.place.run([self.place.program("framefair"), "--json", *line]))

    def wallet(self, name: str) -> str:
        """Address of the wallet of that name, which is made when it is missing."""
        if name not in self.wallets:
            said = self.command("wallet", "new", str(self.place.path(f"{name}.json")))
            self.wallets[name] = said["wallet"]
        return self.wallets[name]

    def airdrop(self, name: str, sol: str) -> str:
        file = str(self.place.path(f"{name}.json"))
        said = self.command("wallet", "airdrop", sol, "--wallet", file, "--rpc", self.rpc)
        return said["transaction"]

    def fee(self, signature: str) -> int:
        """What the network took for a transaction."""
        options = {"maxSupportedTransactionVersion": 0, "commitment": "confirmed"}
        found = self.place.until(
            "the transaction is seen", lambda: ask_chain(self.rpc, "getTransaction", signature, options)
        )
        return found["meta"]["fee"]

    def lamports(self, name: str) -> int:
        file = str(self.place.path(f"{name}.json"))
        said = self.command("wallet", "balance", "--wallet", file, "--rpc", self.rpc)
        return int(said["lamports"])

    def keys(self) -> str:
        """The text of the secret that holds the keys of escrow and gas."""
        kept = {name: json.loads(self.place.path(f"{name}.json").read_text()) for name in ("escrow", "gas")}
        return json.dumps(kept)

    def start_relay(self, cloud: Cloud, more: dict[str, str]) -> None:
        environment = (
            cloud.role(cloud.outputs["RelayRole"])
            | self.environment(cloud)
            | more
            | {
                "TOKEN_KEYS": self.wallet("tokens"),
                "LISTEN": f"127.0.0.1:{self.relay_port}",
                "RELAY_SLOTS": "4",
                "API_ORIGIN": self.gateway(cloud),
                "FRONT_SECRET": self.front_secret,
                "UPLOAD_SECRET": self.upload_secret,
            }
        )
        self.place.start("relay", [self.place.program("framefair-relay")], environment)
        self.place.says("relay", "The relay serves")

    def gateway(self, cloud: Cloud) -> str:
        """Where the gateway is, past the front."""
        return f"{cloud.url}/_aws/execute-api/{cloud.resources['Api']}/$default"

    def environment(self, cloud: Cloud) -> dict[str, str]:
        """What the template tells a relay, and an operator's own commands need to know."""
        return {
            "RUST_LOG": "info",
            "TABLE": cloud.outputs["TableName"],
            "BUCKET": cloud.outputs["DataBucket"],
            "QUEUE_URL_PREFIX": f"{cloud.url}/{cloud.account}/framefair-test-",
            "SOLANA_RPC_URL": self.rpc,
            "SOLANA_GENESIS_HASH": self.genesis(),
            "ESCROW_WALLET": self.wallet("escrow"),
        }

    def audit(self, cloud: Cloud) -> dict[str, Any]:
        """What `framefair-local audit` says of the deployment, whether it balances or not."""
        line = [self.place.program("framefair-local"), "audit", "--deployed", "--json"]
        self.place.begin("audit", line, self.environment(cloud) | cloud.operator())
        said = self.place.finish("audit", None)
        # It could not look: whoever asks looks again.
        return json.loads(said) if said.strip() else {}

    def give_credits(self, cloud: Cloud, email: str, amount: str) -> None:
        """What an operator does at a terminal."""
        line = [self.place.program("framefair-local"), "admin", "credit", email, amount, "--deployed"]
        self.place.begin("admin", line, self.environment(cloud) | cloud.operator())
        self.place.finish("admin")

    def admit(self, cloud: Cloud, node: str) -> None:
        """The same: nodes of a deployment are looked at before they get strangers' jobs."""
        line = [self.place.program("framefair-local"), "admin", "admit", node, "--deployed"]
        self.place.begin("admin", line, self.environment(cloud) | cloud.operator())
        self.place.finish("admin")

    def start_front(self, cloud: Cloud) -> None:
        script = str(ROOT / "tests/deploy/front.py")
        numbers = [str(n) for n in (self.front_port, self.relay_port, cloud.port)]
        line = [sys.executable, script, *numbers, cloud.resources["Api"]]
        self.place.start("front", line, {"FRONT_SECRET": self.front_secret})
        self.place.says("front", "the front serves")

    def start_node(self) -> None:
        file = str(self.place.path("node.json"))
        line = [self.place.program("framefair"), "node", "run", "--name", "node", "--hub", self.hub]
        self.place.start("node", [*line, "--wallet", file, "--work", str(self.place.path("work"))])
        self.place.says("node", "online ")

    def scene(self) -> str:
        script = str(ROOT / "tests/scenes/make_scenes.py")
        line = ["blender", "-b", "--factory-startup", "-noaudio", "--python-exit-code", "9", "-P", script]
        self.place.run([*line, "--", str(self.place.folder), "--only", "animation"])
        return str(self.place.path("animation.blend"))

    def begin_render(self, name: str, scene: str, client: str, *more: str) -> None:
        """Quotes, pays, waits and downloads, as a program under that name."""
        file, out = str(self.place.path(f"{client}.json")), str(self.place.path(f"{name}-frames"))
        line = [self.place.program("framefair"), "--json", "render", scene, "--wallet", file]
        line += ["--hub", self.hub, "--rpc", self.rpc, "--yes", "--out", out, "--timeout", "300"]
        self.place.begin(name, [*line, "--size", f"{WIDTH}x{HEIGHT}", *more])

    def ask(
        self, verb: str, path: str, body: Any = None, form: Any = None, head: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """A request through the front, and the status and document that come back."""
        return self.send(verb, self.hub + path, body, form, head)

    def send(
        self, verb: str, url: str, body: Any = None, form: Any = None, head: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        head, data = dict(head or {}), None
        if body is not None:
            text = json.dumps(body, separators=(",", ":"))
            head, data = head | {"Content-Type": "application/json"}, text.encode()
        if form is not None:
            data, kind = encode_multipart_formdata(form)
            head |= {"Content-Type": kind}
        request = urllib.request.Request(url, data, head, method=verb)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, said(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, said(refused)

    def must(
        self, verb: str, path: str, body: Any = None, form: Any = None, head: dict[str, str] | None = None
    ) -> Any:
        status, said = self.ask(verb, path, body, form, head)
        if status not in (200, 201):
            raise Failed(f"{verb} {path} is answered with {status}: {said}")
        return said["data"]

    def job(self, job: str) -> dict[str, Any]:
        return self.must("GET", f"/render/{job}")

    def signed(self, name: str, short: str) -> dict[str, Any]:
        """The members that prove a wallet's word, for a single use."""
        timestamp, nonce = int(time.time() * 1000), secrets.token_hex(16)
        signature = self.key(name).sign(f"{short}:{timestamp}:{nonce}")
        return {"timestamp": timestamp, "nonce": nonce, "signature": signature}

    def key(self, name: str) -> Wallet:
        self.wallet(name)
        return Wallet(self.place.path(f"{name}.json"))
