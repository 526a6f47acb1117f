//! A table in which many others have been before: providers, jobs and entries of the ledger, so that
//! what an operation costs can be seen not to grow with them.

use framefair_app::{Ctx, JobState};
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::money::Lamports;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::TxSignature;
use framefair_store::rows::{Inbound, InflowRow, MarketJob, NodeRow, ProviderRow, Status};
use framefair_store::{TransactFailed, When, Write, keys};
use futures::{StreamExt, TryStreamExt, stream};

/// So many in one transaction, and so many of those at once.
const TOGETHER: usize = 50;
const AT_ONCE: usize = 2;
/// So many providers are online, whatever their number. The others are one hundredth dearer.
const ONLINE: u64 = 20;
/// Of every ten items: a provider, a job, an entry.
const TEN: u64 = 10;

/// Puts that many items there, of the kind that `job` and its provider left behind.
pub(crate) async fn fill(ctx: &Ctx, items: u64, job: &MarketJob) {
    let provider = keys::provider(job.deal.provider);
    let provider: ProviderRow = ctx.store.get(&provider).await.unwrap().unwrap();
    let node: NodeRow = ctx.store.get(&keys::node(job.deal.provider)).await.unwrap().unwrap();
    let puts = (0..items).map(|n| match n % TEN {
        0 => provider_like(&provider, n),
        1 => Write::put(&NodeRow { id: provider_id(n - 1), ..node.clone() }, When::Absent),
        2..=5 => {
            let (id, state) = (JobId(born(n)), JobState::Completed);
            Write::put(&MarketJob { id, state, due: None, ..job.clone() }, When::Absent)
        }
        _ => Write::put(&entry(n), When::Absent),
    });
    let some = stream::iter(puts).chunks(TOGETHER).map(Ok::<Vec<Write>, TransactFailed>);
    some.try_for_each_concurrent(AT_ONCE, |some| ctx.store.transact(some)).await.unwrap();
}

fn provider_like(known: &ProviderRow, n: u64) -> Write {
    let chosen = if n / TEN < ONLINE { Status::Online } else { Status::Offline };
    let mut row = ProviderRow { id: provider_id(n), chosen, ..known.clone() };
    row.tariff.frame = Lamports(row.tariff.frame.0 + row.tariff.frame.0 / 100);
    Write::put(&row, When::Absent)
}

fn entry(n: u64) -> InflowRow {
    let mut signature = [7; 64];
    signature[..8].copy_from_slice(&n.to_be_bytes());
    InflowRow {
        signature: TxSignature(signature),
        kind: Inbound::Payment,
        job: Some(JobId(born(n))),
        back_to: None,
        slot: n,
        lamports: Lamports(n),
    }
}

fn provider_id(n: u64) -> ProviderId {
    ProviderId(born(n))
}

fn born(n: u64) -> uuid::Uuid {
    let long_ago = Timestamp(1_700_000_000_000).plus_ms(n.cast_signed());
    JobId::new(long_ago, [7; 10]).0
}
