//! JSON-RPC itself: envelopes, batches, codes and limits, met with plain HTTP.

use serde_json::{Value, json};
use solana_sdk::pubkey::Pubkey;

use crate::stage::{SOL, Stage, at};

const METHODS: [&str; 20] = [
    "getHealth",
    "getVersion",
    "getGenesisHash",
    "getSlot",
    "getBlockHeight",
    "getBlockTime",
    "getLatestBlockhash",
    "isBlockhashValid",
    "getMinimumBalanceForRentExemption",
    "getBalance",
    "getFeeForMessage",
    "getAccountInfo",
    "getMultipleAccounts",
    "getTokenAccountBalance",
    "requestAirdrop",
    "sendTransaction",
    "simulateTransaction",
    "getSignatureStatuses",
    "getTransaction",
    "getSignaturesForAddress",
];

#[tokio::test]
async fn every_method_is_there_and_refuses_nonsense_with_the_code_for_it() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    for method in METHODS {
        for params in [json!([{"x": 1}, [], 7, 8, 9]), json!({"named": true}), json!(7)] {
            assert_eq!(rpc.refused(method, params.clone()).await, -32602, "{method} {params}");
        }
    }
    assert_eq!(rpc.refused("getEverything", json!([])).await, -32601);
    assert_eq!(rpc.refused("localnetEverything", json!([])).await, -32601);
}

#[tokio::test]
async fn bad_values_are_refused_one_by_one() {
    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let address = Pubkey::new_unique().to_string();
    let too_many = vec![address.clone(); 101];
    let many_signatures = vec!["1".repeat(64); 257];
    for (method, params) in [
        ("getBalance", json!(["not base58: 0OIl"])),
        ("getBalance", json!([&address[..20]])),
        ("getBalance", json!([address, {"commitment": 7, "minContextSlot": "x"}])),
        ("getMultipleAccounts", json!([too_many])),
        ("getSignatureStatuses", json!([many_signatures])),
        ("getSignatureStatuses", json!([[address]])),
        ("getSignaturesForAddress", json!([address, {"limit": 0}])),
        ("getSignaturesForAddress", json!([address, {"limit": 1001}])),
        ("getSignaturesForAddress", json!([address, at("processed")])),
        ("getTransaction", json!(["1".repeat(64), at("processed")])),
        ("requestAirdrop", json!([address, -1])),
        ("requestAirdrop", json!([address, 1.5])),
        ("requestAirdrop", json!([address, u64::MAX])),
        ("sendTransaction", json!(["!!", {"encoding": "base64"}])),
        ("sendTransaction", json!(["A".repeat(1_700), {"encoding": "base64"}])),
        ("sendTransaction", json!(["AAAA", {"encoding": "base64"}])),
        ("sendTransaction", json!(["AAAA", {"encoding": "jsonParsed"}])),
        ("getMinimumBalanceForRentExemption", json!([1_u64 << 40])),
        ("localnetWarpSlots", json!([0])),
        ("localnetView", json!([{"lagSlots": 100_000}])),
    ] {
        assert_eq!(rpc.refused(method, params.clone()).await, -32602, "{method} {params}");
    }
    let ahead = json!([address, {"minContextSlot": u64::MAX}]);
    assert_eq!(rpc.refused("getBalance", ahead).await, -32016);
    assert_eq!(rpc.refused("getBlockTime", json!([5])).await, -32007);
    assert_eq!(rpc.refused("getBlockTime", json!([1_u64 << 60])).await, -32004);
}

#[tokio::test]
async fn bytes_that_are_no_transaction_are_refused_and_harm_nothing() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    let stage = Stage::still().await;
    let rpc = &stage.rpc;
    let payer = rpc.wallet(SOL).await;
    let good = rpc.transfer(&payer, &Pubkey::new_unique(), SOL / 2).await;
    let good = bincode::serialize(&good).unwrap();
    let mut random = StdRng::seed_from_u64(11);
    for _ in 0..300 {
        // A real one with a few bytes changed: deeper than noise would get.
        let mut bytes = good.clone();
        for _ in 0..random.random_range(1..4) {
            let place = random.random_range(0..bytes.len());
            bytes[place] = random.random();
        }
        let config = json!({"encoding": "base64", "skipPreflight": random.random::<bool>()});
        let params = json!([BASE64_STANDARD.encode(&bytes), config]);
        let simulate = json!([BASE64_STANDARD.encode(&bytes), {"encoding": "base64"}]);
        if bytes != good {
            let _ = rpc.try_call("sendTransaction", params).await;
            let _ = rpc.try_call("simulateTransaction", simulate).await;
        }
    }
    assert_eq!(rpc.call("getHealth", json!([])).await, "ok");
    use solana_sdk::signature::Signer;
    assert_eq!(rpc.balance(&payer.pubkey(), "processed").await, SOL);
}

#[tokio::test]
async fn batches_are_answered_in_order_and_notifications_not_at_all() {
    let stage = Stage::still().await;
    let batch = json!([
        {"jsonrpc": "2.0", "id": "a", "method": "getHealth"},
        {"jsonrpc": "2.0", "method": "getHealth"},
        {"jsonrpc": "2.0", "id": 2, "method": "nothing"},
        7,
    ]);
    let (_, reply) = stage.rpc.post(batch.to_string()).await;
    assert_eq!(reply.as_array().unwrap().len(), 3);
    assert_eq!(reply[0], json!({"jsonrpc": "2.0", "id": "a", "result": "ok"}));
    assert_eq!((&reply[1]["id"], &reply[1]["error"]["code"]), (&json!(2), &json!(-32601)));
    assert_eq!(reply[2]["error"]["code"], -32600);

    let (status, reply) = stage.rpc.post(r#"{"jsonrpc":"2.0","method":"getHealth"}"#).await;
    assert_eq!((status, reply), (204, Value::Null));
    for (body, code) in [("{", -32700), ("[]", -32600), ("7", -32600), ("{\"id\":1}", -32600)] {
        let (_, reply) = stage.rpc.post(body).await;
        assert_eq!(reply["error"]["code"], code, "{body}");
    }
    let many = vec![json!({"jsonrpc": "2.0", "id": 1, "method": "getHealth"}); 101];
    let (_, reply) = stage.rpc.post(json!(many).to_string()).await;
    assert_eq!(reply["error"]["code"], -32600);
    let (status, _) = stage.rpc.post(" ".repeat(300 * 1024)).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_page_in_a_browser_reaches_the_chain_but_not_what_is_for_tests() {
    let stage = Stage::still().await;
    let ask = async |method: &str, params: Value| {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let reply = stage
            .rpc
            .http
            .post(stage.chain.rpc_url())
            .header("origin", "http://a.page.example")
            .body(request.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(reply.headers()["access-control-allow-origin"], "*");
        reply.json::<Value>().await.unwrap()
    };
    assert_eq!(ask("getHealth", json!([])).await["result"], "ok");
    assert_eq!(ask("localnetWarpSlots", json!([1])).await["error"]["code"], -32601);
}
