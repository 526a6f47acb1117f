//! A wallet becomes a provider, once.

use framefair_domain::id::ProviderId;
use framefair_domain::quote::Tariff;
use framefair_domain::reach;
use framefair_domain::scheduling::Abilities;
use framefair_domain::signing;
use framefair_domain::time::MINUTE_MS;
use framefair_domain::wallet::Wallet;
use framefair_store::rows::{FleetRow, PendingChange, ProviderRow, Status};
use framefair_store::{TransactFailed, When, Write, keys};

use super::Signed;
use crate::statistics::Count;
use crate::{Broken, Call, Ctx, Refusal, delivery, fleet};

const ENDPOINT_BYTES_MAX: usize = 300;
/// A changed endpoint, spec or price of a short signature waits this long for the wallet's socket.
const CONFIRM_WITHIN_MS: i64 = 2 * MINUTE_MS;

#[derive(Debug)]
pub struct Registration {
    pub name: String,
    pub wallet: Wallet,
    pub endpoint: String,
    /// The spec as given, and what of it decides.
    pub spec: String,
    pub abilities: Abilities,
    pub tariff: Tariff,
    pub signed: Signed,
}

/// One provider per wallet: a repeat answers the same id.
pub async fn register(ctx: &Ctx, call: &Call, input: Registration) -> Result<ProviderId, Refusal> {
    ctx.refuse_escrow_as_party(&input.wallet)?;
    signing::verifying_key(&input.wallet)?;
    check_endpoint(ctx, &input)?;
    let text = signing::register(&input.wallet, &input.name);
    let nonce = input.signed.verify(ctx, call, &input.wallet, text)?;
    let id = ProviderId::of(&input.wallet);
    let (provider, node) = (keys::provider(id), keys::fleet(id));
    let (known, node) = tokio::try_join!(
        ctx.store.get::<ProviderRow>(&provider),
        ctx.store.get::<FleetRow>(&node)
    )?;
    match known {
        None => create(ctx, call, input, node, nonce).await?,
        // Half of a hash, so it cannot happen.
        Some(known) if known.wallet != input.wallet => {
            return Err(Broken(format!("{} is provider {id} too", input.wallet)).into());
        }
        Some(known) => change(ctx, call, known, input, nonce).await?,
    }
    Ok(id)
}

/// An endpoint that will be dialled must lead to a public place, as far as its text tells; the name
/// in it is looked at again whenever it is dialled. One that never is need only be a URL.
fn check_endpoint(ctx: &Ctx, input: &Registration) -> Result<(), Refusal> {
    let read = match input.abilities.relay {
        true => reach::form(&input.endpoint),
        false => ctx.platform.reach.url(&input.endpoint),
    };
    let url = read.map_err(|why| Refusal::Invalid(format!("endpoint: {why}")))?;
    if input.endpoint.len() > ENDPOINT_BYTES_MAX {
        return Err(Refusal::invalid("endpoint: at most 300 characters"));
    }
    // `/render` and `/health` are put behind it.
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Refusal::invalid("endpoint: a URL without query and fragment"));
    }
    Ok(())
}

async fn create(
    ctx: &Ctx,
    call: &Call,
    input: Registration,
    node: Option<FleetRow>,
    nonce: Option<Write>,
) -> Result<(), Refusal> {
    let id = ProviderId::of(&input.wallet);
    let provider = ProviderRow {
        id,
        rev: 1,
        wallet: input.wallet,
        name: input.name,
        endpoint: input.endpoint,
        spec: input.spec,
        abilities: input.abilities,
        tariff: input.tariff,
        chosen: Status::Offline,
        connected: false,
        silent: false,
        registered: call.now,
        seen: call.now,
        pending: None,
    };
    let stranger = node.as_ref().is_some_and(|node| !node.proven);
    let mut writes = vec![Write::put(&provider, When::Absent)];
    writes.push(match &node {
        None => Write::check(keys::fleet(id), When::Absent),
        Some(node) => fleet::claimed(node),
    });
    writes.extend(nonce);
    match ctx.all(writes).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(failed)) if failed.contains(&2) => {
            return Err(Refusal::Replayed);
        }
        // Two registrations of one wallet at once: there it is.
        Err(TransactFailed::Conditions(failed)) if failed.contains(&0) => return Ok(()),
        // It registered as a node at this moment.
        Err(TransactFailed::Conditions(_)) => return Err(Refusal::Busy),
        Err(other) => return Err(other.into()),
    }
    if stranger {
        delivery::expel(ctx, call, id).await?;
    }
    tracing::info!(provider = %id, wallet = %input.wallet, "Registered a provider");
    ctx.count(None, Count { providers: 1, ..Count::default() }).await;
    Ok(())
}

async fn change(
    ctx: &Ctx,
    call: &Call,
    before: ProviderRow,
    input: Registration,
    nonce: Option<Write>,
) -> Result<(), Refusal> {
    let mut provider = before.clone();
    provider.name = input.name;
    let same = provider.endpoint == input.endpoint
        && provider.spec == input.spec
        && provider.tariff == input.tariff;
    if nonce.is_some() {
        provider.endpoint = input.endpoint;
        provider.spec = input.spec;
        provider.abilities = input.abilities;
        provider.tariff = input.tariff;
        provider.pending = None;
    } else {
        // A short signature binds neither endpoint nor price and never expires: whoever has seen
        // one could move the provider's work elsewhere. The wallet itself must show up, and what it
        // then confirms is what was said last.
        provider.pending = (!same).then(|| PendingChange {
            endpoint: input.endpoint,
            spec: input.spec,
            abilities: input.abilities,
            tariff: input.tariff,
            until: call.now.plus_ms(CONFIRM_WITHIN_MS),
        });
    }
    if provider != before || nonce.is_some() {
        let read = provider.rev;
        provider.rev += 1;
        let writes = [Write::put(&provider, When::Rev(read))].into_iter().chain(nonce);
        match ctx.all(writes.collect()).await {
            Ok(()) => {}
            Err(TransactFailed::Conditions(failed)) if failed.contains(&1) => {
                return Err(Refusal::Replayed);
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
