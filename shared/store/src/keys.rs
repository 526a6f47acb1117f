//! How things are spelled in the table, its indexes and the bucket. Nothing outside of this module spells a key.

pub mod object;

use framefair_domain::id::{JobId, ProviderId, SessionId, UploadId, UserId};
use framefair_domain::settlement::SettlementId;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};

use crate::Key;
use crate::rows::{Connection, Place, Presence, Priority};

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

/// The jobs of an account in `ByOwner`.
pub fn jobs_of(user: UserId) -> String {
    format!("JOBS#{user}")
}

/// The jobs of an account that came to this end, in `ByState`.
pub fn jobs_ended(user: UserId, completed: bool) -> String {
    format!("JOBS#{user}#{}", if completed { "COMPLETED" } else { "FAILED" })
}

/// Where an account lists its job of this number.
pub fn job_of(user: UserId, number: u64) -> (String, String) {
    (jobs_of(user), job_place(number))
}

/// Sorts as the numbers do.
pub fn job_place(number: u64) -> String {
    format!("{number:012}")
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

/// The registration of a node by its key.
pub fn fleet(node: ProviderId) -> Key {
    key(format!("NODE#{node}"), "FLEET")
}

pub fn fleet_spec(node: ProviderId) -> Key {
    key(format!("NODE#{node}"), "SPEC")
}

/// Registered nodes that were ever heard of, in `ByDue`: by their last sign of life, and then those whose
/// sockets stand.
pub const FLEET: &str = "FLEET";

pub fn fleet_heard(beat: Timestamp, node: ProviderId) -> (String, String) {
    (FLEET.to_owned(), format!("0#{}#{node}", due_time(beat)))
}

pub fn fleet_stands(at: &Connection, node: ProviderId) -> (String, String) {
    (FLEET.to_owned(), format!("1#{}#{}#{node}", at.relay, at.boot))
}

/// When the node of such a place was last heard of, if no socket of it stands.
pub fn fleet_heard_of(sort: &str) -> Option<Timestamp> {
    let (beat, _) = sort.strip_prefix("0#")?.split_once('#')?;
    beat.parse().ok().map(Timestamp)
}

/// At which relay's which process the socket of the node of such a place stands.
pub fn fleet_stands_at(sort: &str) -> Option<Connection> {
    let (relay, rest) = sort.strip_prefix("1#")?.split_once('#')?;
    let (boot, _) = rest.rsplit_once('#')?;
    Some(Connection { relay: relay.parse().ok()?, boot: boot.to_owned() })
}

/// One kind of work that a node can be asked for. What a stranger wrote stands last.
pub fn capability(node: ProviderId, name: &str, gpu: bool) -> Key {
    key(format!("NODE#{node}"), format!("CAP#{}#{name}", device(gpu)))
}

fn device(gpu: bool) -> &'static str {
    if gpu { "GPU" } else { "ANY" }
}

/// Who can do this kind of work, in `ByState`.
pub fn capable(name: &str, gpu: bool) -> String {
    format!("CAPABLE#{}#{name}", device(gpu))
}

pub fn capable_at(name: &str, gpu: bool, place: Place, node: ProviderId) -> (String, String) {
    (capable(name, gpu), format!("{}#{:02}#{node}", place.presence as u8, place.load))
}

/// What a row of that index says: who, and in which place.
pub fn capable_of(sort: &str) -> Option<(Place, ProviderId)> {
    let mut parts = sort.splitn(3, '#');
    let presence = *Presence::ALL.get(parts.next()?.parse::<usize>().ok()?)?;
    let load = parts.next()?.parse().ok()?;
    Some((Place { presence, load }, parts.next()?.parse().ok()?))
}

/// Jobs of this kind that no node has, in `ByState`: the most urgent first, and of those the oldest.
pub fn waiting(kind: &str, gpu: bool) -> String {
    format!("WAITING#{}#{kind}", device(gpu))
}

pub fn waiting_at(priority: Priority, since: Timestamp, job: JobId) -> String {
    format!("{}#{}#{job}", priority as u8, due_time(since))
}

/// Since when a job of such a place may be tried, and which one it is.
pub fn waiting_of(sort: &str) -> Option<(Timestamp, JobId)> {
    let (since, job) = sort.split_once('#')?.1.split_once('#')?;
    Some((Timestamp(since.parse().ok()?), job.parse().ok()?))
}

pub fn dead_letter(job: JobId) -> Key {
    key(job_partition(job), "DEAD")
}

/// All that were given up, in `ByState`, the oldest first.
pub const DEAD: &str = "DEAD";

pub fn dead_at(job: JobId, failed: Timestamp) -> (String, String) {
    (DEAD.to_owned(), format!("{}#{job}", due_time(failed)))
}

pub fn relay(slot: u8) -> Key {
    key(format!("RELAY#{slot}"), "RELAY")
}

/// One use per nonce.
pub fn nonce_claim(wallet: &Wallet, nonce: &str) -> Key {
    key(format!("NONCE#{wallet}#{nonce}"), CLAIM)
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

/// What was counted of one thing, in one of the shards.
pub fn metrics(shard: u8, of: &str) -> Key {
    key(metrics_partition(shard), of)
}

pub fn metrics_partition(shard: u8) -> String {
    format!("METRICS#{shard}")
}

pub const METRICS_SHARDS: u8 = 4;

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

/// What moved in escrow, in the order of the chain.
pub fn movement(seq: u64) -> Key {
    key(MOVEMENTS.into(), format!("{ENTRY}#{seq:012}"))
}

pub const MOVEMENTS: &str = "MOVEMENTS";

pub fn movements_head() -> Key {
    key(MOVEMENTS.into(), "HEAD")
}

/// A transaction is told once.
pub fn movement_claim(transaction: &TxSignature) -> Key {
    key(format!("MOVED#{transaction}"), CLAIM)
}

/// Where the movement of a transaction is found, in `ByState`.
pub fn movement_by_transaction(transaction: &TxSignature) -> (String, String) {
    (format!("MOVED#{transaction}"), ENTRY.to_owned())
}

/// `ByDue` keeps entries that wait to be sealed in this many partitions.
pub const SEAL_SHARDS: u8 = 4;

pub fn seal_shard(shard: u8) -> String {
    format!("SEAL#{shard}")
}

/// Where an entry waits to be sealed: the oldest first, and of one moment the lowest number.
pub fn entry_waits(number: i64, created: Timestamp) -> (String, String) {
    let shard = u8::try_from(number.rem_euclid(SEAL_SHARDS.into())).unwrap_or(0);
    (seal_shard(shard), format!("{}#{number:019}", due_time(created)))
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

/// One use per event of Stripe. It never expires.
pub fn stripe_event(event: &str) -> Key {
    key(format!("STRIPE#{event}"), CLAIM)
}

/// One purchase per session of Stripe. It never expires.
pub fn purchase(session: &str) -> Key {
    key(format!("STRIPE#{session}"), "PURCHASE")
}

/// A payment as Stripe's refunds and disputes name it.
pub fn stripe_payment(payment: &str) -> Key {
    key(format!("STRIPE#{payment}"), "PAYMENT")
}

/// What jobs cost by their type.
pub fn prices() -> Key {
    key("PRICES".into(), "CREDITS")
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
