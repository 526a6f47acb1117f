//! An entry by one of its names.

use framefair_domain::id::{EntryId, UserId};
use framefair_domain::wallet::TxSignature;
use framefair_store::rows::LedgerRow;
use framefair_store::{Index, Key, Order, Range, keys};

use crate::credits::place_of;
use crate::{Ctx, Refusal};

/// How a caller names an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryName {
    Number(i64),
    Id(EntryId),
    /// What moved in escrow with this transaction.
    Transaction(TxSignature),
}

/// The entry, if it is this user's. What moved in escrow is everybody's: the chain shows it to all.
pub(super) async fn find(ctx: &Ctx, user: UserId, name: EntryName) -> Result<LedgerRow, Refusal> {
    let first = async |index, partition: String| -> Result<Option<Key>, Refusal> {
        let page =
            ctx.store.index(index, &partition, Range::All, Order::Ascending, 1, None).await?;
        Ok(page.keys().pop())
    };
    let key = match name {
        EntryName::Id(id) => Some(keys::entry(user, place_of(id))),
        EntryName::Number(number) => first(Index::Owner, keys::entry_by_number(number).0).await?,
        EntryName::Transaction(it) => {
            first(Index::State, keys::movement_by_transaction(&it).0).await?
        }
    };
    let own = keys::entry(user, 0).pk;
    let entry = match key.filter(|key| key.pk == own || key.pk == keys::MOVEMENTS) {
        Some(key) => ctx.store.get::<LedgerRow>(&key).await?,
        None => None,
    };
    let is_it = |entry: &LedgerRow| match (name, entry) {
        (EntryName::Id(id), entry) => entry.id() == id,
        (EntryName::Number(number), entry) => entry.number() == number,
        (EntryName::Transaction(it), LedgerRow::Movement(row)) => row.transaction == it,
        (EntryName::Transaction(_), LedgerRow::Entry(_)) => false,
    };
    entry.filter(is_it).ok_or(Refusal::Missing("Ledger entry not found"))
}
