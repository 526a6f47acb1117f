"""A wallet's key: what it signs, and what it pays. Knows the chain's JSON-RPC and nothing of the hub."""

import base64
import json
import urllib.request
from pathlib import Path
from typing import Any

from place import Failed
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")


def ask_chain(rpc: str, method: str, *params: Any) -> Any:
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    head = {"Content-Type": "application/json"}
    request = urllib.request.Request(rpc, json.dumps(call).encode(), head)
    with urllib.request.urlopen(request, timeout=30) as answer:
        said = json.load(answer)
    if "result" not in said:
        raise Failed(f"the chain answers {method} with {said}")
    return said["result"]


class Wallet:
    def __init__(self, file: Path) -> None:
        self.key = Keypair.from_bytes(bytes(json.loads(file.read_text())))

    def sign(self, text: str) -> str:
        return str(self.key.sign_message(text.encode()))

    def pay(self, rpc: str, to: str, lamports: int, memo: str) -> str:
        """One transaction that transfers and carries the memo; its signature, not yet confirmed."""
        own = self.key.pubkey()
        latest = ask_chain(rpc, "getLatestBlockhash", {"commitment": "confirmed"})["value"]
        move = TransferParams(from_pubkey=own, to_pubkey=Pubkey.from_string(to), lamports=lamports)
        note = Instruction(MEMO_PROGRAM, memo.encode(), [])
        blockhash = Hash.from_string(latest["blockhash"])
        message = MessageV0.try_compile(own, [transfer(move), note], [], blockhash)
        wire = bytes(VersionedTransaction(message, [self.key]))
        text = base64.b64encode(wire).decode()
        options = {"encoding": "base64", "preflightCommitment": "confirmed"}
        return ask_chain(rpc, "sendTransaction", text, options)
