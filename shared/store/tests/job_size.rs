//! The hot row of a job stays under one write unit, whatever happens to it on the way.

use framefair_domain::frames::FrameRange;
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::State;
use framefair_domain::money::Lamports;
use framefair_domain::quote::Breakdown;
use framefair_domain::settlement::{Inflow, Leg, LegKind, Outflow, Plan};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use framefair_store::Entity;
use framefair_store::rows::{
    Delivered, MarketDeal, MarketJob, OutputFormat, Payment, SceneRow, Settings, Task,
};
use serde_dynamo::AttributeValue;

fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::N(digits) => digits.len() / 2 + 2,
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::L(list) => 3 + list.iter().map(|v| size(v) + 1).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(k, v)| k.len() + size(v) + 1).sum::<usize>(),
        _ => 1,
    }
}

#[test]
fn a_finished_small_job_is_one_write_unit() {
    let wallet: Wallet = "H8JLonMwSJ8ckaVT8XgfMkvcgJfFMHf6seKP8TBbpjfC".parse().unwrap();
    let now = Timestamp(1_795_340_000_000);
    let sol = Lamports(9_999_999_000);
    let job = MarketJob {
        id: JobId::new(now, [9; 10]),
        rev: 12,
        state: State::Completed,
        created: now,
        task: Task { epoch: 1, ..Task::default() },
        started: Some(now),
        ended: Some(now),
        result: Some(Delivered {
            bytes: 123_456,
            render_ms: 123_456,
            pixels: Some("cd".repeat(32)),
        }),
        error: None,
        due: Some(now),
        deal: MarketDeal {
            client: wallet,
            provider: ProviderId::new(now, [8; 10]),
            pay_to: wallet,
            direct: false,
            expires: now,
            scene: SceneRow {
                name: "a-scene-of-usual-name.blend".into(),
                bytes: 1_259_448,
                sha256: Some("ab".repeat(32)),
                tree: None,
                blender: Some((3, 4)),
            },
            settings: Settings {
                width: 1920,
                height: 1080,
                frames: FrameRange { start: 1, end: 1 },
                engine: Some("cycles".into()),
                samples: Some(128),
                output: OutputFormat::Png,
                own_range: false,
            },
            price: Breakdown {
                base_price: sol,
                file_size_fee: sol,
                frame_fee: sol,
                estimated_render_fee: sol,
                platform_fee: sol,
                total: sol,
            },
            payment: Some(Payment {
                signature: TxSignature([0xff; 64]),
                slot: 300_000_000,
                lamports: sol,
                accepted: now,
            }),
            waiting: None,
            inflow: Inflow::Final,
            outflow: Outflow::Settled,
            plan: Some(Plan {
                legs: vec![Leg { to: wallet, lamports: sol, kind: LegKind::Payout }],
                kept: sol,
            }),
            out_tx: Some(TxSignature([0xfe; 64])),
            kept: Vec::new(),
            out_used: 0,
            reader: None,
        },
    };
    let item: std::collections::HashMap<String, AttributeValue> =
        serde_dynamo::to_item(&job).unwrap();
    let mut each: Vec<(usize, &String)> =
        item.iter().map(|(k, v)| (k.len() + size(v), k)).collect();
    each.sort();
    let key = job.key();
    let (dpk, dsk) = job.indexes().due.unwrap();
    let keys = 2 + key.pk.len() + 2 + key.sk.len() + 3 + dpk.len() + 3 + dsk.len();
    let total: usize = each.iter().map(|(n, _)| n).sum::<usize>() + keys;
    assert!(total + 16 <= 1_024, "{total} bytes: {each:?}, keys {keys}");
}
