//! Signatures that are none, or that a looser check lets pass: each is refused by every operation that
//! takes one, in the envelope, and leaves everything as it was.

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use framefair_domain::id::ProviderId;
use framefair_domain::wallet::Wallet;
use framefair_store::rows::ProviderRow;
use framefair_store::{When, Write, keys};
use reqwest::RequestBuilder;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::people::{Seller, blend, buyer, now_ms, order, pricing, quote};
use crate::stage::Hub;

/// The order of the group of signatures, in little-endian bytes.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Keys of order 1, 2, 4 and 8, canonical and not: everybody can sign in their name.
const SMALL: [&str; 6] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    // The address of Solana's system program.
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
];

fn base58(bytes: &[u8]) -> String {
    bs58::encode(bytes).into_string()
}

/// Makes the request that bears a signature.
type Bearing = Box<dyn Fn(&Hub, &str) -> RequestBuilder>;

/// An operation, what is to be signed for it, and the request that bears the signature.
struct Signed {
    operation: &'static str,
    text: String,
    request: Bearing,
    /// What a true signature is answered with.
    accepted: u16,
}

fn put(hub: &Hub, path: &str, body: &Value) -> RequestBuilder {
    hub.ask("PUT", path).json(body)
}

/// Everything that `wallet`, as provider `id`, signs over HTTP. `tail` is put behind each text: the
/// timestamp and the nonce, or nothing.
fn signed_by(wallet: &str, id: &str, job: &str, once: Option<(i64, String)>) -> Vec<Signed> {
    let tail = once.as_ref().map_or(String::new(), |(at, nonce)| format!(":{at}:{nonce}"));
    let (at, nonce) = once.map_or((Value::Null, Value::Null), |(at, n)| (json!(at), json!(n)));
    let body = json!({ "providerId": id, "timestamp": at, "nonce": nonce });
    let with = move |members: &[(&str, Value)]| {
        let mut body = body.clone();
        for (name, value) in members {
            body[*name] = value.clone();
        }
        body
    };
    let mut registration = Seller::new(77).registration("Ash", &["frames"]);
    for (name, value) in
        [("wallet", json!(wallet)), ("timestamp", at.clone()), ("nonce", nonce.clone())]
    {
        registration[name] = value;
    }
    let prices = pricing().to_string();
    let (status, raw, failed) = (with.clone(), with.clone(), with);
    let (provider, of_job, failed_job) = (id.to_owned(), job.to_owned(), job.to_owned());
    let text = |text: String| format!("{text}{tail}");
    vec![
        Signed {
            operation: "providerRegister",
            text: text(format!("register:{wallet}:Ash")),
            request: Box::new(move |hub, signature| {
                let mut body = registration.clone();
                body["signature"] = json!(signature);
                hub.ask("POST", "/provider/register").json(&body)
            }),
            accepted: 200,
        },
        Signed {
            operation: "providerStatus",
            text: text(format!("status:{id}:busy")),
            request: Box::new(move |hub, signature| {
                let members = [("status", json!("busy")), ("signature", json!(signature))];
                put(hub, "/provider/status", &status(&members))
            }),
            accepted: 200,
        },
        Signed {
            operation: "providerPricing",
            text: text(format!("pricing:{id}:{prices}")),
            request: Box::new(move |hub, signature| {
                let members = [("pricing", pricing()), ("signature", json!(signature))];
                put(hub, "/provider/pricing", &raw(&members))
            }),
            accepted: 200,
        },
        Signed {
            operation: "providerComplete",
            text: text(format!("complete:{job}:1")),
            request: Box::new(move |hub, signature| {
                let form = Form::new().part("result", Part::bytes(vec![1]).file_name("a.png"));
                let form = form.text("providerId", provider.clone()).text("renderTime", "1");
                let form = form.text("signature", signature.to_owned());
                let once = [("timestamp", &at), ("nonce", &nonce)];
                let once = once.into_iter().filter(|(_, value)| !value.is_null());
                let form = once.fold(form, |form, (name, value)| {
                    form.text(name, value.as_str().map_or(value.to_string(), str::to_owned))
                });
                hub.ask("POST", &format!("/provider/job/{of_job}/complete")).multipart(form)
            }),
            // The job is nobody's yet.
            accepted: 400,
        },
        Signed {
            operation: "providerFailed",
            text: text(format!("failed:{job}:no")),
            request: Box::new(move |hub, signature| {
                let members = [("error", json!("no")), ("signature", json!(signature))];
                let path = format!("/provider/job/{failed_job}/failed");
                hub.ask("POST", &path).json(&failed(&members))
            }),
            accepted: 200,
        },
    ]
}

fn cancel_of(job: &str, at: i64, nonce: &str) -> Signed {
    let (path, nonce) = (format!("/render/{job}/cancel"), nonce.to_owned());
    Signed {
        operation: "renderCancel",
        text: format!("cancel:{job}:{at}:{nonce}"),
        request: Box::new(move |hub, signature| {
            let body = json!({ "signature": signature, "timestamp": at, "nonce": nonce });
            hub.ask("POST", &path).json(&body)
        }),
        accepted: 200,
    }
}

/// The signature with the group's order added to its second half `times` times: true by the same
/// equation, and spelt otherwise.
fn malleated(signature: &[u8; 64], times: u8) -> [u8; 64] {
    let mut bytes = *signature;
    for _ in 0..times {
        let mut carry = 0_u16;
        for (byte, add) in bytes[32..].iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
    }
    bytes
}

/// What is no signature of `text` by `who`, and says why not.
fn bad(who: &Seller, text: &str) -> Vec<(&'static str, String)> {
    let signature = who.sign(text);
    let bytes = bs58::decode(&signature).into_vec().expect("base58");
    let bytes: [u8; 64] = bytes.try_into().expect("64 bytes");
    let with = |at: usize, bits: u8| {
        let mut bytes = bytes;
        bytes[at] ^= bits;
        base58(&bytes)
    };
    let with_r = |r: [u8; 32]| base58(&[r, bytes[32..].try_into().expect("32 bytes")].concat());
    let mut one = [0; 32];
    one[0] = 1;
    vec![
        ("empty", String::new()),
        ("a stranger's", Seller::new(66).sign(text)),
        ("of another text", who.sign(&format!("{text}!"))),
        ("a flipped bit of R", with(0, 1)),
        ("a flipped bit of S", with(63, 1)),
        ("the highest bit of S", with(63, 0x80)),
        ("63 bytes", base58(&bytes[..63])),
        ("65 bytes", base58(&[&bytes[..], &[0]].concat())),
        ("R alone", base58(&bytes[..32])),
        ("S + L", base58(&malleated(&bytes, 1))),
        ("S + 2 L", base58(&malleated(&bytes, 2))),
        ("S + 14 L", base58(&malleated(&bytes, 14))),
        ("a small R", with_r(one)),
        ("zeroes", base58(&[0; 64])),
        ("hexadecimal", hex::encode(bytes)),
        ("letters that base58 has not", format!("0OIl{}", &signature[4..])),
        ("with a blank", format!("{signature} ")),
        ("not even ASCII", "ß".repeat(44)),
        ("long", "1".repeat(60_000)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_short_or_malleated_signature_is_refused_wherever_one_is_taken() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &["frames"]).await;
    seller.set(&hub, "online").await.is(200);
    let (client, owner) = (buyer(&hub, 101).await, Seller::new(101));
    let due = quote(&hub, &client, &seller).await;
    let job = due["jobId"].as_str().expect("an id").to_owned();
    let look = |id: &'static str, path: String| {
        let hub = &hub;
        async move { hub.call(id, hub.ask("GET", &path)).await.is(200).json()["data"].clone() }
    };
    let provider = || look("providerGet", format!("/providers/{}", seller.id));
    let before = (provider().await, look("renderStatus", format!("/render/{job}")).await);

    let by_seller = signed_by(&seller.wallet, &seller.id, &job, None);
    let all = by_seller.into_iter().map(|signed| (&seller, signed));
    let all: Vec<_> =
        all.chain([(&owner, cancel_of(&job, now_ms(), "0123456789abcdef"))]).collect();
    for (who, signed) in &all {
        for (why, signature) in bad(who, &signed.text) {
            let answer = hub.call(signed.operation, (signed.request)(&hub, &signature)).await;
            let said = (answer.status, answer.error());
            assert_eq!(said, (401, "Invalid signature".into()), "{}, {why}", signed.operation);
        }
    }
    let after = (provider().await, look("renderStatus", format!("/render/{job}")).await);
    assert_eq!(after, before, "something was moved by a bad signature");
    // And it was the signatures alone: with a true one each is taken, also the nonce that was shown.
    for (who, signed) in &all {
        let request = (signed.request)(&hub, &who.sign(&signed.text));
        hub.call(signed.operation, request).await.is(signed.accepted);
    }
    hub.stop().await;
}

/// A signature that verification passes for a key of small order unless it is strict: R is the neutral
/// point and S is 0. It is true of every eighth text at least, so texts are tried.
#[allow(clippy::disallowed_methods, reason = "what must not be used passes these")]
fn anybodys(key: &[u8; 32], text: &str) -> Option<String> {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let key = VerifyingKey::from_bytes(key).expect("a point");
    let passes = key.verify(text.as_bytes(), &Signature::from_bytes(&bytes)).is_ok();
    passes.then(|| base58(&bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_for_a_wallet_of_small_order() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &["frames"]).await;
    seller.set(&hub, "online").await.is(200);
    for key in SMALL {
        let key: [u8; 32] = hex::decode(key).expect("hex").try_into().expect("32 bytes");
        let wallet = Wallet::from_bytes(key).expect("a point");
        // As a client: quoted, for a quote promises nothing, and never obeyed.
        let texts = [("clientWallet", wallet.to_string()), ("providerId", seller.id.clone())];
        let request = hub.ask("POST", "/render").multipart(order(blend(0), &texts));
        let due = hub.call("renderSubmit", request).await.is(402).json()["payment"].clone();
        let job = due["jobId"].as_str().expect("an id");
        let now = now_ms();
        let nonces = || (0..).map(|n| format!("0123456789abcdef-{n}"));
        let cancels = nonces().map(|nonce| cancel_of(job, now, &nonce));
        let mut passing = cancels.filter_map(|c| anybodys(&key, &c.text).map(|by| (c, by)));
        let (cancel, signature) = passing.next().expect("one text of eight");
        hub.call("renderCancel", (cancel.request)(&hub, &signature)).await.is(401).error();

        // As a provider: not registered, and not obeyed where its row is there all the same.
        let id = plant(&hub, &seller, wallet).await;
        for at in 0..5 {
            let tried = nonces().map(|nonce| {
                let once = Some((now, nonce));
                signed_by(&wallet.to_string(), &id, job, once).swap_remove(at)
            });
            let mut passing = tried.filter_map(|s| anybodys(&key, &s.text).map(|by| (s, by)));
            let (signed, signature) = passing.next().expect("one text of eight");
            let answer = hub.call(signed.operation, (signed.request)(&hub, &signature)).await;
            let said = (answer.status, answer.error());
            assert_eq!(said, (401, "Invalid signature".into()), "{} {wallet}", signed.operation);
        }
        let times = (0..60_000).map(|ms| now - ms);
        let mut passing =
            times.filter_map(|at| Some((at, anybodys(&key, &format!("ws:{id}:{at}"))?)));
        let (at, signature) = passing.next().expect("one text of eight");
        let why = crate::people::knock(&hub, &id, at, &signature).await;
        assert_eq!(why, Some(4001), "{wallet}");
    }
    hub.stop().await;
}

/// A provider's row as it would be had its wallet got in.
async fn plant(hub: &Hub, like: &Seller, wallet: Wallet) -> String {
    let store = &hub.machine.ctx.store;
    let known: ProviderId = like.id.parse().expect("an id");
    let row = store.get::<ProviderRow>(&keys::provider(known)).await.expect("the store");
    let mut chance = [0; 10];
    chance.copy_from_slice(&wallet.as_bytes()[..10]);
    chance[9] ^= wallet.as_bytes()[31];
    let id = ProviderId::new(framefair_domain::time::Timestamp(now_ms()), chance);
    let row = ProviderRow { id, rev: 1, wallet, ..row.expect("the provider") };
    store.write(Write::put(&row, When::Absent)).await.expect("the store");
    id.to_string()
}
