//! What a process is told by its environment: settings, addresses, and the names of its secrets.

use std::ops::RangeInclusive;

use framefair_chain::Chain;
use framefair_domain::money::{Lamports, NotMoney};
use framefair_domain::reach::{NotANetwork, Reach};
use framefair_domain::time::SECOND_MS;
use framefair_domain::wallet::Wallet;
use framefair_store::Store;

use crate::account::{BadTokenKey, TokenKeys};
use crate::credits::{BadPayments, Payments};
use crate::metrics::MetricsToken;
use crate::uploads::UploadSecret;
use crate::{Ctx, Platform};

/// Why a process could not start.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error("{0} is not set")]
    Missing(&'static str),
    #[error("{0} is not set, and ENVIRONMENT says production")]
    Unsafe(&'static str),
    #[error("{0}: {1}")]
    Wallet(&'static str, framefair_domain::wallet::NotAWallet),
    #[error("PROVIDER_ENDPOINT_ALLOW: {0}")]
    Network(#[from] NotANetwork),
    #[error("SETTLEMENT: `escrow` or `direct`, not {0:?}")]
    Settlement(String),
    #[error("NODE_ADMISSION: `open` or `review`, not {0:?}")]
    Admission(String),
    #[error("DISPATCH_NO_NODE_STATUS: 400 or 503, not {0:?}")]
    NoNodeStatus(String),
    #[error("RATE_CEILING: a number of calls a minute; 0 is none")]
    RateCeiling,
    #[error("PAYOUT_CAP_SOL: {0}")]
    PayoutCap(NotMoney),
    #[error("IPFS_GATEWAY: an address that begins with https://")]
    IpfsGateway,
    #[error(transparent)]
    Secret(#[from] crate::uploads::WeakSecret),
    #[error(transparent)]
    TokenKeys(#[from] BadTokenKey),
    #[error("the secret that TOKEN_SECRET names cannot be read: {}", .0.detail())]
    TokenSecret(framefair_store::Broken),
    #[error("the secret that {named_by} names cannot be read: {}", cause.detail())]
    PaymentSecret { named_by: &'static str, cause: framefair_store::Broken },
    #[error("credits cannot be sold: {0}")]
    Payments(#[from] BadPayments),
    #[error("{name}: a whole number from {least} to {most}")]
    Number { name: &'static str, least: u32, most: u32 },
    #[error("PING_EVERY_MS: a whole number of milliseconds above 0")]
    PingEvery,
    #[error("RELAY_SLOTS: a number from 0 to 255")]
    RelaySlots,
    #[error("the store cannot be opened: {0}")]
    Store(#[from] framefair_store::ConfigInvalid),
    #[error("the chain cannot be used: {0}")]
    Chain(#[from] framefair_chain::ChainError),
}

/// What one account may ask of a route that has no limit of its own, in a minute.
pub(crate) const CEILING: u32 = 600;

/// A variable that is set to something.
fn var(name: &'static str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn need(name: &'static str) -> Result<String, NotReady> {
    var(name).ok_or(NotReady::Missing(name))
}

/// A number that is set, and lies within its bounds.
fn number(name: &'static str, bounds: RangeInclusive<u32>) -> Result<Option<u32>, NotReady> {
    let Some(text) = var(name) else { return Ok(None) };
    let read = text.parse().ok().filter(|number| bounds.contains(number));
    read.map(Some).ok_or(NotReady::Number { name, least: *bounds.start(), most: *bounds.end() })
}

const ANCHOR_WALLET: &str = "ANCHOR_WALLET";
/// Longer than a day nobody's credentials last.
const RUNTIME_SECONDS_MAX: u32 = 86_400;
/// Their hashes are one item of the table.
const ENTRIES_MAX: u32 = 1_000;

fn wallet(name: &'static str, text: &str) -> Result<Wallet, NotReady> {
    text.parse().map_err(|bad| NotReady::Wallet(name, bad))
}

impl Platform {
    /// The operator's rules, as the environment has them wherever this runs: `NODE_ADMISSION`,
    /// `DISPATCH_NO_NODE_STATUS`, `RATE_CEILING`, `PAYOUT_CAP_SOL`, `IPFS_GATEWAY`, `REQUIRE_NONCE`,
    /// `PROVIDER_ENDPOINT_ALLOW`, `MAX_RUNTIME_SECONDS`, `ANCHOR_INTERVAL_SECONDS`, `ANCHOR_BATCH_SIZE`.
    pub fn read_rules(&mut self) -> Result<(), NotReady> {
        self.open_fleet = match var("NODE_ADMISSION").as_deref() {
            None => var("ENVIRONMENT").is_none_or(|name| name != "production"),
            Some("open") => true,
            Some("review") => false,
            Some(other) => return Err(NotReady::Admission(other.to_owned())),
        };
        self.no_node_is_unavailable = match var("DISPATCH_NO_NODE_STATUS").as_deref() {
            None | Some("400") => false,
            Some("503") => true,
            Some(other) => return Err(NotReady::NoNodeStatus(other.to_owned())),
        };
        self.ceiling = match var("RATE_CEILING") {
            None => Some(CEILING),
            Some(calls) => {
                let calls: u32 = calls.parse().map_err(|_| NotReady::RateCeiling)?;
                Some(calls).filter(|calls| *calls > 0)
            }
        };
        if let Some(sol) = var("PAYOUT_CAP_SOL") {
            self.payout_cap = Some(Lamports::from_sol(&sol).map_err(NotReady::PayoutCap)?);
        }
        if let Some(gateway) = var("IPFS_GATEWAY") {
            let gateway = gateway.trim_end_matches('/');
            if !gateway.starts_with("https://") {
                return Err(NotReady::IpfsGateway);
            }
            self.ipfs_gateway = Some(gateway.to_owned());
        }
        self.require_nonce = var("REQUIRE_NONCE").is_some_and(|value| value == "true");
        let networks = var("PROVIDER_ENDPOINT_ALLOW").unwrap_or_default();
        self.reach.networks = Reach::networks(&networks)?;
        if let Some(seconds) = number("MAX_RUNTIME_SECONDS", 1..=RUNTIME_SECONDS_MAX)? {
            self.lease_max_ms = i64::from(seconds) * SECOND_MS;
        }
        if let Some(seconds) = number("ANCHOR_INTERVAL_SECONDS", 0..=u32::MAX)? {
            self.anchor_after_ms = i64::from(seconds) * SECOND_MS;
        }
        if let Some(entries) = number("ANCHOR_BATCH_SIZE", 1..=ENTRIES_MAX)? {
            self.anchor_together = entries as usize;
        }
        Ok(())
    }

    /// As the environment has it: the rules, `ESCROW_WALLET`, `SETTLEMENT`, `UPLOAD_SECRET`, `ANCHOR_WALLET`,
    /// `PING_EVERY_MS`, `METRICS_TOKEN`, `RELAY_SLOTS`.
    fn from_env() -> Result<Platform, NotReady> {
        let mut platform = Platform::new(wallet("ESCROW_WALLET", &need("ESCROW_WALLET")?)?);
        platform.direct = match var("SETTLEMENT").as_deref() {
            None | Some("escrow") => false,
            Some("direct") => true,
            Some(other) => return Err(NotReady::Settlement(other.to_owned())),
        };
        platform.read_rules()?;
        let secret = var("UPLOAD_SECRET").map(|secret| UploadSecret::new(&secret));
        platform.upload_secret = secret.transpose()?;
        platform.anchor = match var(ANCHOR_WALLET) {
            Some(text) => Some(wallet(ANCHOR_WALLET, &text)?),
            None => None,
        };
        if let Some(every) = var("PING_EVERY_MS") {
            let every = every.parse().ok().filter(|every| *every > 0);
            platform.ping_every_ms = every.ok_or(NotReady::PingEvery)?;
        }
        platform.metrics_token = var("METRICS_TOKEN").and_then(|token| MetricsToken::new(&token));
        if let Some(slots) = var("RELAY_SLOTS") {
            platform.relay_slots = slots.parse().map_err(|_| NotReady::RelaySlots)?;
        }
        Ok(platform)
    }
}

/// Those that `TOKEN_KEYS` lists are believed; the one that signs is in the secret that `TOKEN_SECRET`
/// names, for the functions that make tokens.
async fn token_keys(store: &Store) -> Result<Option<TokenKeys>, NotReady> {
    let trusted = var("TOKEN_KEYS").map(|keys| TokenKeys::trusting(&keys)).transpose()?;
    let Some(named) = var("TOKEN_SECRET") else { return Ok(trusted) };
    let text = store.secret(&named).await.map_err(NotReady::TokenSecret)?;
    let signing = TokenKeys::parse(&text)?;
    Ok(Some(match trusted {
        Some(trusted) => signing.and(&trusted),
        None => signing,
    }))
}

/// `STRIPE_SECRET` names the secret whose text is the API key, for the function that opens checkouts;
/// `STRIPE_WEBHOOK_SECRETS` the one with the signing secrets, for the function that hears of payments.
/// A function that is told of neither sells nothing.
async fn payments(store: &Store) -> Result<Payments, NotReady> {
    let read = async |named_by: &'static str| match var(named_by) {
        Some(named) => match store.secret(&named).await {
            Ok(text) => Ok(Some(text)),
            Err(cause) => Err(NotReady::PaymentSecret { named_by, cause }),
        },
        None => Ok(None),
    };
    let mut payments = Payments::default();
    if let Some(key) = read("STRIPE_SECRET").await? {
        let (success, cancel) = (need("CHECKOUT_SUCCESS_URL")?, need("CHECKOUT_CANCEL_URL")?);
        payments = payments.with_till(&key, var("STRIPE_API_URL").as_deref(), success, cancel)?;
    }
    if let Some(secrets) = read("STRIPE_WEBHOOK_SECRETS").await? {
        payments = payments.with_webhook(&secrets)?;
    }
    Ok(payments)
}

impl Ctx {
    /// From the environment alone: that of the store, that of [`Platform`], `TOKEN_KEYS`, `TOKEN_SECRET`,
    /// `STRIPE_SECRET` with `STRIPE_API_URL`, `CHECKOUT_SUCCESS_URL` and `CHECKOUT_CANCEL_URL`,
    /// `STRIPE_WEBHOOK_SECRETS`, `SOLANA_RPC_URL`, `SOLANA_RPC_URL_2` and `SOLANA_GENESIS_HASH`, without which the chain is asked at once which it is.
    pub async fn from_env() -> Result<Ctx, NotReady> {
        let config = framefair_chain::Config {
            rpc_url: need("SOLANA_RPC_URL")?,
            second_rpc_url: var("SOLANA_RPC_URL_2"),
            genesis_hash: var("SOLANA_GENESIS_HASH"),
            timeout_ms: 10_000,
        };
        let seam = framefair_chain::Seam::default();
        let mut platform = Platform::from_env()?;
        let store = Store::from_env()?;
        platform.tokens = token_keys(&store).await?;
        if platform.tokens.is_none() && var("ENVIRONMENT").is_some_and(|it| it == "production") {
            return Err(NotReady::Unsafe("TOKEN_KEYS"));
        }
        platform.payments = payments(&store).await?;
        let chain = match config.genesis_hash.clone() {
            Some(genesis_hash) => Chain::of_cluster(genesis_hash, &config, seam)?,
            None => Chain::connect(config, seam).await?,
        };
        Ok(Ctx::new(store, chain, platform))
    }
}
