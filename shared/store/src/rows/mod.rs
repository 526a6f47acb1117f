//! The items of the table as values. Says what is stored, not what it means.

mod account;
mod anchor;
mod compact;
mod credit;
mod fleet;
mod job;
mod metrics;
mod money;
mod movement;
mod node;
mod provider;
mod rate;
mod statistics;
mod stripe;
mod upload;

pub use account::{Pair, Role, SessionRow, UserRow};
pub use anchor::{Anchored, BatchRow, HeadRow, Member};
pub use credit::{
    BalanceRow, Direction, EntryRow, OnceRow, PricesRow, Sealed, SequenceRow, Source, UsageRow,
};
pub use fleet::{CapabilityRow, DeadLetterRow, FleetRow, FleetSpecRow, Place, Presence};
pub use job::{
    AnyJob, CreatorDeal, CreatorJob, Deal, Dealt, Delivered, InputRow, JobRow, Lease, MarketDeal,
    MarketJob, OutputFormat, Payment, Priority, ProgressRow, SceneRow, Settings, Task,
};
pub use metrics::MetricsRow;
pub use money::{
    Batch, CursorRow, DebtRow, Inbound, InflowRow, OutStep, OutflowRow, SignedTx, WayOutRow,
};
pub use movement::{Cause, LedgerRow, MovementRow, MovementsRow, Unbooked};
pub use node::{Connection, NodeRow, Pulse, PulseSeen, PushRow, RelayRow};
pub use provider::{ClaimRow, PendingChange, ProviderRow, Status};
pub use rate::RateRow;
pub use statistics::StatisticsRow;
pub use stripe::{Became, Bought, PurchaseRow, StripeEventRow, StripePaymentRow};
pub use upload::{IdempotencyRow, Live, QuotaRow, UploadDone, UploadKind, UploadRow};
