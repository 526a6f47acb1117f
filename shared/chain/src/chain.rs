//! Reading the chain: transactions, balances, heights, histories. Decides nothing about payments.

use std::fmt;
use std::sync::Arc;

use framefair_domain::money::Lamports;
use framefair_domain::payment::Facts;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ChainError;
use crate::facts::{Encoded, normalise, words_for};
use crate::rpc::{Rpc, same_cluster};
use crate::seam::Seam;

/// The most signatures that a node lists at once.
pub(crate) const PAGE_MAX: usize = 1_000;

/// Where the chain is. `Debug` is absent on purpose: the URLs may hold keys.
#[derive(Clone)]
pub struct Config {
    pub rpc_url: String,
    /// Another operator's node, to be asked as well where much is at stake.
    pub second_rpc_url: Option<String>,
    /// The cluster, by its genesis hash in base58; None takes whatever the node belongs to.
    pub genesis_hash: Option<String>,
    pub timeout_ms: u64,
}

/// How sure an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commitment {
    /// Two thirds of the stake have voted for it; about a second.
    Confirmed,
    /// It cannot be undone; about 13 seconds.
    Finalized,
}

impl Commitment {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Commitment::Confirmed => "confirmed",
            Commitment::Finalized => "finalized",
        }
    }
}

/// A cluster, through one node or two. Clones share their connections.
#[derive(Clone)]
pub struct Chain {
    pub(crate) node: Arc<Rpc>,
    pub(crate) second: Option<Arc<Rpc>>,
    genesis_hash: String,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("genesis_hash", &self.genesis_hash).finish_non_exhaustive()
    }
}

/// One line of a wallet's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub signature: TxSignature,
    pub slot: u64,
    pub error: Option<String>,
    /// As the node writes it: `[length] text`, several joined by `; `. A hint only, for the memo
    /// that counts is in the transaction.
    pub memo: Option<String>,
    pub block_time: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(crate) struct InContext<T> {
    pub(crate) context: Context,
    pub(crate) value: T,
}

#[derive(Deserialize)]
pub(crate) struct Context {
    pub(crate) slot: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    signature: TxSignature,
    slot: u64,
    err: Value,
    memo: Option<String>,
    block_time: Option<i64>,
}

impl Chain {
    /// Opens the nodes and makes sure that they belong to the cluster that is meant.
    pub async fn connect(config: Config, seam: Seam) -> Result<Chain, ChainError> {
        let node = Rpc::new(&config.rpc_url, config.timeout_ms, seam.clone())?;
        let found = node.genesis_hash().await?;
        same_cluster(config.genesis_hash.as_deref().unwrap_or(&found), &found)?;
        let second = match &config.second_rpc_url {
            None => None,
            Some(url) => {
                let second = Rpc::new(url, config.timeout_ms, seam)?;
                same_cluster(&found, &second.genesis_hash().await?)?;
                Some(Arc::new(second))
            }
        };
        Ok(Chain { node: Arc::new(node), second, genesis_hash: found })
    }

    /// The same for a cluster that is known: nothing is asked yet, so that a process can start while the
    /// nodes are away. Each node is asked where it belongs before its first answer counts.
    pub fn of_cluster(
        genesis_hash: String,
        config: &Config,
        seam: Seam,
    ) -> Result<Chain, ChainError> {
        let open = |url: &String| -> Result<_, ChainError> {
            let node = Rpc::new(url, config.timeout_ms, seam.clone())?;
            Ok(Arc::new(node.of_cluster(genesis_hash.clone())))
        };
        let node = open(&config.rpc_url)?;
        let second = config.second_rpc_url.as_ref().map(open).transpose()?;
        Ok(Chain { node, second, genesis_hash })
    }

    pub fn genesis_hash(&self) -> &str {
        &self.genesis_hash
    }

    pub fn has_second(&self) -> bool {
        self.second.is_some()
    }

    /// What a transaction did. None: not there, or not yet, at this commitment.
    ///
    /// A transaction of a format newer than version 0 is `Rpc` with code `UNSUPPORTED_VERSION`,
    /// now and for ever.
    pub async fn facts(
        &self,
        signature: &TxSignature,
        commitment: Commitment,
    ) -> Result<Option<Facts>, ChainError> {
        self.node.facts(signature, commitment).await
    }

    /// As `facts`, but both nodes must say the same; with one node configured, that one decides.
    /// None when either has not seen the transaction.
    pub async fn facts_agreed(
        &self,
        signature: &TxSignature,
        commitment: Commitment,
    ) -> Result<Option<Facts>, ChainError> {
        let Some(first) = self.node.facts(signature, commitment).await? else { return Ok(None) };
        let Some(second) = &self.second else { return Ok(Some(first)) };
        match second.facts(signature, commitment).await? {
            None => Ok(None),
            Some(same) if same == first => Ok(Some(first)),
            Some(_) => Err(ChainError::untrustworthy(
                "the two nodes tell different facts of a transaction",
            )),
        }
    }

    pub async fn balance(
        &self,
        wallet: &Wallet,
        commitment: Commitment,
    ) -> Result<Lamports, ChainError> {
        self.balance_and_slot(wallet, commitment).await.map(|(lamports, _)| lamports)
    }

    /// A balance and the slot as of which it is.
    pub async fn balance_and_slot(
        &self,
        wallet: &Wallet,
        commitment: Commitment,
    ) -> Result<(Lamports, u64), ChainError> {
        let params = json!([wallet, { "commitment": commitment.word() }]);
        let answer: InContext<u64> = self.node.call("getBalance", params).await?;
        Ok((Lamports(answer.value), answer.context.slot))
    }

    /// Blocks since genesis; skipped slots do not count.
    pub async fn block_height(&self, commitment: Commitment) -> Result<u64, ChainError> {
        self.node.block_height(commitment).await
    }

    pub async fn slot(&self, commitment: Commitment) -> Result<u64, ChainError> {
        self.node.call("getSlot", json!([{ "commitment": commitment.word() }])).await
    }

    /// When the block of a slot was made. None where the node has no time for it.
    pub async fn block_time(&self, slot: u64) -> Result<Option<Timestamp>, ChainError> {
        let seconds: Option<i64> = self.node.call("getBlockTime", json!([slot])).await?;
        Ok(seconds.map(|s| Timestamp(s.saturating_mul(1000))))
    }

    /// Finalized transactions that name the wallet, newest first: older than `before`, newer than
    /// `until`, at most `limit` (and at most 1,000) of them.
    pub async fn signatures_of(
        &self,
        wallet: &Wallet,
        before: Option<TxSignature>,
        until: Option<TxSignature>,
        limit: usize,
    ) -> Result<Vec<Seen>, ChainError> {
        let page = Page { before, until, limit, min_slot: None };
        self.node.signatures_of(wallet, page).await
    }
}

pub(crate) struct Page {
    pub(crate) before: Option<TxSignature>,
    pub(crate) until: Option<TxSignature>,
    pub(crate) limit: usize,
    /// The node must have finalized this slot, or refuse.
    pub(crate) min_slot: Option<u64>,
}

impl Rpc {
    pub(crate) async fn facts(
        &self,
        signature: &TxSignature,
        commitment: Commitment,
    ) -> Result<Option<Facts>, ChainError> {
        let how = json!({
            "encoding": "base64",
            "commitment": commitment.word(),
            "maxSupportedTransactionVersion": 0,
        });
        let encoded: Option<Encoded> = self.call("getTransaction", json!([signature, how])).await?;
        encoded.map(|encoded| normalise(signature, &encoded)).transpose()
    }

    pub(crate) async fn block_height(&self, commitment: Commitment) -> Result<u64, ChainError> {
        self.call("getBlockHeight", json!([{ "commitment": commitment.word() }])).await
    }

    pub(crate) async fn signatures_of(
        &self,
        wallet: &Wallet,
        page: Page,
    ) -> Result<Vec<Seen>, ChainError> {
        let limit = page.limit.clamp(1, PAGE_MAX);
        let mut how = json!({ "limit": limit, "commitment": Commitment::Finalized.word() });
        if let Some(before) = page.before {
            how["before"] = json!(before);
        }
        if let Some(until) = page.until {
            how["until"] = json!(until);
        }
        if let Some(slot) = page.min_slot {
            how["minContextSlot"] = json!(slot);
        }
        let lines: Vec<Line> = self.call("getSignaturesForAddress", json!([wallet, how])).await?;
        let newest_first = lines.windows(2).all(|pair| match pair {
            [newer, older] => newer.slot >= older.slot,
            _ => true,
        });
        if lines.len() > limit || !newest_first {
            return Err(ChainError::untrustworthy("a history is out of order, or too long"));
        }
        Ok(lines.into_iter().map(seen).collect())
    }
}

fn seen(line: Line) -> Seen {
    Seen {
        signature: line.signature,
        slot: line.slot,
        error: (!line.err.is_null()).then(|| words_for(&line.err)),
        memo: line.memo,
        block_time: line.block_time.map(|s| Timestamp(s.saturating_mul(1000))),
    }
}
