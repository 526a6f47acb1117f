//! What a job is given to work on is there for as long as the job may need it.

use framefair_app::sweep::{Reach, sweep};
use framefair_app::uploads::{Pass, UploadKind, UploadRow, UploadSecret};
use framefair_app::{Call, Ctx, Refusal, jobs};
use framefair_domain::id::UploadId;
use framefair_domain::time::HOUR_MS;
use framefair_store::rows::UploadDone;
use framefair_store::{Update, When, Write, keys};

use crate::ground::Ground;
use crate::jobs::node_that_says;
use crate::places::{dispatch, job, relay};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A file that came in whole a moment ago, and may be used for another day.
async fn upload(ctx: &Ctx) -> (UploadId, Pass) {
    let (now, id) = (Call::live().now, UploadId::new(Call::live().now, [7; 10]));
    let upload = UploadRow {
        id,
        kind: UploadKind::Result,
        name: "order.json".into(),
        bytes: 2,
        parts: "joined".into(),
        from: "203.0.113.7".into(),
        owner: None,
        said: None,
        plain: false,
        created: now,
        expires: now.plus_ms(24 * HOUR_MS),
        done: Some(UploadDone { tree: "0".repeat(64), sha256: None }),
        kept: None,
    };
    ctx.store.objects().put(&upload.object(), "{}".into(), "text/plain", false).await.unwrap();
    ctx.store.write(Write::put(&upload, When::Absent)).await.unwrap();
    (id, Pass::Token(ctx.upload_secret().unwrap().token(id)))
}

async fn is_there(ctx: &Ctx, id: UploadId) -> bool {
    ctx.store.get::<UploadRow>(&keys::upload(id)).await.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_stays_while_its_job_may_wait_and_be_worked_on_and_goes_then() {
    let ground = Ground::open().await;
    let (mut ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    ctx.platform.upload_secret = Some(UploadSecret::new(SECRET).unwrap());
    let mut call = Call::live();
    relay(&ctx, &call).await;
    node_that_says(&ctx, 1, &["echo"], serde_json::json!({ "slots": 1 })).await;
    let (id, pass) = upload(&ctx).await;
    let wish = || jobs::Wish { job_type: "echo".into(), payload_ref: format!("upload:{id}") };
    let placed = jobs::dispatch(&ctx, &mut call, user, None, wish(), Some(&pass)).await.unwrap();
    let input = job(&ctx, placed.job).await.deal.input.unwrap();
    assert_eq!(input.name, "order.json");
    let after = |hours: i64| Call::new(call.now.plus_ms(hours * HOUR_MS), [8; 32]);
    sweep(&ctx, &mut after(26), Reach::Due).await.unwrap();
    assert!(is_there(&ctx, id).await, "an upload that nobody used would be gone");
    sweep(&ctx, &mut after(50), Reach::Due).await.unwrap();
    assert!(!is_there(&ctx, id).await);
    let gone = jobs::dispatch(&ctx, &mut call, user, None, wish(), Some(&pass)).await;
    assert!(matches!(gone, Err(Refusal::Fields(_))), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_a_crash_left_taken_is_found_free() {
    let ground = Ground::open().await;
    let (ctx, user) = (ground.process(), ground.user("ada@example.com").await);
    let mut call = Call::live();
    relay(&ctx, &call).await;
    let node = node_that_says(&ctx, 1, &["echo"], serde_json::json!({ "slots": 1 })).await;
    let nobodys = framefair_domain::id::JobId::new(call.now, [9; 10]).to_string();
    let taken = Update::at(keys::node(node.node), When::Present).set(["leases", &nobodys], 1);
    ctx.store.write(taken).await.unwrap();
    let wish = jobs::Wish { job_type: "echo".into(), payload_ref: "x".into() };
    let waits = dispatch(&ctx, &mut call, user, wish).await.unwrap();
    assert_eq!(job(&ctx, waits.job).await.task.lease, None);
    // The first look finds out, and the next one finds the place.
    for _ in 0..2 {
        let hint = framefair_app::Hint::about(waits.job);
        framefair_app::delivery::dispatch(&ctx, &mut call, &hint).await.unwrap();
    }
    assert_eq!(job(&ctx, waits.job).await.task.lease.map(|lease| lease.node), Some(node.node));
}
