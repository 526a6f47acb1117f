//! A queued job finds its node: a free place is claimed on the node first, then the job is leased.

use framefair_domain::id::ProviderId;
use framefair_domain::job::State;
use framefair_domain::scheduling::{Need, choose};
use framefair_domain::time::SECOND_MS;
use framefair_store::rows::{AnyJob, MarketJob, NodeRow, Status};
use framefair_store::{Queue, keys};

use super::connection::{change_node, is_connected};
use super::lease;
use crate::provider::{self, Listed};
use crate::{Call, Ctx, Hint, Refusal, jobs, market, settlement, sweep, uploads};

/// How soon to look again for a node when none is free.
const LOOK_AGAIN_MS: i64 = 15 * SECOND_MS;
/// A job that failed before is given up after so many refusals to take it, a quarter of an hour.
const DECLINES_MAX: u32 = 10;

/// And after somebody else wrote the job at the same moment: whoever that was may have had another
/// reason than we have.
const OVERTAKEN_MS: i64 = SECOND_MS;

/// What came of looking for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatched {
    /// A node has the lease, and its relay a hint.
    Leased(ProviderId),
    /// Look again after this many milliseconds.
    Later(i64),
    /// There is nothing to dispatch.
    Nothing,
}

/// Looks for a node for the job, if it is queued.
pub async fn dispatch(ctx: &Ctx, call: &mut Call, hint: &Hint) -> Result<Dispatched, Refusal> {
    let job = ctx.job(hint.job).await?;
    let Some(job) = job.filter(|job| job.state == State::Queued) else {
        return Ok(Dispatched::Nothing);
    };
    if let Some(at) = job.task.not_before.filter(|at| *at > call.now) {
        return Ok(Dispatched::Later(at.since_ms(call.now)));
    }
    match job.which() {
        AnyJob::Market(job) => find_provider(ctx, call, job).await,
        AnyJob::Creator(job) => Box::pin(jobs::dispatch_again(ctx, call, job)).await,
    }
}

/// The market's job goes to the provider that it was quoted by, or to another one that is able.
async fn find_provider(ctx: &Ctx, call: &mut Call, job: MarketJob) -> Result<Dispatched, Refusal> {
    let mut home = provider::get(ctx, job.deal.provider).await?;
    let mut left = Vec::new();
    if job.has_tried(job.deal.provider) || !takes_work(&home) {
        left = others_able(ctx, &job).await?;
        // The one who failed gets it again only when it is alone.
        if let Some(other) = pick(&mut left, &job, call) {
            home = other;
        } else if !takes_work(&home) {
            return wait_or_give_up(ctx, call, job).await;
        }
    }
    if has_waited_too_long(ctx, call, &job) {
        return wait_or_give_up(ctx, call, job).await;
    }
    let mut asked_others = !left.is_empty();
    loop {
        if let Some(node) = claim(ctx, call, &job, &home).await? {
            return lease_to(ctx, call, job, &home, node).await;
        }
        if !asked_others && !is_here(ctx, call, &home).await? {
            asked_others = true;
            left = others_able(ctx, &job).await?;
            left.retain(|other| other.provider.id != home.provider.id);
        }
        match pick(&mut left, &job, call) {
            Some(other) => home = other,
            None => return wait(ctx, call, job).await,
        }
    }
}

fn takes_work(listed: &Listed) -> bool {
    matches!(listed.provider.status(), Status::Online | Status::Busy)
}

/// Online providers other than those who failed it that can render the job at a price not above
/// the one that was paid.
pub(crate) async fn others_able(ctx: &Ctx, job: &MarketJob) -> Result<Vec<Listed>, Refusal> {
    // Who was paid is the only one who owes the client anything.
    if job.deal.direct {
        return Ok(Vec::new());
    }
    let need = need_of(job);
    let mut online = provider::with_status(ctx, Status::Online).await?;
    online.retain(|listed| {
        let affordable = || {
            market::price_of(&need, &listed.provider)
                .is_ok_and(|price| price.base_price <= job.deal.price.base_price)
        };
        !job.has_tried(listed.provider.id)
            && takes_work(listed)
            && listed.provider.abilities.can(&need).is_ok()
            && affordable()
    });
    Ok(online)
}

pub(crate) fn need_of(job: &MarketJob) -> Need {
    Need {
        format: job.deal.scene.format(),
        blender: job.deal.scene.blender,
        engine: job.deal.settings.engine.clone(),
        bytes: job.deal.scene.bytes,
        frames: job.deal.settings.frames.count(),
    }
}

/// Takes the best of `left` out of it.
fn pick(left: &mut Vec<Listed>, job: &MarketJob, call: &mut Call) -> Option<Listed> {
    let candidates: Vec<_> = left.iter().map(|l| market::candidate(l, &job.deal.price)).collect();
    let chosen = choose(&candidates, call.lot())?;
    let at = left.iter().position(|listed| listed.provider.id == chosen.provider)?;
    Some(left.swap_remove(at))
}

/// Nobody is there: the job waits for as long as it may.
async fn wait_or_give_up(
    ctx: &Ctx,
    call: &Call,
    mut job: MarketJob,
) -> Result<Dispatched, Refusal> {
    if !has_waited_too_long(ctx, call, &job) {
        return wait(ctx, call, job).await;
    }
    let nobody = match job.deal.direct {
        false => "No provider could take the job; you get your money back",
        true => "The provider that you paid could not take the job",
    };
    if !lease::give_up(call, &mut job, nobody) {
        return Ok(Dispatched::Nothing);
    }
    settlement::plan_refund(&mut job.deal)?;
    if ctx.save(&mut job).await?.is_ok() {
        ctx.settle(job.id).await;
    }
    Ok(Dispatched::Nothing)
}

/// Whether a job has waited for as long as it may: long where nothing was tried yet, short between
/// two attempts, and no longer than everybody who is left declines it.
fn has_waited_too_long(ctx: &Ctx, call: &Call, job: &MarketJob) -> bool {
    if job.task.failures > 0 {
        let since = job.task.not_before;
        let long = since.is_some_and(|at| call.now.since_ms(at) >= ctx.platform.retry_wait_ms);
        return long || job.task.declines > DECLINES_MAX;
    }
    // Giving up would return nothing.
    if job.deal.direct {
        return false;
    }
    let accepted = job.deal.payment.as_ref().map_or(job.created, |payment| payment.accepted);
    call.now.since_ms(accepted) >= ctx.platform.wait_max_ms
}

/// Whether the provider can be reached, full or not.
async fn is_here(ctx: &Ctx, call: &Call, home: &Listed) -> Result<bool, Refusal> {
    if is_dialled(home) {
        return Ok(true);
    }
    match ctx.store.get::<NodeRow>(&keys::node(home.provider.id)).await? {
        Some(node) => is_connected(ctx, call, &node).await,
        None => Ok(false),
    }
}

/// Whether tasks go to the provider's endpoint and not over its socket.
fn is_dialled(listed: &Listed) -> bool {
    !listed.provider.abilities.relay
}

/// Has the sweeper look again soon. A chain of hints would grow with every sweep.
async fn wait(ctx: &Ctx, call: &Call, job: MarketJob) -> Result<Dispatched, Refusal> {
    let waits = sweep::redate(ctx, job, call.now.plus_ms(LOOK_AGAIN_MS)).await?;
    Ok(if waits { Dispatched::Nothing } else { Dispatched::Later(OVERTAKEN_MS) })
}

/// Enters the job in the node's row if there is a free place. Entering it twice changes nothing.
async fn claim(
    ctx: &Ctx,
    call: &Call,
    job: &MarketJob,
    home: &Listed,
) -> Result<Option<NodeRow>, Refusal> {
    let (id, dialled) = (home.provider.id, is_dialled(home));
    // One that is dialled says at its endpoint whether it has time, and renders one task at once.
    let slots = |node: &NodeRow| if dialled { 1 } else { node.slots as usize };
    match ctx.store.get::<NodeRow>(&keys::node(id)).await? {
        None if dialled => {}
        None => return Ok(None),
        Some(node) => {
            if !dialled && !is_connected(ctx, call, &node).await? {
                return Ok(None);
            }
            if node.leases.len() >= slots(&node) {
                drop_stale(ctx, call, &node).await?;
            }
        }
    }
    let epoch = job.task.epoch + 1;
    change_node(ctx, call, id, |node| {
        let key = job.id.to_string();
        let free = node.leases.contains_key(&key) || node.leases.len() < slots(node);
        if free && (dialled || node.connection.is_some()) {
            node.leases.insert(key, epoch);
            true
        } else {
            false
        }
    })
    .await
}

/// Looks whether a node that is full holds what it lists.
pub(crate) async fn drop_stale_leases(
    ctx: &Ctx,
    call: &Call,
    node: ProviderId,
) -> Result<(), Refusal> {
    match ctx.store.get::<NodeRow>(&keys::node(node)).await? {
        Some(node) => drop_stale(ctx, call, &node).await,
        None => Ok(()),
    }
}

/// Frees places whose job moved on without them: a crash between the two writes of a lease, or of
/// its end, leaves such a place.
async fn drop_stale(ctx: &Ctx, call: &Call, node: &NodeRow) -> Result<(), Refusal> {
    for (key, epoch) in &node.leases {
        let Ok(id) = key.parse() else { continue };
        let job = ctx.job(id).await?;
        let holds = job.is_some_and(|job| {
            let leased = job.task.lease.is_some_and(|lease| lease.node == node.id);
            // A claim is entered here before the job knows of it.
            let claiming = job.state == State::Queued && *epoch > job.task.epoch;
            (job.state.is_leased() && leased) || claiming
        });
        if !holds {
            lease::release(ctx, call, node.id, id).await;
        }
    }
    Ok(())
}

async fn lease_to(
    ctx: &Ctx,
    call: &Call,
    mut job: MarketJob,
    home: &Listed,
    node: NodeRow,
) -> Result<Dispatched, Refusal> {
    lease::grant(ctx, call, &mut job, node.id, is_dialled(home))?;
    job.deal.provider = home.provider.id;
    if ctx.save(&mut job).await?.is_err() {
        // Overtaken by the same lease of a doubled hint, the place is rightly taken.
        if lease::holder(ctx, job.id).await? != Some(node.id) {
            lease::release(ctx, call, node.id, job.id).await;
        }
        return Ok(Dispatched::Later(OVERTAKEN_MS));
    }
    tracing::info!(job = %job.id, node = %node.id, epoch = job.task.epoch, "Leased a task");
    let hint = Hint::to(node.id, job.id);
    if is_dialled(home) {
        ctx.hint(Queue::Push, &hint, 0).await;
    }
    if let Some(connection) = node.connection {
        ctx.hint(Queue::Relay(connection.relay), &hint, 0).await;
    }
    // It is paid for, and in use.
    Box::pin(uploads::release_paid(ctx, &job)).await;
    Ok(Dispatched::Leased(node.id))
}
