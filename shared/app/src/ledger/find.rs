//! An entry by its number or by its id.

use framefair_domain::id::{EntryId, UserId};
use framefair_store::rows::EntryRow;
use framefair_store::{Index, Order, Range, keys};

use crate::credits::place_of;
use crate::{Ctx, Refusal};

/// How a caller names an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryName {
    Number(i64),
    Id(EntryId),
}

/// The entry, if it is this user's.
pub(super) async fn find(ctx: &Ctx, user: UserId, name: EntryName) -> Result<EntryRow, Refusal> {
    let key = match name {
        EntryName::Id(id) => Some(keys::entry(user, place_of(id))),
        EntryName::Number(number) => {
            let (partition, _) = keys::entry_by_number(number);
            let found =
                ctx.store.index(Index::Owner, &partition, Range::All, Order::Ascending, 1, None);
            found.await?.keys().pop()
        }
    };
    let own = key.filter(|key| key.pk == keys::entry(user, 0).pk);
    let entry = match own {
        Some(key) => ctx.store.get::<EntryRow>(&key).await?,
        None => None,
    };
    let is_it = |entry: &EntryRow| match name {
        EntryName::Id(id) => entry.id == id,
        EntryName::Number(number) => entry.number == number,
    };
    entry.filter(is_it).ok_or(Refusal::Missing("Ledger entry not found"))
}
