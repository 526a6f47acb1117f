//! Who gets a job: nodes that can do it, the least loaded first, in a bounded read whatever the fleet.

use framefair_domain::fleet::Health;
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::time::{MINUTE_MS, Timestamp};
use framefair_store::rows::{FleetRow, NodeRow, Place, Presence};
use framefair_store::{Check, Cursor, Index, Order, Range, Update, When, Write, WriteFailed, keys};

use super::breaker::{has_place, is_closed, places};
use crate::{Call, Ctx, Refusal, delivery, fleet};

/// So many nodes are looked at together; of those in the same place any may be the first.
const LOOKED_AT: usize = 8;
/// Where none of them has a place, so many more times.
const PAGES_MAX: usize = 4;
/// Who was silent for so long is listed no more until it shows itself; what was listed a moment ago stays.
const FORGOTTEN_AFTER_MS: i64 = 5 * MINUTE_MS;
const JUST_LISTED_MS: i64 = MINUTE_MS;

/// What is asked of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) kind: &'a str,
    pub(super) gpu: bool,
}

/// A place at a node that was free when it was looked at.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) node: NodeRow,
    place: Place,
}

/// The nodes that can do it, as far as they were looked at.
#[derive(Debug)]
pub(super) struct Seats<'a> {
    ask: Ask<'a>,
    /// Who is asked only where nobody else lives.
    rather_not: &'a [ProviderId],
    left: Vec<(Place, ProviderId)>,
    /// Those of `rather_not` that are listed.
    spare: Vec<(Place, ProviderId)>,
    /// Where those follow who were not looked at yet.
    more: Option<Cursor>,
    pages: usize,
    /// The first one that lives and has no free place.
    pub(super) full: Option<ProviderId>,
    /// Whether one lives that takes nothing for a while, since it failed too often.
    pub(super) is_one_closed: bool,
}

impl<'a> Seats<'a> {
    pub(super) async fn look(
        ctx: &Ctx,
        ask: Ask<'a>,
        rather_not: &'a [ProviderId],
    ) -> Result<Seats<'a>, Refusal> {
        let (left, spare) = (Vec::new(), Vec::new());
        let (more, full) = (None, None);
        let mut seats =
            Seats { ask, rather_not, left, spare, more, pages: 0, full, is_one_closed: false };
        seats.read(ctx).await?;
        Ok(seats)
    }

    async fn read(&mut self, ctx: &Ctx) -> Result<(), Refusal> {
        let partition = keys::capable(self.ask.kind, self.ask.gpu);
        let (range, order, start) = (Range::All, Order::Ascending, self.more.take());
        let page = ctx.store.index(Index::State, &partition, range, order, LOOKED_AT, start);
        let page = page.await?;
        let listed = page.entries.iter().filter_map(|entry| keys::capable_of(&entry.sort));
        let (spare, left): (Vec<_>, Vec<_>) =
            listed.partition(|(_, node)| self.rather_not.contains(node));
        self.left.extend(left);
        self.spare.extend(spare);
        self.pages += 1;
        self.more = page.next.filter(|_| self.pages < PAGES_MAX);
        Ok(())
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.left.is_empty() && self.more.is_none()
    }

    /// The next free place, if there is any.
    pub(super) async fn next(
        &mut self,
        ctx: &Ctx,
        call: &mut Call,
    ) -> Result<Option<Seat>, Refusal> {
        loop {
            if let Some((place, id)) = draw(&mut self.left, call) {
                if let Some(seat) = self.seat(ctx, call, place, id).await? {
                    return Ok(Some(seat));
                }
            } else if self.more.is_some() {
                self.read(ctx).await?;
            } else if self.full.is_none() && !self.is_one_closed && !self.spare.is_empty() {
                self.left = std::mem::take(&mut self.spare);
            } else {
                return Ok(None);
            }
        }
    }

    /// A place at this node, if it lives and has one.
    async fn seat(
        &mut self,
        ctx: &Ctx,
        call: &Call,
        place: Place,
        id: ProviderId,
    ) -> Result<Option<Seat>, Refusal> {
        let node = ctx.store.get_eventual::<NodeRow>(&keys::node(id)).await?;
        let Some(node) = node else { return Ok(None) };
        if let Some(since) = silent_since(ctx, call, &node).await? {
            demote(ctx, call, id, self.ask, place, since).await;
            return Ok(None);
        }
        if has_place(call, &node) {
            return Ok(Some(Seat { node, place }));
        }
        if is_closed(call, &node) {
            self.is_one_closed = true;
            return Ok(None);
        }
        self.full.get_or_insert(id);
        Ok(None)
    }
}

/// One of those in the lowest place, by lot.
fn draw(left: &mut Vec<(Place, ProviderId)>, call: &mut Call) -> Option<(Place, ProviderId)> {
    let lowest = left.iter().map(|(place, _)| *place).min()?;
    let equal: Vec<usize> = (0..left.len()).filter(|at| left[*at].0 == lowest).collect();
    let lot = usize::try_from(call.lot() % equal.len() as u64).unwrap_or(0);
    Some(left.swap_remove(equal[lot]))
}

impl Seat {
    /// The writes that take the place under this lease, while it is free and the same socket stands.
    pub(super) fn take(&self, job: JobId, epoch: u32, ask: Ask<'_>) -> [Write; 2] {
        let id = self.node.id;
        let lease = Update::at(keys::node(id), When::Present)
            .set(["leases", &job.to_string()], epoch)
            .add("rev", 1)
            .require(Check::fewer("leases", places(&self.node)))
            .require(Check::equals("fence", self.node.fence));
        let place = fleet::busier(self.place, &self.node);
        [lease.into(), fleet::moved(id, ask.kind, ask.gpu, place).into()]
    }
}

/// Since when the node shows no life. None while its socket stands at a relay that lives, or it was heard of a
/// moment ago.
async fn silent_since(
    ctx: &Ctx,
    call: &Call,
    node: &NodeRow,
) -> Result<Option<Timestamp>, Refusal> {
    if node.connection.is_some() {
        return Ok(delivery::absence(ctx, call, node).await?.map(|absence| absence.since));
    }
    let row = ctx.store.get_eventual::<FleetRow>(&keys::fleet(node.id)).await?;
    let beat = row.and_then(|row| row.beat);
    let silent = Health::of(beat, call.now) != Health::Healthy;
    Ok(silent.then(|| beat.unwrap_or(node.changed)))
}

/// Who shows no life stands in nobody's way: behind all others first, and in the end off the list. A relay that
/// only lost its lease for a moment finds its nodes listed still.
async fn demote(
    ctx: &Ctx,
    call: &Call,
    node: ProviderId,
    ask: Ask<'_>,
    place: Place,
    since: Timestamp,
) {
    let away = Place { presence: Presence::Away, ..place };
    let write: Write = if place != away {
        fleet::moved(node, ask.kind, ask.gpu, away).into()
    } else if call.now.since_ms(since) >= FORGOTTEN_AFTER_MS {
        Write::delete(keys::capability(node, ask.kind, ask.gpu), When::Present)
    } else {
        return;
    };
    // What was read of it may be of before it came.
    let shown = Check::at_most("listed", call.now.plus_ms(-JUST_LISTED_MS));
    match ctx.store.write(write.require(shown)).await {
        Ok(()) | Err(WriteFailed::Condition) => {}
        Err(broken) => tracing::warn!(%node, cause = ?broken, "A silent node stays listed"),
    }
}
