//! A node shows that it lives.

use framefair_domain::fleet::Health;
use framefair_domain::id::ProviderId;
use framefair_domain::time::{SECOND_MS, Timestamp};
use framefair_store::rows::{FleetRow, RelayRow};
use framefair_store::{Check, Index, Update, When, WriteFailed, keys};
use garde::Validate;
use serde::Deserialize;

use super::{Member, Metadata, list, metadata_fits};
use crate::account::NotAuthenticated;
use crate::{Call, Ctx, Refusal};

/// A sign of life that is not older says enough: a node that beats twice a minute is written once.
const WRITTEN_EVERY_MS: i64 = 50 * SECOND_MS;

/// What a node says of itself as it goes.
#[derive(Clone, Debug, Deserialize, Validate)]
pub struct Beat {
    /// 0 to 1; what lies outside is taken for the nearer end.
    #[garde(skip)]
    pub current_load: f64,
    /// Held to its limit, and not kept.
    #[garde(custom(metadata_fits))]
    pub metadata: Option<Metadata>,
}

/// The node whose token this is. That it is the node's only one is seen where it is used.
pub fn authenticate(ctx: &Ctx, call: &Call, bearer: Option<&str>) -> Result<Member, Refusal> {
    let token = bearer.ok_or(NotAuthenticated::Node)?;
    let (id, token) = ctx.token_keys()?.read_node(token, call.now)?;
    Ok(Member { id, token })
}

/// Whether the node, without a socket since then, has shown itself by calls, and of late.
pub(crate) async fn calls(
    ctx: &Ctx,
    call: &Call,
    node: ProviderId,
    since: Timestamp,
) -> Result<bool, Refusal> {
    let row = ctx.store.get::<FleetRow>(&keys::fleet(node)).await?;
    let beat = row.and_then(|row| row.beat).filter(|beat| *beat > since);
    Ok(Health::of(beat, call.now) == Health::Healthy)
}

/// Notes that the node lives, and says how it does. Where it was heard of a moment ago nothing is
/// written.
pub async fn beat(ctx: &Ctx, call: &Call, node: Member, beat: &Beat) -> Result<Health, Refusal> {
    let key = keys::fleet(node.id);
    let row = ctx.store.get::<FleetRow>(&key).await?;
    let row = row.filter(|row| row.token == node.token).ok_or(NotAuthenticated::Node)?;
    let recent = row.beat.is_some_and(|beat| call.now.since_ms(beat) < WRITTEN_EVERY_MS);
    if !recent {
        let lives = Update::at(key, When::Present)
            .set("beat", call.now)
            .set("load", hundredths(beat.current_load))
            .require(Check::equals("token", node.token));
        // While its socket stands, that says more.
        let lives = match stands(ctx, call, &row).await? {
            true => lives,
            false => {
                lives.remove("socket").index(Index::Due, Some(keys::fleet_heard(call.now, node.id)))
            }
        };
        let now = match ctx.store.update_returning::<FleetRow>(lives).await {
            // It has registered anew meanwhile.
            Err(WriteFailed::Condition) => return Err(NotAuthenticated::Node.into()),
            written => written?,
        };
        let before = Health::of(row.beat, call.now);
        log(node.id, before);
        if before != Health::Healthy || now.load / 10 != row.load / 10 {
            list(ctx, call, &now).await?;
        }
    }
    Ok(Health::of(Some(call.now), call.now))
}

async fn stands(ctx: &Ctx, call: &Call, row: &FleetRow) -> Result<bool, Refusal> {
    let Some(socket) = &row.socket else { return Ok(false) };
    let relay = ctx.store.get_eventual::<RelayRow>(&keys::relay(socket.relay)).await?;
    Ok(relay.is_some_and(|relay| relay.carries(socket, call.now)))
}

fn log(node: ProviderId, before: Health) {
    if before != Health::Healthy {
        tracing::info!(%node, ?before, "A node is healthy");
    }
}

fn hundredths(load: f64) -> u8 {
    // Between 0 and 100 after the clamp; what is no number counts as idle.
    (load.clamp(0.0, 1.0) * 100.0).round() as u8
}
