//! How things are spelled in the table, its indexes and the bucket. No other file spells a key.

use framefair_domain::id::{JobId, ProviderId, SessionId, UploadId, UserId};
use framefair_domain::settlement::SettlementId;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};

use crate::Key;

const CLAIM: &str = "CLAIM";
const ENTRY: &str = "ENTRY";

fn key(pk: String, sk: impl Into<String>) -> Key {
    Key { pk, sk: sk.into() }
}

/// The partition that holds everything of one job.
pub fn job_partition(job: JobId) -> String {
    format!("JOB#{job}")
}

pub fn job(job: JobId) -> Key {
    key(job_partition(job), "JOB")
}

/// What is owed to one wallet.
pub fn debt(wallet: &Wallet) -> Key {
    key(settlement_partition(SettlementId::Debt(*wallet)), "DEBT")
}

/// Which job or debt an index row of `DUE` points to.
pub fn settlement_of(key: &Key) -> Option<SettlementId> {
    let (kind, id) = key.pk.split_once('#')?;
    match kind {
        "JOB" => id.parse().ok().map(SettlementId::Job),
        "DEBT" => id.parse().ok().map(SettlementId::Debt),
        _ => None,
    }
}

fn settlement_partition(settlement: SettlementId) -> String {
    match settlement {
        SettlementId::Job(job) => job_partition(job),
        SettlementId::Debt(wallet) => format!("DEBT#{wallet}"),
    }
}

pub fn progress(job: JobId) -> Key {
    key(job_partition(job), PROGRESS)
}

pub const PROGRESS: &str = "PROGRESS";

/// The latest delivery of a task to an endpoint.
pub fn push(job: JobId) -> Key {
    key(job_partition(job), "PUSH")
}

/// Place `n` in a settlement's way out.
pub fn way_out(settlement: SettlementId, n: u32) -> Key {
    key(settlement_partition(settlement), format!("{WAY_OUT}{n:06}"))
}

pub const WAY_OUT: &str = "OUT#";

pub fn provider(provider: ProviderId) -> Key {
    key(format!("PROVIDER#{provider}"), "PROVIDER")
}

pub fn provider_of(key: &Key) -> Option<ProviderId> {
    key.pk.strip_prefix("PROVIDER#")?.parse().ok()
}

pub fn node(node: ProviderId) -> Key {
    key(format!("NODE#{node}"), "NODE")
}

pub fn relay(slot: u8) -> Key {
    key(format!("RELAY#{slot}"), "RELAY")
}

/// One provider per wallet.
pub fn wallet_claim(wallet: &Wallet) -> Key {
    key(format!("WALLET#{wallet}"), CLAIM)
}

/// One use per nonce.
pub fn nonce_claim(wallet: &Wallet, nonce: &str) -> Key {
    key(format!("NONCE#{wallet}#{nonce}"), CLAIM)
}

/// Somebody waits for a payment of this job.
pub fn waiting_claim(job: JobId) -> Key {
    key(format!("WAITING#{job}"), CLAIM)
}

/// A transaction that moved money into escrow: claim and entry in one.
pub fn inflow(signature: &TxSignature) -> Key {
    key(format!("TX#{signature}"), ENTRY)
}

/// A transaction that moved money out of escrow.
pub fn outflow(signature: &TxSignature) -> Key {
    key(format!("OUT#{signature}"), ENTRY)
}

pub fn cursor(wallet: &Wallet) -> Key {
    key(format!("CURSOR#{wallet}"), "CURSOR")
}

pub fn statistics(shard: u8) -> Key {
    key(format!("STATS#{shard}"), "STATS")
}

/// Counters that everybody adds to are spread over this many items.
pub const STATISTICS_SHARDS: u8 = 4;

/// A file that is coming in, or that nobody has used yet.
pub fn upload(upload: UploadId) -> Key {
    key(format!("UPLOAD#{upload}"), "UPLOAD")
}

/// Which upload an index row of `DUE` points to.
pub fn upload_of(key: &Key) -> Option<UploadId> {
    key.pk.strip_prefix("UPLOAD#")?.parse().ok()
}

/// What an address or a wallet has lying here unpaid.
pub fn quota(account: &str) -> Key {
    key(format!("QUOTA#{account}"), "QUOTA")
}

/// What a route answered to an idempotency key of an account.
pub fn idempotency(route: &str, account: &str, name: &str) -> Key {
    key(format!("IDEM#{route}#{account}#{name}"), CLAIM)
}

fn user_partition(user: UserId) -> String {
    format!("USER#{user}")
}

pub fn user(user: UserId) -> Key {
    key(user_partition(user), "PROFILE")
}

/// One account per e-mail, whatever its case.
pub fn email_claim(email: &str) -> Key {
    key(format!("EMAIL#{}", email.to_lowercase()), CLAIM)
}

pub fn session(user: UserId, session: SessionId) -> Key {
    key(user_partition(user), format!("SESSION#{session}"))
}

pub fn balance(user: UserId) -> Key {
    key(user_partition(user), "BALANCE")
}

/// The partition and the sort key of entry `seq` of an account.
pub fn entry(user: UserId, seq: u64) -> Key {
    key(user_partition(user), format!("ENTRY#{seq:012}"))
}

/// Where an entry is found by its number.
pub fn entry_by_number(number: i64) -> (String, String) {
    (format!("ENTRY#{number}"), ENTRY.to_owned())
}

/// `ByDue` keeps entries that wait to be sealed in this many partitions.
pub const SEAL_SHARDS: u8 = 4;

pub fn seal_shard(shard: u8) -> String {
    format!("SEAL#{shard}")
}

/// Where an entry waits to be sealed: the oldest first, and of one moment the lowest number.
pub fn entry_waits(number: i64, created: Timestamp) -> (String, String) {
    let shard = number.rem_euclid(SEAL_SHARDS.into());
    (format!("SEAL#{shard}"), format!("{}#{number:019}", due_time(created)))
}

/// When the entry of such a place came into being.
pub fn waits_since(sort: &str) -> Option<Timestamp> {
    sort.split('#').next()?.parse().ok().map(Timestamp)
}

/// A batch of entries that are anchored together.
pub fn batch(n: u64) -> Key {
    key(format!("ANCHOR#{n}"), "ANCHOR")
}

pub fn anchors_head() -> Key {
    key("ANCHORS".into(), "HEAD")
}

/// What an account used in a month, such as `2026-11`.
pub fn usage(user: UserId, month: &str) -> Key {
    key(user_partition(user), format!("USAGE#{month}"))
}

/// One movement of credits per account, kind and reference. It never expires.
pub fn once(user: UserId, kind: &str, reference: &str) -> Key {
    key(format!("ONCE#{user}#{kind}#{reference}"), CLAIM)
}

/// Where entries get their numbers.
pub fn entry_numbers() -> Key {
    key("SEQUENCE#entries".into(), "SEQUENCE")
}

/// A fixed window of a rate limit.
pub fn rate_window(route: &str, caller: &str, window: i64) -> Key {
    key(format!("LIMIT#{route}#{caller}"), format!("W#{window}"))
}

/// `ByDue` is spread over this many partitions.
pub const DUE_SHARDS: u8 = 4;

pub fn due_shard(shard: u8) -> String {
    format!("DUE#{shard}")
}

/// Where a job or a debt stands in `ByDue`.
pub fn due(settlement: impl Into<SettlementId>, at: Timestamp) -> (String, String) {
    let byte = match settlement.into() {
        SettlementId::Job(job) => job.0.as_bytes()[15],
        SettlementId::Debt(wallet) => wallet.as_bytes()[31],
    };
    (due_shard(byte % DUE_SHARDS), due_time(at))
}

/// Where an upload stands in `ByDue`.
pub fn upload_due(upload: UploadId, at: Timestamp) -> (String, String) {
    due(JobId(upload.0), at)
}

/// Sorts as time does.
pub fn due_time(at: Timestamp) -> String {
    format!("{:015}", at.0.max(0))
}

/// Providers of one effective status in `ByState`.
pub fn providers_by_status(status: &str) -> String {
    format!("PROVIDERS#{status}")
}

/// Objects of the bucket.
pub mod object {
    use framefair_domain::id::{JobId, UploadId};

    /// A result that a provider uploads before it hands it in.
    pub fn upload(upload: UploadId) -> String {
        format!("uploads/{upload}")
    }

    pub fn scene(job: JobId, file_name: &str) -> String {
        format!("scenes/{job}/{file_name}")
    }

    /// Where a node may write frame `frame` under its lease `epoch`, and nobody serves from.
    pub fn staged_frame(job: JobId, epoch: u32, frame: i32) -> String {
        format!("staging/{job}/0/{epoch}/{frame}")
    }

    /// All frames in one zip, from providers that hand in over HTTP.
    pub fn staged_zip(job: JobId, epoch: u32) -> String {
        format!("staging/{job}/0/{epoch}/all.zip")
    }

    /// Stands beside a staged object and holds the name of its bytes.
    pub fn staged_mark(staged: &str) -> String {
        format!("{staged}.mark")
    }

    /// The pixel hash of each delivered frame.
    pub fn frame_hashes(job: JobId, epoch: u32) -> String {
        format!("results/{job}/{epoch}/frames.json")
    }

    /// What is served and paid for; no URL to write here is ever made.
    pub fn result(job: JobId, epoch: u32, file_name: &str) -> String {
        format!("results/{job}/{epoch}/{file_name}")
    }
}
