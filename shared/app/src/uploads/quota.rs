//! How much a caller may have lying here unpaid: a map of names and sizes per address and per
//! wallet, so that adding or removing one twice changes nothing.

use std::time::Duration;

use framefair_domain::time::Timestamp;
use framefair_store::rows::{Live, QuotaRow};
use framefair_store::seam::over_again;
use framefair_store::{Update, When, Write, WriteFailed, keys};

use super::{LIVE_BYTES_MAX, LIVE_FILES_MAX};
use crate::{Call, Ctx, Refusal};

pub(super) const TRIES: u32 = 16;
/// After each try that somebody else was faster than, one more of it.
const PAUSE: Duration = Duration::from_millis(5);

/// One file of an account.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) until: Timestamp,
}

/// An account as it was read.
#[derive(Debug)]
pub(crate) struct Room {
    account: Option<String>,
    read: Option<QuotaRow>,
}

/// Reads an account, so that the write may come later; of nobody nothing is read.
pub(crate) async fn room(ctx: &Ctx, account: Option<String>) -> Result<Room, Refusal> {
    let read = match &account {
        Some(account) => ctx.store.get::<QuotaRow>(&keys::quota(account)).await?,
        None => None,
    };
    Ok(Room { account, read })
}

impl Room {
    /// Counts the file, or corrects its size, if the account has room for it.
    pub(crate) async fn reserve(
        mut self,
        ctx: &Ctx,
        call: &Call,
        entry: &Entry,
    ) -> Result<(), Refusal> {
        if self.try_reserve(ctx, call, entry).await? {
            return Ok(());
        }
        let again = async {
            for tries in 1..TRIES {
                self.read_again(ctx, tries).await?;
                if self.try_reserve(ctx, call, entry).await? {
                    return Ok(());
                }
            }
            Err(Refusal::Busy)
        };
        over_again(Box::pin(again)).await
    }

    async fn try_reserve(&self, ctx: &Ctx, call: &Call, entry: &Entry) -> Result<bool, Refusal> {
        let Some(write) = self.counting(call, entry)? else { return Ok(true) };
        match ctx.store.write(write).await {
            Ok(()) => Ok(true),
            Err(WriteFailed::Condition) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// The write that counts the file, if the account has room for it; none where it is counted.
    pub(super) fn counting(&self, call: &Call, entry: &Entry) -> Result<Option<Write>, Refusal> {
        let Some(account) = &self.account else { return Ok(None) };
        let known = self.read.as_ref().and_then(|row| row.live.get(&entry.name));
        if known.is_some_and(|live| live.bytes == entry.bytes) {
            return Ok(None);
        }
        let when = self.read.as_ref().map_or(When::Absent, |row| When::Rev(row.rev));
        let mut row = self.read.clone().unwrap_or_else(|| empty(account));
        add(&mut row, entry, call.now)?;
        row.rev += 1;
        Ok(Some(Write::put(&row, when)))
    }

    /// Somebody else was faster, for the `tries`th time.
    pub(super) async fn read_again(&mut self, ctx: &Ctx, tries: u32) -> Result<(), Refusal> {
        tokio::time::sleep(PAUSE * tries).await;
        *self = room(ctx, self.account.take()).await?;
        Ok(())
    }
}

/// The write that takes the file off the account, if there is one.
pub(super) fn releasing(account: &str, name: &str) -> Update {
    Update::at(keys::quota(account), When::Present).remove(["live", name]).add("rev", 1)
}

/// Takes the file off the account. A loss of this is mended by time.
pub(crate) async fn release(ctx: &Ctx, account: &str, name: &str) -> Result<(), Refusal> {
    match ctx.store.write(releasing(account, name)).await {
        Ok(()) | Err(WriteFailed::Condition) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

fn empty(account: &str) -> QuotaRow {
    QuotaRow { account: account.to_owned(), rev: 0, live: Default::default() }
}

fn add(row: &mut QuotaRow, entry: &Entry, now: Timestamp) -> Result<(), Refusal> {
    row.live.retain(|name, live| live.until_s > now.seconds() && *name != entry.name);
    let taken: u64 = row.live.values().map(|live| live.bytes).sum();
    if taken.saturating_add(entry.bytes) > LIVE_BYTES_MAX || row.live.len() >= LIVE_FILES_MAX {
        return Err(Refusal::QuotaFull);
    }
    let live = Live { bytes: entry.bytes, until_s: entry.until.seconds() };
    row.live.insert(entry.name.clone(), live);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn entry(name: &str, bytes: u64, until_s: i64) -> Entry {
        let until = Timestamp(until_s * 1_000);
        Entry { name: name.into(), bytes, until }
    }

    #[test]
    fn five_gibibytes_fit_and_not_a_byte_more_until_time_makes_room() {
        let mut row = empty("a");
        let at = |s: i64| Timestamp(s * 1_000);
        add(&mut row, &entry("one", 3 * GIB, 100), at(0)).expect("room");
        add(&mut row, &entry("two", 2 * GIB, 200), at(0)).expect("exactly full");
        assert!(add(&mut row, &entry("three", 1, 200), at(99)).is_err());
        add(&mut row, &entry("two", 2 * GIB, 200), at(99)).expect("the same again changes nothing");
        add(&mut row, &entry("three", 3 * GIB, 300), at(100)).expect("the first has run out");
        assert_eq!(row.live.len(), 2);
    }

    #[test]
    fn an_account_has_a_bounded_number_of_files() {
        let mut row = empty("a");
        for n in 0..LIVE_FILES_MAX {
            add(&mut row, &entry(&n.to_string(), 1, 100), Timestamp(0)).expect("room");
        }
        assert!(add(&mut row, &entry("more", 1, 100), Timestamp(0)).is_err());
    }
}
