//! Sends tasks to providers' endpoints and asks for their health, as the shared queue and the clock
//! say. What an answer means is decided behind `delivery`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use framefair_app::delivery::{self, Connection, Dialled, Errand, Parcel, Probe, Pulse, Pushed};
use framefair_app::{Call, Hint, Queue, Refusal};
use framefair_outbound::{Bounds, Failed, Upload};
use framefair_wire::push::{
    Frames, Health, PART_FILE, PART_JOB, PART_SETTINGS, Resolution, Settings, is_already_rendering,
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;

use crate::Relay;

/// Errands of one relay at once; each may hold a transfer of minutes and little memory.
const AT_ONCE: usize = 64;
/// Endpoints asked for their health at once.
const PROBES_AT_ONCE: usize = 32;
/// A message stays hidden for longer than its errand may take.
const HIDDEN_MARGIN_S: u32 = 60;
/// A message whose errand broke comes back after this.
const RETRY_S: u32 = 5;
const IDLE: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 1 << 20;
const HEALTH: Bounds = Bounds {
    idle: Duration::from_secs(5),
    whole: Duration::from_secs(10),
    answer_bytes_max: ANSWER_BYTES_MAX,
};

/// Follows the shared queue until the relay closes, and then sees what is under way to its end.
pub(crate) async fn follow(relay: &Arc<Relay>) {
    let push_max_s = u32::try_from(relay.ctx.platform.push_max_ms / 1_000).unwrap_or(u32::MAX);
    let hidden_s = push_max_s.saturating_add(HIDDEN_MARGIN_S);
    let mut errands = JoinSet::new();
    while !relay.closing.is_cancelled() {
        while errands.len() >= AT_ONCE {
            errands.join_next().await;
        }
        let free = u32::try_from(AT_ONCE - errands.len()).unwrap_or(1);
        let receiving = relay.ctx.store.queues().receive(Queue::Push, free, 20, hidden_s);
        let received = relay.closing.run_until_cancelled(receiving).await;
        while errands.try_join_next().is_some() {}
        match received {
            None => break,
            Some(Ok(messages)) => {
                for message in messages {
                    let relay = relay.clone();
                    errands.spawn(async move {
                        attend(&relay, &message.body, &message.receipt).await;
                    });
                }
            }
            Some(Err(broken)) => {
                tracing::warn!(cause = broken.detail(), "The push queue could not be read");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    while errands.join_next().await.is_some() {}
}

async fn attend(relay: &Relay, body: &str, receipt: &str) {
    let queues = relay.ctx.store.queues();
    let done = match serde_json::from_str::<Hint>(body) {
        Ok(hint) => run(relay, &hint).await,
        Err(_) => Ok(()),
    };
    let left = match done {
        Ok(()) => queues.delete(Queue::Push, receipt).await,
        Err(refusal) => {
            tracing::warn!(%refusal, "An errand could not be done yet");
            queues.defer(Queue::Push, receipt, RETRY_S).await
        }
    };
    if let Err(broken) = left {
        tracing::debug!(cause = broken.detail(), "A hint comes at another time than wished");
    }
}

async fn run(relay: &Relay, hint: &Hint) -> Result<(), Refusal> {
    let by = Connection { relay: relay.slot, boot: relay.boot.clone() };
    match delivery::errand(&relay.ctx, &Call::live(), hint, &by).await? {
        Errand::Nothing => Ok(()),
        Errand::Push(parcel) => {
            let outcome = send(relay, &parcel).await?;
            delivery::pushed(&relay.ctx, &Call::live(), *parcel, outcome).await
        }
        Errand::Ask(to) => {
            let pulse = ask(relay, &to).await;
            delivery::note_holder(&relay.ctx, &Call::live(), hint.job, &to, pulse).await
        }
        Errand::Doubt(to, doubt) => {
            let pulse = ask(relay, &to).await;
            let call = Call::live();
            delivery::settle_doubt(&relay.ctx, &call, hint.job, to.provider, doubt, pulse).await
        }
    }
}

/// The endpoint's own path, with one more step.
fn at(endpoint: &str, step: &str) -> String {
    format!("{}/{step}", endpoint.trim_end_matches('/'))
}

/// Sends the scene while it is read; it is never whole in memory.
async fn send(relay: &Relay, parcel: &Parcel) -> Result<Pushed, Refusal> {
    let job = &parcel.job;
    let scene = delivery::open_scene(&relay.ctx, job).await?;
    let ours_broke = Arc::new(AtomicBool::new(false));
    let noted = ours_broke.clone();
    let upload = Upload {
        part: PART_FILE,
        file_name: job.deal.scene.name.clone(),
        bytes: scene.head.size,
        stream: scene.body.into_stream().inspect_err(move |_| noted.store(true, Ordering::Relaxed)),
    };
    let settings = Settings {
        resolution: Resolution { width: job.deal.settings.width, height: job.deal.settings.height },
        frames: Frames { start: job.deal.settings.frames.start, end: job.deal.settings.frames.end },
        engine: job.deal.settings.engine.clone(),
        samples: job.deal.settings.samples,
        output_format: delivery::output_word(job.deal.settings.output),
    };
    let settings = serde_json::to_string(&settings).unwrap_or_else(|_| "{}".to_owned());
    let texts = [(PART_JOB, job.id.to_string()), (PART_SETTINGS, settings)];
    let whole = relay.ctx.platform.push_max_ms.unsigned_abs();
    let bounds = Bounds {
        idle: IDLE,
        whole: Duration::from_millis(whole),
        answer_bytes_max: ANSWER_BYTES_MAX,
    };
    let url = at(&parcel.to.endpoint, "render");
    let answered = relay.outbound.post_form(&url, upload, texts, bounds).await;
    Ok(match answered {
        Ok(answer) => outcome(answer.status, &answer.body),
        Err(Failed::Body { status, .. }) => outcome(status, &[]),
        Err(failed @ Failed::Redirect(_)) => Pushed::Refused(format!("the provider {failed}")),
        Err(failed) if failed.may_have_arrived() || ours_broke.load(Ordering::Relaxed) => {
            Pushed::Unknown(failed.to_string())
        }
        Err(failed) => Pushed::Undelivered(format!("the provider could not be reached: {failed}")),
    })
}

fn outcome(status: u16, body: &[u8]) -> Pushed {
    match status {
        200 | 202 => Pushed::Accepted,
        503 if is_already_rendering(body) => Pushed::AlreadyRendering,
        _ => Pushed::Refused(format!("the provider answered {status} to the task")),
    }
}

async fn ask(relay: &Relay, to: &Dialled) -> Pulse {
    let answer = relay.outbound.get(&at(&to.endpoint, "health"), HEALTH).await;
    let good = answer.ok().filter(framefair_outbound::Answer::is_success);
    match good.and_then(|answer| serde_json::from_slice::<Health>(&answer.body).ok()) {
        Some(Health { is_rendering: true }) => Pulse::Rendering,
        Some(Health { is_rendering: false }) => Pulse::Idle,
        None => Pulse::Silent,
    }
}

/// Asks everybody who is online for its health, round after round; one relay of all does.
pub(crate) async fn probe(relay: &Relay) {
    let every = Duration::from_millis(relay.ctx.platform.probe_every_ms.unsigned_abs().max(1));
    loop {
        tokio::time::sleep(every).await;
        if let Err(refusal) = round(relay).await {
            tracing::warn!(%refusal, "Providers were not asked for their health");
        }
    }
}

async fn round(relay: &Relay) -> Result<(), Refusal> {
    if !delivery::is_first_relay(&relay.ctx, &Call::live(), relay.slot).await? {
        return Ok(());
    }
    let probes = delivery::probes(&relay.ctx).await?;
    let asked = stream::iter(probes).map(|probe| asked(relay, probe));
    asked.buffer_unordered(PROBES_AT_ONCE).collect::<()>().await;
    Ok(())
}

async fn asked(relay: &Relay, probe: Probe) {
    let pulse = ask(relay, &probe.to).await;
    if let Err(refusal) = delivery::note_probe(&relay.ctx, &Call::live(), &probe, pulse).await {
        tracing::warn!(provider = %probe.to.provider, %refusal, "A pulse was not noted");
    }
}
