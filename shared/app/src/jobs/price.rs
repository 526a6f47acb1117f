//! What a job costs, by its type: the contract's prices, unless an admin has set others.

use std::collections::BTreeMap;

use framefair_domain::credits::Credits;
use framefair_store::rows::PricesRow;
use framefair_store::{Check, Update, When, WriteFailed, keys};

use crate::{Call, Ctx, Refusal};

/// Of a type that has no price of its own.
const OTHER: Credits = Credits::whole(1);
const TYPE_CHARS_MAX: usize = 100;
/// One row holds all of them.
const TYPES_MAX: u32 = 200;

fn documented(kind: &str) -> Credits {
    match kind {
        "render" => Credits::whole(10),
        "inference" => Credits::whole(5),
        "echo" => Credits::ZERO,
        _ => OTHER,
    }
}

/// What everything costs. What was changed within the last second may still be as it was.
pub(crate) struct Prices(Option<PricesRow>);

pub(crate) async fn prices(ctx: &Ctx) -> Result<Prices, Refusal> {
    Ok(Prices(ctx.store.get_eventual::<PricesRow>(&keys::prices()).await?))
}

impl Prices {
    pub(crate) fn of(&self, kind: &str) -> Credits {
        let set = self.0.as_ref().and_then(|row| row.credits.get(kind).copied());
        set.unwrap_or_else(|| documented(kind))
    }
}

/// From now on a job of this type costs so much. Those that are open cost what they were dispatched at.
pub async fn set_price(ctx: &Ctx, call: &Call, kind: &str, price: Credits) -> Result<(), Refusal> {
    if kind.is_empty() || kind.chars().count() > TYPE_CHARS_MAX {
        return Err(Refusal::field("job_type", "job_type: 1 to 100 characters"));
    }
    let empty: BTreeMap<String, Credits> = BTreeMap::new();
    let first = Update::at(keys::prices(), When::Always).set_once("credits", empty);
    ctx.store.write(first).await?;
    let set = Update::at(keys::prices(), When::Present)
        .set(["credits", kind], price)
        .set("changed", call.now)
        .require_any([Check::fewer("credits", TYPES_MAX), Check::exists(["credits", kind])]);
    match ctx.store.write(set).await {
        Err(WriteFailed::Condition) => {
            Err(Refusal::invalid("200 job types have a price already; change one of those"))
        }
        written => Ok(written?),
    }
}
