//! A job comes into being with its hold and its first lease, all in one transaction.

use framefair_domain::id::{JobId, ProviderId, UserId};
use framefair_domain::job::State;
use framefair_domain::time::{MINUTE_MS, SECOND_MS};
use framefair_store::rows::{BalanceRow, CreatorDeal, CreatorJob, InputRow, JobRow, Task};
use framefair_store::{Check, TransactFailed, Update, When, Write, keys};
use garde::Validate;
use serde::Deserialize;

use super::payload::Payload;
use super::price::prices;
use super::seat::{Ask, Seat, Seats};
use super::{TRIES, charge};
use crate::delivery::{Dispatched, drop_stale_leases, give_up, grant, tell};
use crate::idempotency::{Claim, Claiming, IdempotencyKey, Input};
use crate::uploads::{self, Pass};
use crate::write::{Done, replace};
use crate::{Call, Ctx, Refusal, credits, sweep};

/// A job is looked at after this, in case a hint is lost.
const FIRST_LOOK_MS: i64 = MINUTE_MS;
/// How soon to look again for a node when none is free.
const LOOK_AGAIN_MS: i64 = 15 * SECOND_MS;
/// Who was refused oftener is not offered for ever.
const DECLINES_MAX: u32 = 10;

#[derive(Clone, Debug, Deserialize, Validate)]
pub struct Wish {
    #[garde(length(chars, min = 1, max = 100))]
    pub job_type: String,
    /// A reference with a scheme, or the payload itself.
    #[garde(length(chars, min = 1, max = 500))]
    pub payload_ref: String,
}

/// A job and who is to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub job: JobId,
    pub node: ProviderId,
}

/// Who has too few credits is told so whether or not there is a node. Where all nodes are full the job waits for
/// the first free place. `pass` is for the upload that is the payload, if one is.
pub async fn dispatch(
    ctx: &Ctx,
    call: &mut Call,
    user: UserId,
    key: Option<IdempotencyKey>,
    wish: Wish,
    pass: Option<&Pass>,
) -> Result<Placed, Refusal> {
    dispatch_from(ctx, call, user, key, wish, Given::Caller(pass)).await
}

/// Who says what the payload is.
pub(super) enum Given<'a> {
    /// It is to be looked up, with what the caller shows for it.
    Caller(Option<&'a Pass>),
    /// It was looked up for another job.
    Before(Option<InputRow>),
}

pub(super) async fn dispatch_from(
    ctx: &Ctx,
    call: &mut Call,
    user: UserId,
    key: Option<IdempotencyKey>,
    wish: Wish,
    from: Given<'_>,
) -> Result<Placed, Refusal> {
    let payload = Payload::read(&wish.payload_ref);
    let ask = Ask { kind: &wish.job_type, gpu: payload.gpu };
    let input = Input::default().with(&wish.job_type).with(&wish.payload_ref);
    let name = key.map(|key| Claiming::new(&key, "dispatch", &user.to_string(), input));
    let id = JobId::new(call.now, call.entropy());
    let _turn = ctx.turns.take(user).await;
    let balance = keys::balance(user);
    let (prices, mut glance, mut seats) = tokio::try_join!(
        prices(ctx),
        async { Ok(ctx.store.get_eventual::<BalanceRow>(&balance).await?) },
        Seats::look(ctx, ask, &[]),
    )?;
    let price = prices.of(ask.kind);
    let (pass, mut lies) = match from {
        Given::Caller(pass) => (pass, None),
        Given::Before(input) => (None, Some(input)),
    };
    for _ in 0..TRIES {
        let balance = match glance.take().filter(|balance| balance.available >= price) {
            Some(balance) => balance,
            None => credits::balance(ctx, user).await?,
        };
        if balance.available < price {
            let available = balance.available;
            let short = Refusal::InsufficientCredits { available, requested: price };
            return made(ctx, call, name.as_ref()).await?.ok_or(short);
        }
        let input = match &lies {
            Some(input) => input.clone(),
            None => match payload.input(ctx, call, user, pass).await {
                Ok(input) => lies.insert(input).clone(),
                Err(bad) => return made(ctx, call, name.as_ref()).await?.ok_or(bad),
            },
        };
        let seat = seats.next(ctx, call).await?;
        let node = seat.as_ref().map(|seat| seat.node.id).or(seats.full);
        let Some(node) = node else {
            let unavailable = ctx.platform.no_node_is_unavailable;
            let nobody = Refusal::NoHealthyNode { kind: wish.job_type.clone(), unavailable };
            return made(ctx, call, name.as_ref()).await?.ok_or(nobody);
        };
        let mut job = CreatorJob {
            id,
            rev: 1,
            state: State::Queued,
            created: call.now,
            task: Task::default(),
            started: None,
            ended: None,
            result: None,
            error: None,
            due: Some(call.now.plus_ms(FIRST_LOOK_MS)),
            deal: CreatorDeal {
                user,
                number: balance.jobs + 1,
                kind: wish.job_type.clone(),
                payload: wish.payload_ref.clone(),
                input,
                price,
                priority: payload.priority,
                gpu: payload.gpu,
                node: Some(node),
                queued: call.now,
                dispatched: None,
                updated: call.now,
                errors: Vec::new(),
                result_ref: None,
            },
        };
        let mut writes = vec![hold(&job)];
        if let Some(seat) = &seat {
            lease(ctx, call, &mut job, seat)?;
            writes.extend(seat.take(id, job.task.epoch, ask));
        }
        let claim = writes.len() + 1;
        writes.push(Write::put(&job, When::Absent));
        writes.extend(name.iter().map(|name| name.put(call, &id.to_string())));
        let kept = writes.len();
        writes.extend(payload.upload().map(|upload| uploads::keep(upload, call.now)));
        match ctx.store.transact(writes).await {
            Ok(()) => {
                tracing::info!(job = %id, %node, kind = ask.kind, "Dispatched a job");
                if let Some(seat) = &seat {
                    ctx.metrics.job_dispatched(ask.kind);
                    tell(ctx, &seat.node, id).await;
                }
                return Ok(Placed { job: id, node });
            }
            Err(TransactFailed::Conditions(failed))
                if name.is_some() && failed.contains(&claim) =>
            {
                return made(ctx, call, name.as_ref()).await?.ok_or(Refusal::Busy);
            }
            Err(TransactFailed::Conditions(failed)) if failed.contains(&kept) => {
                return Err(payload.is_gone());
            }
            // The balance, the node, or both have moved on.
            Err(TransactFailed::Conditions(_) | TransactFailed::Contended) => {
                if seats.is_exhausted() {
                    seats = Seats::look(ctx, ask, &[]).await?;
                }
            }
            Err(other) => return Err(other.into()),
        }
    }
    Err(Refusal::Busy)
}

/// What an earlier request by the same name made.
async fn made(ctx: &Ctx, call: &Call, name: Option<&Claiming>) -> Result<Option<Placed>, Refusal> {
    let Some(name) = name else { return Ok(None) };
    let Claim::Made(id) = name.look(ctx, call).await? else { return Ok(None) };
    let job = match id.parse() {
        Ok(id) => ctx.job(id).await?.and_then(JobRow::creator),
        Err(_) => None,
    };
    let placed = |job: CreatorJob| Some(Placed { job: job.id, node: job.deal.node? });
    Ok(job.and_then(placed))
}

/// Takes the price from what is free to what is held. A balance below zero holds nothing, not even for what
/// costs nothing.
fn hold(job: &CreatorJob) -> Write {
    let CreatorDeal { user, number, price, .. } = job.deal;
    Update::at(keys::balance(user), When::Present)
        .add("available", -price.0)
        .add("held", price.0)
        .set("jobs", number)
        .require(Check::at_least("available", price))
        .require(Check::equals("jobs", number - 1))
        .into()
}

/// The next lease of the job is this node's.
fn lease(ctx: &Ctx, call: &Call, job: &mut CreatorJob, seat: &Seat) -> Result<(), Refusal> {
    grant(ctx, call, job, seat.node.id, false)?;
    job.deal.node = Some(seat.node.id);
    job.deal.dispatched = Some(call.now);
    job.deal.result_ref = None;
    job.deal.updated = call.now;
    Ok(())
}

/// Looks for another node for a job that waits.
pub(crate) async fn dispatch_again(
    ctx: &Ctx,
    call: &mut Call,
    job: CreatorJob,
) -> Result<Dispatched, Refusal> {
    let (kind, gpu) = (job.deal.kind.clone(), job.deal.gpu);
    let ask = Ask { kind: &kind, gpu };
    let failed_by = job.task.failed_by.clone();
    if is_worn_out(ctx, call, &job) {
        return given_up(ctx, call, job).await;
    }
    let mut seats = Seats::look(ctx, ask, &failed_by).await?;
    while let Some(seat) = seats.next(ctx, call).await? {
        let mut leased = job.clone();
        lease(ctx, call, &mut leased, &seat)?;
        let mut writes = vec![replace(&mut leased)];
        writes.extend(seat.take(job.id, leased.task.epoch, ask));
        match ctx.store.transact(writes).await {
            Err(TransactFailed::Conditions(failed)) if failed.contains(&0) => {
                return Ok(Dispatched::Later(SECOND_MS));
            }
            leased => {
                if leased.done()? {
                    tracing::info!(job = %job.id, node = %seat.node.id, "Leased a task");
                    ctx.metrics.job_dispatched(&kind);
                    tell(ctx, &seat.node, job.id).await;
                    return Ok(Dispatched::Leased(seat.node.id));
                }
            }
        }
    }
    if let Some(full) = seats.full {
        drop_stale_leases(ctx, call, full).await?;
    }
    let somebody = seats.full.is_some() || seats.is_one_closed;
    if !has_waited_too_long(ctx, call, &job, somebody) {
        let waits = sweep::redate(ctx, job, call.now.plus_ms(LOOK_AGAIN_MS)).await?;
        return Ok(if waits { Dispatched::Nothing } else { Dispatched::Later(SECOND_MS) });
    }
    given_up(ctx, call, job).await
}

async fn given_up(ctx: &Ctx, call: &Call, mut job: CreatorJob) -> Result<Dispatched, Refusal> {
    let kind = job.deal.kind.clone();
    if !give_up(call, &mut job, "No node could take the job; nothing was charged") {
        return Ok(Dispatched::Nothing);
    }
    job.due = None;
    job.deal.updated = call.now;
    let mut writes = vec![replace(&mut job)];
    writes.push(charge::void(&job.deal));
    writes.push(charge::given_up(job.id, &job.task, &job.deal, call.now));
    if ctx.store.transact(writes).await.done()? {
        ctx.metrics.job_failed(&kind);
    }
    Ok(Dispatched::Nothing)
}

/// Whether it was there for as long as a job may wait, and was declined all the while.
fn is_worn_out(ctx: &Ctx, call: &Call, job: &CreatorJob) -> bool {
    job.task.declines > DECLINES_MAX && call.now.since_ms(job.created) >= ctx.platform.wait_max_ms
}

/// Long where nothing was tried yet, or where somebody is there who will have time; short between two attempts.
fn has_waited_too_long(ctx: &Ctx, call: &Call, job: &CreatorJob, somebody: bool) -> bool {
    let waited_ms = call.now.since_ms(job.task.not_before.unwrap_or(job.deal.queued));
    let is_short = job.task.failures > 0 && !somebody;
    waited_ms >= if is_short { ctx.platform.retry_wait_ms } else { ctx.platform.wait_max_ms }
}
