//! The clients and the settings that verbs work with.

use framefair_chain::Chain;
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::money::{LAMPORTS_PER_SOL, Lamports};
use framefair_domain::reach::Reach;
use framefair_domain::settlement::SettlementId;
use framefair_domain::time::{HOUR_MS, MINUTE_MS, SECOND_MS};
use framefair_domain::wallet::Wallet;
use framefair_store::{Queue, Store};
use serde::{Deserialize, Serialize};

use crate::account::TokenKeys;
use crate::credits::{Numbers, Payments, Turns};
use crate::environment::CEILING;
use crate::metrics::{Metrics, MetricsToken};
use crate::provider::Known;
use crate::uploads::UploadSecret;
use crate::{Broken, Refusal};

/// Cheap to clone; one per process.
#[derive(Clone)]
pub struct Ctx {
    pub store: Store,
    pub chain: Chain,
    pub platform: Platform,
    /// What this process counts.
    pub metrics: Metrics,
    /// Providers that this process has seen online.
    pub(crate) known: Known,
    /// Numbers of entries that this process has taken.
    pub(crate) numbers: Numbers,
    /// Who moves which balance here.
    pub(crate) turns: Turns,
}

/// How this deployment does business. All durations are settings.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Where clients pay to, and from where payouts leave.
    pub escrow: Wallet,
    /// Clients pay their providers themselves: no fee, no refund, no other provider.
    pub direct: bool,
    /// Refuse signatures that could be replayed.
    pub require_nonce: bool,
    /// Whether nodes that nobody has looked at may take the jobs of others.
    pub open_fleet: bool,
    /// Where nobody can do a job, that is said with 503 and not with 400.
    pub no_node_is_unavailable: bool,
    /// Where nodes fetch what creators name by `ipfs://`.
    pub ipfs_gateway: Option<String>,
    /// A task may hold its lease for this long, whatever happens.
    pub lease_max_ms: i64,
    /// A leased task without any sign of work is taken back after this.
    pub dispatch_timeout_ms: i64,
    /// A node whose socket is lost may come back within this time and keep its tasks.
    pub reconnect_grace_ms: i64,
    /// A relay pings each of its sockets this often.
    pub ping_every_ms: u64,
    /// Which endpoints of strangers may be dialled.
    pub reach: Reach,
    /// Sending a task to an endpoint may take this long.
    pub push_max_ms: i64,
    /// Endpoints of providers that are online are asked for their health this often.
    pub probe_every_ms: i64,
    /// An endpoint may say nothing, or nothing of its task, for this long.
    pub silence_max_ms: i64,
    /// A paid job may wait for a provider for this long.
    pub wait_max_ms: i64,
    /// After a failed attempt, a retry may wait for a provider for this long: for a node to start
    /// again, not for a market to open.
    pub retry_wait_ms: i64,
    /// Payments from here on need both RPC nodes to agree, where two are configured.
    pub agree_above: Lamports,
    /// What may leave escrow within a day of UTC, where there is such a cap.
    pub payout_cap: Option<Lamports>,
    /// The largest scene that is taken.
    pub scene_bytes_max: u64,
    /// The largest frame that a node may deliver.
    pub frame_bytes_max: u64,
    /// Behind upload tokens and the ingest's proofs; functions that see neither have none.
    pub upload_secret: Option<UploadSecret>,
    /// Who signs anchors; without it nothing on the chain is believed to be one.
    pub anchor: Option<Wallet>,
    /// Entries are sealed when so many wait, or when the oldest has waited for so long.
    pub anchor_together: usize,
    pub anchor_after_ms: i64,
    /// Whether accounts are held to how often they may ask.
    pub rate_limits: bool,
    /// What an account may ask in a minute of a route that has no limit of its own, where there is a ceiling.
    pub ceiling: Option<u32>,
    /// Behind the tokens of people and nodes; functions that see neither have none.
    pub tokens: Option<TokenKeys>,
    /// What credits are sold with, where they are.
    pub payments: Payments,
    /// Who shows it may see the totals; without one, everybody may.
    pub metrics_token: Option<MetricsToken>,
    /// How many slots there are for relays.
    pub relay_slots: u8,
}

impl Platform {
    pub fn new(escrow: Wallet) -> Platform {
        Platform {
            escrow,
            direct: false,
            require_nonce: false,
            open_fleet: true,
            no_node_is_unavailable: false,
            ipfs_gateway: None,
            lease_max_ms: 24 * HOUR_MS,
            dispatch_timeout_ms: 5 * MINUTE_MS,
            reconnect_grace_ms: 30 * SECOND_MS,
            ping_every_ms: 30_000,
            reach: Reach::default(),
            push_max_ms: 5 * MINUTE_MS,
            probe_every_ms: 30 * SECOND_MS,
            silence_max_ms: 5 * MINUTE_MS,
            wait_max_ms: 24 * HOUR_MS,
            retry_wait_ms: MINUTE_MS,
            agree_above: Lamports(10 * LAMPORTS_PER_SOL),
            payout_cap: None,
            scene_bytes_max: 2 << 30,
            frame_bytes_max: 256 << 20,
            upload_secret: None,
            anchor: None,
            anchor_together: 100,
            anchor_after_ms: 5 * MINUTE_MS,
            rate_limits: true,
            ceiling: Some(CEILING),
            tokens: None,
            payments: Payments::default(),
            metrics_token: None,
            relay_slots: 1,
        }
    }
}

/// A nudge to look at a job. It carries no truth: who gets one reads the job and acts on that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    pub job: JobId,
    /// For a relay: whose socket it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<ProviderId>,
    /// For a delivered result: the lease it was delivered under, and how long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// For the push queue: an unsigned claim to be looked into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// Somebody says without a signature that the holder of this lease has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    pub epoch: u32,
    pub error: String,
    /// How often the provider was asked about it already.
    pub asked: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub epoch: u32,
    pub render_ms: u64,
}

/// For a relay: a newer socket of a node stands at another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    pub node: ProviderId,
    pub fence: u64,
}

/// What a relay is nudged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Nudge {
    Look(Hint),
    Replaced(Replaced),
}

/// The same for money: a settlement to move on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    pub settlement: SettlementId,
}

impl Hint {
    pub fn about(job: JobId) -> Hint {
        Hint { job, node: None, report: None, doubt: None }
    }

    /// Something that this node must hear.
    pub fn to(node: ProviderId, job: JobId) -> Hint {
        Hint { job, node: Some(node), report: None, doubt: None }
    }

    /// A delivery to be looked at.
    pub fn reported(job: JobId, report: Report) -> Hint {
        Hint { job, node: None, report: Some(report), doubt: None }
    }

    /// A claim to be looked into.
    pub fn doubted(job: JobId, doubt: Doubt) -> Hint {
        Hint { job, node: None, report: None, doubt: Some(doubt) }
    }
}

impl Ctx {
    /// Of a process that knows nothing yet.
    pub fn new(store: Store, chain: Chain, platform: Platform) -> Ctx {
        Ctx {
            store,
            chain,
            platform,
            metrics: Metrics::default(),
            known: Known::default(),
            numbers: Numbers::default(),
            turns: Turns::default(),
        }
    }

    /// Sends a hint. A lost one costs time, not truth, so a failure is logged and forgotten.
    pub async fn hint(
        &self,
        queue: Queue,
        hint: &(impl Serialize + std::fmt::Debug),
        delay_s: u32,
    ) {
        if let Err(broken) = self.store.queues().send(queue, hint, delay_s).await {
            tracing::warn!(?hint, ?queue, cause = broken.detail(), "A hint was lost");
        }
    }

    /// Has a settlement looked at.
    pub(crate) async fn settle(&self, settlement: impl Into<SettlementId>) {
        let settlement = settlement.into();
        self.hint(Queue::Payouts, &Settle { settlement }, 0).await;
    }

    pub(crate) fn token_keys(&self) -> Result<&TokenKeys, Refusal> {
        let keys = self.platform.tokens.as_ref();
        Ok(keys.ok_or_else(|| Broken("this process was given no token keys".into()))?)
    }

    /// Escrow's own wallet takes no part in a job.
    pub(crate) fn refuse_escrow_as_party(&self, wallet: &Wallet) -> Result<(), Refusal> {
        if *wallet == self.platform.escrow {
            return Err(Refusal::invalid("this wallet is the platform's escrow and cannot trade"));
        }
        Ok(())
    }
}
