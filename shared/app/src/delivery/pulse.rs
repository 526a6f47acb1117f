//! Whether providers that are dialled are there, and whether they render. Written when it changes,
//! and at most once a minute.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::State;
use framefair_store::rows::{Lease, MarketJob, NodeRow, ProviderRow, Pulse, PulseSeen};
use framefair_store::{Queue, When, Write, WriteFailed, keys};

use super::connection::{absence, change_node, is_connected};
use super::push::{self, Dialled};
use crate::{Call, Ctx, Hint, Refusal, provider};

/// A change is written no sooner than so many rounds of asking after the last one.
const ROUNDS_PER_WRITE: i64 = 2;
const TRIES: usize = 8;

/// Why a lease is over: whether that is a failed attempt, and the words for it.
pub(crate) type Overdue = (bool, &'static str);

/// Whom to ask for its health, and what is known of it.
#[derive(Clone, Debug)]
pub struct Probe {
    pub to: Dialled,
    known: Option<PulseSeen>,
}

/// Everybody who takes tasks at an endpoint and is not known to be away.
pub async fn probes(ctx: &Ctx) -> Result<Vec<Probe>, Refusal> {
    let present = provider::present(ctx).await?;
    let dialled = present.iter().filter(|listed| !listed.provider.abilities.relay);
    Ok(dialled.map(|l| Probe { known: l.pulse, to: Dialled::of(&l.provider) }).collect())
}

/// What a round of asking found.
pub async fn note_probe(
    ctx: &Ctx,
    call: &Call,
    probe: &Probe,
    pulse: Pulse,
) -> Result<(), Refusal> {
    let id = probe.to.provider;
    match probe.known {
        Some(known) if known.pulse == pulse => {
            let since = known.since.max(probe.to.seen);
            let long = call.now.since_ms(since) >= ctx.platform.silence_max_ms;
            if pulse == Pulse::Silent && long {
                show_silent(ctx, call, id).await?;
            }
            Ok(())
        }
        Some(known) if call.now.since_ms(known.since) < between_writes_ms(ctx) => Ok(()),
        _ => write_pulse(ctx, call, id, pulse).await,
    }
}

/// What the holder of a task said when it was asked for its sake. That it does not render counts
/// from the first time that it was seen under this lease.
pub async fn note_holder(
    ctx: &Ctx,
    call: &Call,
    job: JobId,
    to: &Dialled,
    pulse: Pulse,
) -> Result<(), Refusal> {
    let node = keys::node(to.provider);
    let node = async { Ok(ctx.store.get::<NodeRow>(&node).await?) };
    let (job, node) = tokio::try_join!(ctx.market_job(job), node)?;
    let Some(job) = job else { return Ok(()) };
    let Some(lease) = push::pushed_lease(&job).filter(|l| l.node == to.provider) else {
        return Ok(());
    };
    let known = node.and_then(|node| node.pulse);
    let stale = known.is_none_or(|known| known.since < push::begun(ctx, &job, &lease));
    if stale && pulse != Pulse::Rendering {
        return write_pulse(ctx, call, to.provider, pulse).await;
    }
    note_probe(ctx, call, &Probe { to: to.clone(), known }, pulse).await
}

fn between_writes_ms(ctx: &Ctx) -> i64 {
    ROUNDS_PER_WRITE * ctx.platform.probe_every_ms
}

async fn write_pulse(ctx: &Ctx, call: &Call, id: ProviderId, pulse: Pulse) -> Result<(), Refusal> {
    tracing::info!(provider = %id, ?pulse, "A provider's pulse changed");
    let seen = PulseSeen { pulse, since: call.now };
    let node = change_node(ctx, call, id, |node| {
        node.pulse = Some(seen);
        true
    })
    .await?;
    if pulse != Pulse::Rendering {
        look_after(ctx, node).await;
    }
    if pulse != Pulse::Silent {
        change_silence(ctx, id, false).await?;
    }
    Ok(())
}

/// Has the tasks of a node looked after once it has been without a sign of them for too long.
async fn look_after(ctx: &Ctx, node: Option<NodeRow>) {
    let wait_s = u32::try_from(ctx.platform.silence_max_ms / 1_000 + 1).unwrap_or(u32::MAX);
    let held = node.into_iter().flat_map(|node| node.leases.into_keys());
    for job in held.filter_map(|job| job.parse().ok()) {
        ctx.hint(Queue::Dispatch, &Hint::about(job), wait_s).await;
    }
}

/// Shows a provider as offline whose endpoint has been silent for long, unless a socket of it stood
/// meanwhile.
async fn show_silent(ctx: &Ctx, call: &Call, id: ProviderId) -> Result<(), Refusal> {
    if let Some(node) = ctx.store.get::<NodeRow>(&keys::node(id)).await? {
        let absence = absence(ctx, call, &node).await?;
        let long = |since| call.now.since_ms(since) >= ctx.platform.silence_max_ms;
        if absence.is_none_or(|absence| !long(absence.since)) {
            return Ok(());
        }
    }
    change_silence(ctx, id, true).await
}

async fn change_silence(ctx: &Ctx, id: ProviderId, silent: bool) -> Result<(), Refusal> {
    for _ in 0..TRIES {
        let row = ctx.store.get::<ProviderRow>(&keys::provider(id)).await?;
        let Some(mut row) = row.filter(|row| row.silent != silent) else { return Ok(()) };
        let read = row.rev;
        row.rev += 1;
        row.silent = silent;
        match ctx.store.write(Write::put(&row, When::Rev(read))).await {
            Ok(()) => return Ok(()),
            Err(WriteFailed::Condition) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Refusal::Busy)
}

/// Whether a lease of a task that was sent to an endpoint is over before its time.
pub(crate) async fn pushed_overdue(
    ctx: &Ctx,
    call: &Call,
    job: &MarketJob,
    lease: &Lease,
) -> Result<Option<Overdue>, Refusal> {
    let node = ctx.store.get::<NodeRow>(&keys::node(lease.node)).await?;
    let seen = node.as_ref().and_then(|node| node.pulse);
    if seen.is_some_and(|seen| seen.pulse == Pulse::Rendering) {
        return Ok(None);
    }
    let begun = push::begun(ctx, job, lease);
    if job.state == State::Dispatched {
        if call.now.since_ms(begun) < ctx.platform.dispatch_timeout_ms {
            return Ok(None);
        }
        return Ok(Some(match push::was_sent(ctx, job).await? {
            true => (true, "the provider never said that it took the task"),
            false => (false, "nobody could send the task"),
        }));
    }
    // Only what was seen since then speaks against it: nobody may be there to ask.
    let Some(seen) = seen.filter(|seen| seen.since >= begun) else { return Ok(None) };
    if call.now.since_ms(seen.since) < ctx.platform.silence_max_ms {
        return Ok(None);
    }
    // It cannot be reached, and yet it speaks to us.
    if seen.pulse == Pulse::Silent
        && let Some(node) = &node
        && is_connected(ctx, call, node).await?
    {
        return Ok(None);
    }
    Ok(Some((true, "the provider fell silent")))
}
