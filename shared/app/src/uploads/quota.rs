//! How much a caller may have lying here unpaid: a map of names and sizes per address and per
//! wallet, so that adding or removing one twice changes nothing.

use std::time::Duration;

use framefair_domain::time::Timestamp;
use framefair_store::rows::{Live, QuotaRow};
use framefair_store::seam::labelled;
use framefair_store::{Update, When, Write, WriteFailed, keys};

use super::{LIVE_BYTES_MAX, LIVE_FILES_MAX};
use crate::{Call, Ctx, Refusal};

const TRIES: u32 = 16;
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
        self,
        ctx: &Ctx,
        call: &Call,
        entry: &Entry,
    ) -> Result<(), Refusal> {
        labelled("quota", self.change(ctx, call, entry)).await
    }

    async fn change(self, ctx: &Ctx, call: &Call, entry: &Entry) -> Result<(), Refusal> {
        let Some(account) = self.account else { return Ok(()) };
        let mut read = self.read;
        for tries in 1..=TRIES {
            let counted = |row: &QuotaRow| {
                row.live.get(&entry.name).is_some_and(|live| live.bytes == entry.bytes)
            };
            if read.as_ref().is_some_and(counted) {
                return Ok(());
            }
            let when = read.as_ref().map_or(When::Absent, |row| When::Rev(row.rev));
            let mut row = read.unwrap_or_else(|| empty(&account));
            add(&mut row, entry, call.now)?;
            row.rev += 1;
            match ctx.store.write(Write::put(&row, when)).await {
                Err(WriteFailed::Condition) => {}
                other => return Ok(other?),
            }
            tokio::time::sleep(PAUSE * tries).await;
            read = ctx.store.get::<QuotaRow>(&keys::quota(&account)).await?;
        }
        Err(Refusal::Busy)
    }
}

/// Takes the file off the account. A loss of this is mended by time.
pub(crate) async fn release(ctx: &Ctx, account: &str, name: &str) -> Result<(), Refusal> {
    let update =
        Update::at(keys::quota(account), When::Present).remove(["live", name]).add("rev", 1);
    match labelled("quota", ctx.store.write(update)).await {
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
