//! A node registers by its key. A key that is known gets a token only against a signature over the
//! challenge that was given out last: who knows the public key alone gets none. The wallet of a provider is
//! known, too, though it never registered here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use framefair_domain::fleet::{has_signed, key_of_pem};
use framefair_domain::id::ProviderId;
use framefair_store::rows::{FleetRow, FleetSpecRow, ProviderRow};
use framefair_store::{Update, When, Write, keys};
use garde::Validate;
use serde::Deserialize;
use uuid::Uuid;

use super::capable::unlist;
use super::{Metadata, list, metadata_fits};
use crate::delivery::SLOTS_MAX;
use crate::write::Done;
use crate::{Call, Ctx, Refusal, delivery};

/// All together, so that a token that names them fits where tokens go.
const CAPABILITIES_BYTES_MAX: usize = 2_000;
const CHALLENGE_BYTES: usize = 32;
/// Who does not say how many jobs it takes at once gets one after the other: published nodes hear nothing more
/// while they work.
const SLOTS: u32 = 1;

#[derive(Clone, Debug, Deserialize, Validate)]
pub struct Enrolment {
    #[garde(length(chars, min = 1, max = 255))]
    pub name: String,
    #[garde(length(chars, max = 1024))]
    pub public_key: String,
    #[garde(length(max = 64), inner(length(chars, min = 1, max = 100)), custom(fit_together))]
    pub capabilities: Vec<String>,
    #[garde(custom(metadata_fits))]
    pub metadata: Option<Metadata>,
    #[garde(skip)]
    pub challenge: Option<String>,
    /// Base64.
    #[garde(skip)]
    pub signature: Option<String>,
}

fn fit_together(capabilities: &[String], (): &()) -> garde::Result {
    let bytes: usize = capabilities.iter().map(String::len).sum();
    match bytes <= CAPABILITIES_BYTES_MAX {
        true => Ok(()),
        false => Err(garde::Error::new("at most 2000 bytes all together")),
    }
}

/// What a registration comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolled {
    Registered {
        node: ProviderId,
        /// To be signed by who registers this key again.
        challenge: String,
        token: String,
    },
    /// The key is known, and was not proven.
    Known { challenge: String },
}

/// A new key is registered at once; a known one if it signed its challenge, which is used up by that.
pub async fn register(ctx: &Ctx, call: &mut Call, wish: Enrolment) -> Result<Enrolled, Refusal> {
    let key = key_of_pem(&wish.public_key)
        .map_err(|why| Refusal::field("public_key", format!("public_key: {why}")))?;
    let id = ProviderId::of(&key);
    let (fleet, provider) = (keys::fleet(id), keys::provider(id));
    let (known, sells) = tokio::try_join!(
        ctx.store.get::<FleetRow>(&fleet),
        ctx.store.get::<ProviderRow>(&provider),
    )?;
    if let Some(known) = &known
        && !proves(&wish, known)
    {
        return Ok(Enrolled::Known { challenge: known.challenge.clone() });
    }
    let row = FleetRow {
        id,
        rev: known.as_ref().map_or(1, |known| known.rev + 1),
        key,
        challenge: challenge(call),
        token: token_id(call),
        proven: known.is_some(),
        admitted: known.as_ref().map_or(ctx.platform.open_fleet, |known| known.admitted),
        registered: known.as_ref().map_or(call.now, |known| known.registered),
        beat: known.as_ref().and_then(|known| known.beat),
        socket: known.as_ref().and_then(|known| known.socket.clone()),
        load: known.as_ref().map_or(0, |known| known.load),
        slots: slots(wish.metadata.as_ref()),
    };
    let metadata = serde_json::to_string(&wish.metadata.unwrap_or_default()).unwrap_or_default();
    let (name, capabilities) = (wish.name, wish.capabilities);
    let token = ctx.token_keys()?.node(&row, &capabilities, call.now)?;
    let taken = known.is_none() && sells.is_some();
    let stays_nobodys = (known.is_none() && !taken).then(|| Write::check(provider, When::Absent));
    let spec = FleetSpecRow { id, name, capabilities, metadata };
    let before = match &known {
        Some(_) => ctx.store.get::<FleetSpecRow>(&keys::fleet_spec(id)).await?,
        None => None,
    };
    let when = known.map_or(When::Absent, |known| When::Rev(known.rev));
    let node = delivery::first_row(call, id).into();
    let mut writes = vec![Write::put(&row, when), Write::put(&spec, When::Always), node];
    writes.extend(stays_nobodys);
    // First, since afterwards nobody knows any more what it was listed for.
    if let Some(before) = &before {
        unlist(ctx, before, &spec).await?;
    }
    if ctx.store.transact(writes).await.done()? {
        if taken {
            // Whoever asks may be anybody: the token is given to nobody.
            return Ok(Enrolled::Known { challenge: row.challenge });
        }
        if before.is_some() {
            list(ctx, call, &row).await?;
        }
        tracing::info!(node = %id, proven = row.proven, "Registered a node");
        return Ok(Enrolled::Registered { node: id, challenge: row.challenge, token });
    }
    // Somebody else registered it a moment before.
    let known = ctx.store.get::<FleetRow>(&fleet).await?.ok_or(Refusal::Busy)?;
    Ok(Enrolled::Known { challenge: known.challenge })
}

/// The wallet of this node has just shown that it is the key's holder. Whoever had a token without a proof has
/// none any more, and whoever asks for one has to prove as much.
pub(crate) fn claimed(node: &FleetRow) -> Write {
    let (key, as_read) = (keys::fleet(node.id), When::Rev(node.rev));
    match node.proven {
        true => Write::check(key, as_read),
        false => Update::at(key, as_read).set("token", Uuid::nil()).into(),
    }
}

/// Whether the key's holder signed the challenge that was given out last.
fn proves(wish: &Enrolment, known: &FleetRow) -> bool {
    let (Some(challenge), Some(signature)) = (&wish.challenge, &wish.signature) else {
        return false;
    };
    let signature = STANDARD.decode(signature).unwrap_or_default();
    *challenge == known.challenge && has_signed(&known.key, challenge, &signature)
}

/// What it says of how many jobs it takes at once.
fn slots(metadata: Option<&Metadata>) -> u32 {
    let said = metadata.and_then(|metadata| metadata.get("slots")?.as_u64());
    said.map_or(SLOTS, |slots| u32::try_from(slots).unwrap_or(u32::MAX).clamp(1, SLOTS_MAX))
}

fn challenge(call: &mut Call) -> String {
    hex::encode(call.entropy::<CHALLENGE_BYTES>())
}

fn token_id(call: &mut Call) -> Uuid {
    uuid::Builder::from_random_bytes(call.entropy()).into_uuid()
}
