//! A task on its way to a provider's endpoint: who may send it, and what each way to end means for
//! the lease. Dials nobody; a relay does, and reports.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::{Event, State};
use framefair_domain::time::{SECOND_MS, Timestamp};
use framefair_store::objects::Opened;
use framefair_store::rows::{Connection, Lease, MarketJob, ProviderRow, Pulse, PushRow, RelayRow};
use framefair_store::{Queue, When, Write, WriteFailed, keys};

use super::{AttemptEnd, end_attempt, held_lease};
use crate::write::step;
use crate::{Broken, Call, Ctx, Doubt, Hint, Refusal};

/// A sender that fell silent keeps others off for this long beyond the time that it may take.
const MARGIN_MS: i64 = 30 * SECOND_MS;
/// Where the outcome of a try is not known, the provider is asked again after this.
const ASK_AGAIN_S: u32 = 15;
/// A bare claim of failure is looked into at these distances: 2, 10 and 30 seconds after it came.
const DOUBT_WAITS_S: [u32; 3] = [2, 8, 20];
/// Further claims about the same lease are not looked into within this.
const DOUBT_EVERY_MS: i64 = 60 * SECOND_MS;
const TRIES: usize = 8;

/// What a hint of the push queue comes to.
#[derive(Debug)]
pub enum Errand {
    /// Somebody else is at it, or there is nothing to do any more.
    Nothing,
    /// Send the scene.
    Push(Box<Parcel>),
    /// Ask for its health, and note the answer.
    Ask(Dialled),
    /// Ask for its health, because it is said to have failed.
    Doubt(Dialled, Doubt),
}

/// A provider that is reached at an address of its own.
#[derive(Clone, Debug)]
pub struct Dialled {
    pub provider: ProviderId,
    pub endpoint: String,
    /// When its wallet last showed itself.
    pub seen: Timestamp,
}

impl Dialled {
    pub(super) fn of(row: &ProviderRow) -> Dialled {
        Dialled { provider: row.id, endpoint: row.endpoint.clone(), seen: row.seen }
    }
}

/// A task to be sent.
#[derive(Debug)]
pub struct Parcel {
    pub job: MarketJob,
    pub to: Dialled,
    pub epoch: u32,
    /// It was sent under this lease before, with an outcome that nobody knows.
    pub again: bool,
    row: PushRow,
}

/// How a try to send a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The provider says that it renders it.
    Accepted,
    /// The provider says that it renders something already.
    AlreadyRendering,
    /// The provider answered something else.
    Refused(String),
    /// It was not reached, or cannot have got everything.
    Undelivered(String),
    /// It may have the task, or not.
    Unknown(String),
}

/// What is to be done now about the hinted job. A task to be sent is claimed for `by`.
pub async fn errand(
    ctx: &Ctx,
    call: &Call,
    hint: &Hint,
    by: &Connection,
) -> Result<Errand, Refusal> {
    let Some(job) = ctx.market_job(hint.job).await? else {
        return Ok(Errand::Nothing);
    };
    let Some(lease) = pushed_lease(&job) else { return Ok(Errand::Nothing) };
    let provider = ctx.store.get::<ProviderRow>(&keys::provider(lease.node)).await?;
    let provider =
        provider.ok_or_else(|| Broken(format!("provider {} of a job is gone", lease.node)))?;
    let to = Dialled::of(&provider);
    if let Some(doubt) = &hint.doubt {
        let current = doubt.epoch == job.task.epoch;
        return Ok(if current { Errand::Doubt(to, doubt.clone()) } else { Errand::Nothing });
    }
    match job.state {
        State::Dispatched => claim(ctx, call, job, to, by).await,
        State::Running => Ok(Errand::Ask(to)),
        _ => Ok(Errand::Nothing),
    }
}

/// The job's lease, if its task goes to an endpoint.
pub(crate) fn pushed_lease(job: &MarketJob) -> Option<Lease> {
    job.task.lease.filter(|lease| lease.pushed && job.state.is_leased())
}

/// One sender at a time, and each try is counted before it is made.
async fn claim(
    ctx: &Ctx,
    call: &Call,
    job: MarketJob,
    to: Dialled,
    by: &Connection,
) -> Result<Errand, Refusal> {
    let epoch = job.task.epoch;
    let known = ctx.store.get::<PushRow>(&keys::push(job.id)).await?;
    if let Some(known) = &known
        && (known.epoch > epoch || (known.epoch == epoch && is_under_way(ctx, call, known).await?))
    {
        return Ok(Errand::Nothing);
    }
    let when = known.as_ref().map_or(When::Absent, |known| When::Rev(known.rev));
    let before = known.as_ref().filter(|known| known.epoch == epoch);
    let row = PushRow {
        job: job.id,
        rev: known.as_ref().map_or(1, |known| known.rev + 1),
        epoch,
        tries: before.map_or(1, |before| before.tries + 1),
        by: by.clone(),
        until: call.now.plus_ms(ctx.platform.push_max_ms + MARGIN_MS),
        doubted: before.and_then(|before| before.doubted),
    };
    match ctx.store.write(Write::put(&row, when)).await {
        Ok(()) => {}
        Err(WriteFailed::Condition) => return Ok(Errand::Nothing),
        Err(other) => return Err(other.into()),
    }
    Ok(Errand::Push(Box::new(Parcel { epoch, again: row.tries > 1, job, to, row })))
}

/// Whether the sender of this try is alive and within its time.
async fn is_under_way(ctx: &Ctx, call: &Call, row: &PushRow) -> Result<bool, Refusal> {
    if row.until <= call.now {
        return Ok(false);
    }
    let relay = ctx.store.get::<RelayRow>(&keys::relay(row.by.relay)).await?;
    Ok(relay.is_some_and(|relay| relay.carries(&row.by, call.now)))
}

/// The scene as a stream.
pub async fn open_scene(ctx: &Ctx, job: &MarketJob) -> Result<Opened, Refusal> {
    let opened = ctx.store.objects().open(&job.scene_object()).await?;
    opened.ok_or_else(|| Broken(format!("the scene of job {} is gone", job.id)).into())
}

/// Writes down what became of a try.
pub async fn pushed(
    ctx: &Ctx,
    call: &Call,
    parcel: Parcel,
    outcome: Pushed,
) -> Result<(), Refusal> {
    let (id, node, epoch) = (parcel.job.id, parcel.to.provider, parcel.epoch);
    tracing::info!(job = %id, provider = %node, epoch, again = parcel.again, ?outcome, "Sent a task");
    let end = match outcome {
        Pushed::Accepted => return accepted(ctx, call, node, id, epoch).await,
        // What it renders is this very task: an earlier try had arrived after all.
        Pushed::AlreadyRendering if parcel.again => {
            return accepted(ctx, call, node, id, epoch).await;
        }
        Pushed::AlreadyRendering => (AttemptEnd::Busy, "the provider is busy".to_owned()),
        Pushed::Refused(why) => (AttemptEnd::Failed, why),
        Pushed::Undelivered(why) if !parcel.again => (AttemptEnd::Failed, why),
        Pushed::Undelivered(_) | Pushed::Unknown(_) => return ask_again(ctx, call, parcel).await,
    };
    let job = match held_lease(ctx, node, id, epoch).await {
        Err(Refusal::StaleLease) => return Ok(()),
        held => held?,
    };
    match end_attempt(ctx, call, job, end.0, end.1).await {
        Ok(_) | Err(Refusal::StaleLease) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

/// The provider has the task: from now on it is held to show that it renders.
async fn accepted(
    ctx: &Ctx,
    call: &Call,
    node: ProviderId,
    id: JobId,
    epoch: u32,
) -> Result<(), Refusal> {
    for _ in 0..TRIES {
        let mut job = match held_lease(ctx, node, id, epoch).await {
            // It was quick: the result came before its own answer.
            Err(Refusal::StaleLease) => return Ok(()),
            held => held?,
        };
        if job.state != State::Dispatched {
            return Ok(());
        }
        step(&mut job, Event::Started, call.now).map_err(|_| Refusal::StaleLease)?;
        job.started = Some(call.now);
        if ctx.save(&mut job).await?.is_ok() {
            return Ok(());
        }
    }
    Err(Refusal::Busy)
}

/// Frees the claim, so that the same provider is asked again; nobody else gets the task meanwhile.
async fn ask_again(ctx: &Ctx, call: &Call, parcel: Parcel) -> Result<(), Refusal> {
    let (id, read) = (parcel.job.id, parcel.row.rev);
    let row = PushRow { rev: read + 1, until: call.now, ..parcel.row };
    match ctx.store.write(Write::put(&row, When::Rev(read))).await {
        Ok(()) | Err(WriteFailed::Condition) => {}
        Err(other) => return Err(other.into()),
    }
    ctx.hint(Queue::Push, &Hint::about(id), ASK_AGAIN_S).await;
    Ok(())
}

/// Somebody who need not be the provider says that it failed: the provider will be asked.
pub(super) async fn raise_doubt(
    ctx: &Ctx,
    call: &Call,
    job: &MarketJob,
    sent: Option<PushRow>,
    error: String,
) -> Result<(), Refusal> {
    let epoch = job.task.epoch;
    // What was never sent cannot have failed.
    let Some(mut row) = sent.filter(|row| row.epoch == epoch) else { return Ok(()) };
    if row.doubted.is_some_and(|at| call.now.since_ms(at) < DOUBT_EVERY_MS) {
        return Ok(());
    }
    let read = row.rev;
    row.rev += 1;
    row.doubted = Some(call.now);
    match ctx.store.write(Write::put(&row, When::Rev(read))).await {
        Ok(()) => {}
        Err(WriteFailed::Condition) => return Ok(()),
        Err(other) => return Err(other.into()),
    }
    let doubt = Doubt { epoch, error, asked: 0 };
    ctx.hint(Queue::Push, &Hint::doubted(job.id, doubt), DOUBT_WAITS_S[0]).await;
    Ok(())
}

/// The doubted provider answered, or did not. A claim that it contradicts three times is dropped.
pub async fn settle_doubt(
    ctx: &Ctx,
    call: &Call,
    id: JobId,
    node: ProviderId,
    doubt: Doubt,
    pulse: Pulse,
) -> Result<(), Refusal> {
    if pulse == Pulse::Rendering {
        let asked = doubt.asked + 1;
        match DOUBT_WAITS_S.get(asked as usize) {
            Some(wait_s) => {
                let hint = Hint::doubted(id, Doubt { asked, ..doubt });
                ctx.hint(Queue::Push, &hint, *wait_s).await;
            }
            None => tracing::info!(job = %id, %node, "An unsigned failure was not confirmed"),
        }
        return Ok(());
    }
    let job = match held_lease(ctx, node, id, doubt.epoch).await {
        Err(Refusal::StaleLease) => return Ok(()),
        held => held?,
    };
    // Nobody has signed this word: what it says of the scene counts for nothing.
    match end_attempt(ctx, call, job, AttemptEnd::Failed, doubt.error).await {
        Ok(_) | Err(Refusal::StaleLease) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

/// Whether a task was ever sent under this lease.
pub(super) async fn was_sent(ctx: &Ctx, job: &MarketJob) -> Result<bool, Refusal> {
    let row = ctx.store.get::<PushRow>(&keys::push(job.id)).await?;
    Ok(row.is_some_and(|row| row.epoch == job.task.epoch))
}

/// When the provider is taken to have the task at the latest.
pub(super) fn begun(ctx: &Ctx, job: &MarketJob, lease: &Lease) -> Timestamp {
    match job.state {
        State::Dispatched => lease.since.plus_ms(ctx.platform.push_max_ms),
        _ => job.started.map_or(lease.since, |started| started.max(lease.since)),
    }
}
