//! The items of the table as values. Says what is stored, not what it means.

mod account;
mod anchor;
mod compact;
mod credit;
mod job;
mod money;
mod node;
mod provider;
mod rate;
mod statistics;
mod upload;

pub use account::{Pair, Role, SessionRow, UserRow};
pub use anchor::{Anchored, BatchRow, HeadRow, Member};
pub use credit::{BalanceRow, Direction, EntryRow, OnceRow, Sealed, SequenceRow, Source, UsageRow};
pub use job::{
    Delivered, JobRow, Lease, OutputFormat, Payment, ProgressRow, SceneRow, Settings, Task,
};
pub use money::{
    Batch, CursorRow, DebtRow, Inbound, InflowRow, OutStep, OutflowRow, SignedTx, WayOutRow,
};
pub use node::{Connection, NodeRow, Pulse, PulseSeen, PushRow, RelayRow};
pub use provider::{ClaimRow, PendingChange, ProviderRow, Status};
pub use rate::RateRow;
pub use statistics::StatisticsRow;
pub use upload::{IdempotencyRow, Live, QuotaRow, UploadDone, UploadKind, UploadRow};
