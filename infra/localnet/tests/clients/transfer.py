"""The stock solders against the chain: fund, transfer, confirm by RPC and by WebSocket, read back.

Prints one line of JSON for the test that runs it. Arguments: the RPC's URL, the WebSocket's URL.
"""

import asyncio
import json
import sys
import time
import urllib.request

from solders.commitment_config import CommitmentConfig, CommitmentLevel
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.rpc.config import (
    RpcContextConfig,
    RpcSendTransactionConfig,
    RpcSignaturesForAddressConfig,
    RpcSignatureSubscribeConfig,
    RpcTransactionConfig,
)
from solders.rpc.requests import (
    GetBalance,
    GetLatestBlockhash,
    GetSignaturesForAddress,
    GetSignatureStatuses,
    GetTransaction,
    RequestAirdrop,
    SendVersionedTransaction,
    SignatureSubscribe,
)
from solders.rpc.responses import (
    GetBalanceResp,
    GetLatestBlockhashResp,
    GetSignaturesForAddressResp,
    GetSignatureStatusesResp,
    GetTransactionResp,
    RequestAirdropResp,
    SendTransactionResp,
    SignatureNotification,
    parse_websocket_message,
)
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from solders.transaction_status import UiTransactionEncoding
from websockets.asyncio.client import connect

RPC, WS = sys.argv[1:3]
CONFIRMED = RpcContextConfig(commitment=CommitmentLevel.Confirmed)


def call(request, response):
    http = urllib.request.Request(
        RPC, request.to_json().encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(http, timeout=30) as answer:
        return response.from_json(answer.read().decode())


def await_confirmed(signature):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = call(GetSignatureStatuses([signature]), GetSignatureStatusesResp).value[0]
        if status is not None and status.satisfies_commitment(CommitmentConfig.confirmed()):
            assert status.err is None, status
            return status
        time.sleep(0.02)
    raise TimeoutError(signature)


def signed(payer, payee, lamports):
    latest = call(GetLatestBlockhash(CONFIRMED), GetLatestBlockhashResp).value
    instruction = transfer(
        TransferParams(from_pubkey=payer.pubkey(), to_pubkey=payee, lamports=lamports)
    )
    message = MessageV0.try_compile(payer.pubkey(), [instruction], [], latest.blockhash)
    return VersionedTransaction(message, [payer])


def send(transaction):
    config = RpcSendTransactionConfig(preflight_commitment=CommitmentLevel.Confirmed)
    return call(SendVersionedTransaction(transaction, config), SendTransactionResp).value


async def send_and_subscribe(transaction):
    """Subscribes before sending, like a careful client, and waits to be told."""
    signature = transaction.signatures[0]
    config = RpcSignatureSubscribeConfig(commitment=CommitmentLevel.Confirmed)
    async with connect(WS) as socket:
        await socket.send(SignatureSubscribe(signature, config).to_json())
        parse_websocket_message(await socket.recv())
        assert await asyncio.to_thread(send, transaction) == signature
        async with asyncio.timeout(60):
            told = parse_websocket_message(await socket.recv())[0]
    assert isinstance(told, SignatureNotification), told
    return told.result.value.err


payer, payee = Keypair(), Keypair().pubkey()
await_confirmed(call(RequestAirdrop(payer.pubkey(), 2_000_000_000), RequestAirdropResp).value)
funded = call(GetBalance(payer.pubkey(), CONFIRMED), GetBalanceResp).value

polled = send(signed(payer, payee, 5_000_000))
await_confirmed(polled)
transaction = signed(payer, payee, 7_000_000)
told_err = asyncio.run(send_and_subscribe(transaction))
subscribed = transaction.signatures[0]

found = call(
    GetTransaction(
        subscribed,
        RpcTransactionConfig(
            encoding=UiTransactionEncoding.Base64,
            commitment=CommitmentLevel.Confirmed,
            max_supported_transaction_version=0,
        ),
    ),
    GetTransactionResp,
).value
history = call(
    GetSignaturesForAddress(
        payee, RpcSignaturesForAddressConfig(commitment=CommitmentLevel.Confirmed)
    ),
    GetSignaturesForAddressResp,
).value
print(
    json.dumps(
        {
            "funded": funded,
            "received": call(GetBalance(payee, CONFIRMED), GetBalanceResp).value,
            "left": call(GetBalance(payer.pubkey(), CONFIRMED), GetBalanceResp).value,
            "told_err": None if told_err is None else str(told_err),
            "fee": found.transaction.meta.fee,
            "same_bytes": found.transaction.transaction == transaction,
            "delta": found.transaction.meta.post_balances[1] - found.transaction.meta.pre_balances[1],
            "history": [str(entry.signature) for entry in history],
            "expected_history": [str(subscribed), str(polled)],
        }
    )
)
