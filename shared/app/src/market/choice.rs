//! Which provider gets a job, and for how much: the one that the client named, or the cheapest of
//! those who are online and able.

use framefair_domain::id::ProviderId;
use framefair_domain::money::Lamports;
use framefair_domain::quote::{self, Breakdown};
use framefair_domain::scheduling::{Candidate, Need, Unable, choose};
use framefair_store::keys;
use framefair_store::rows::{ProviderRow, Status};

use crate::provider::Listed;
use crate::{Call, Ctx, Refusal, provider};

/// Those among whom is chosen. Read before the scene is known, so that both are read at once.
#[derive(Debug)]
pub(super) enum Offered {
    Named(Box<ProviderRow>),
    Online(Vec<Listed>),
}

/// Reads them: the one that is named, or all who are online.
pub(super) async fn offered(ctx: &Ctx, named: Option<ProviderId>) -> Result<Offered, Refusal> {
    let Some(id) = named else { return Ok(Offered::Online(provider::online(ctx).await?)) };
    let provider = ctx.store.get::<ProviderRow>(&keys::provider(id)).await?;
    Ok(Offered::Named(Box::new(provider.ok_or(Refusal::NotFound)?)))
}

impl Offered {
    pub(super) fn choose(
        self,
        call: &mut Call,
        need: &Need,
        price_max: Option<Lamports>,
    ) -> Result<(ProviderRow, Breakdown), Refusal> {
        match self {
            Offered::Named(provider) => named_provider(*provider, need, price_max),
            Offered::Online(online) => cheapest_provider(&online, call, need, price_max),
        }
    }
}

/// The provider that the client named: it may be busy, but it must be there and able.
fn named_provider(
    provider: ProviderRow,
    need: &Need,
    price_max: Option<Lamports>,
) -> Result<(ProviderRow, Breakdown), Refusal> {
    if !matches!(provider.status(), Status::Online | Status::Busy) {
        let status = provider.status().word();
        return Err(Refusal::NoProvider(format!(
            "No providers available: the provider you named is {status}; name another one, or none to let the hub choose"
        )));
    }
    if let Err(unable) = provider.abilities.can(need) {
        if let Unable::Frames(_) = unable {
            return Err(Refusal::NoProvider(format!(
                "No providers available: the provider you named {unable}; name another one, or none to let the hub choose"
            )));
        }
        return Err(Refusal::Invalid(format!(
            "the provider you named cannot render this scene: it {unable}"
        )));
    }
    let price = price_of(need, &provider)?;
    if price_max.is_some_and(|max| price.total > max) {
        return Err(Refusal::NoProvider(format!(
            "No providers available: the provider you named asks {}, above your maxPrice",
            price.total
        )));
    }
    Ok((provider, price))
}

/// The cheapest of those that are online and able.
fn cheapest_provider(
    online: &[Listed],
    call: &mut Call,
    need: &Need,
    price_max: Option<Lamports>,
) -> Result<(ProviderRow, Breakdown), Refusal> {
    if online.is_empty() {
        return Err(Refusal::NoProvider("No providers available: none is online right now".into()));
    }
    let mut why_not = None;
    let mut able = Vec::new();
    for listed in online {
        match listed.provider.abilities.can(need) {
            Ok(()) => able.push((listed, price_of(need, &listed.provider)?)),
            Err(unable) => why_not = Some(unable),
        }
    }
    if let (true, Some(unable)) = (able.is_empty(), why_not) {
        return Err(Refusal::NoProvider(format!(
            "No providers available: none of the {} online can render this scene; the last one asked {unable}",
            online.len()
        )));
    }
    let candidates: Vec<Candidate> = able.iter().map(|(l, price)| candidate(l, price)).collect();
    let chosen = choose(&candidates, call.lot()).ok_or(Refusal::Busy)?;
    if price_max.is_some_and(|max| chosen.total > max) {
        return Err(Refusal::NoProvider(format!(
            "No providers available: the cheapest asks {}, above your maxPrice",
            chosen.total
        )));
    }
    able.into_iter()
        .find(|(listed, _)| listed.provider.id == chosen.provider)
        .map(|(listed, price)| (listed.provider.clone(), price))
        .ok_or(Refusal::Busy)
}

pub(crate) fn candidate(listed: &Listed, price: &Breakdown) -> Candidate {
    Candidate {
        provider: listed.provider.id,
        total: price.total,
        rating_tenths: listed.rating_tenths,
        open: listed.open,
    }
}

pub(crate) fn price_of(need: &Need, provider: &ProviderRow) -> Result<Breakdown, Refusal> {
    let size = quote::Size { bytes: need.bytes, frames: need.frames };
    Ok(quote::price(size, &provider.tariff)?)
}
