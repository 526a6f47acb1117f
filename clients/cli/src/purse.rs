//! The wallet and the chain, as this program needs them: balance, one payment, its fate. The only
//! file that calls `framefair-chain`; knows no hub.

use std::path::Path;
use std::time::Duration;

use framefair_chain::wallet::{self, PayError, Progress};
use framefair_chain::{
    Chain, ChainError, Commitment, Config, Fate, KeyError, RENT_EXEMPT_MIN, Seam, Seen, Sent,
    Signer,
};
use framefair_domain::money::Lamports;
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use tokio::time::sleep;

use crate::exit::{Exit, Failure};
use crate::place::RpcUrl;
use crate::record::Attempt;

/// The network's fee for one signature.
pub(crate) const FEE: Lamports = Lamports(5_000);
pub(crate) const RENT_MIN: Lamports = Lamports(RENT_EXEMPT_MIN);
const TIMEOUT_MS: u64 = 15_000;
/// A blockhash serves for 150 blocks. Twice that covers the blocks between our look at the height
/// and the signing, which lie a call or two apart.
const HEIGHTS_MAX: u64 = 300;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The cluster of Solana's own money; there are no airdrops, and hints must not promise them.
const MAINNET_GENESIS: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d";
const CLUSTERS: [(&str, &str); 3] = [
    (MAINNET_GENESIS, "mainnet"),
    ("EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG", "devnet"),
    ("4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY", "testnet"),
];
/// What a node lists at once.
pub(crate) const HISTORY_MAX: usize = 1_000;

/// A connection to the chain.
#[derive(Clone, Debug)]
pub(crate) struct Purse {
    chain: Chain,
    is_local: bool,
}

/// A transaction that was made for its memos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) memos: Vec<String>,
    /// Whoever has less after it, and so has signed it; who paid the fee comes first.
    pub(crate) by: Vec<Wallet>,
    pub(crate) slot: u64,
    pub(crate) at: Option<Timestamp>,
}

/// What became of a payment that was begun earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Landed(TxSignature),
    /// It moved nothing and never will.
    Nothing,
}

pub(crate) fn load(file: &Path) -> Result<Signer, Failure> {
    Signer::load(file).map_err(|error| key_failure(file, &error))
}

pub(crate) fn create(file: &Path) -> Result<Signer, Failure> {
    Signer::create(file).map_err(|error| key_failure(file, &error))
}

fn key_failure(file: &Path, error: &KeyError) -> Failure {
    let failure =
        Failure::new(Exit::Files, format!("the wallet {} cannot be used", file.display()), error);
    match error {
        KeyError::Io(io) if io.kind() == std::io::ErrorKind::NotFound => {
            failure.hint(format!("Make one with `framefair wallet new {}`.", file.display()))
        }
        KeyError::Exists => failure.hint("Choose another name: this file may hold money."),
        _ => failure,
    }
}

impl Purse {
    pub(crate) async fn open(rpc: &RpcUrl) -> Result<Purse, Failure> {
        let config = Config {
            rpc_url: rpc.to_string(),
            second_rpc_url: None,
            genesis_hash: None,
            timeout_ms: TIMEOUT_MS,
        };
        let chain = Chain::connect(config, Seam::new()).await.map_err(|error| away(&error))?;
        Ok(Purse { chain, is_local: rpc.is_loopback() })
    }

    /// Whether play money can be had here.
    pub(crate) fn is_test_chain(&self) -> bool {
        self.is_local && self.chain.genesis_hash() != MAINNET_GENESIS
    }

    pub(crate) fn genesis(&self) -> &str {
        self.chain.genesis_hash()
    }

    /// The name of a public cluster.
    pub(crate) fn cluster(&self) -> Option<&'static str> {
        let genesis = self.genesis();
        CLUSTERS.iter().find(|(hash, _)| *hash == genesis).map(|(_, name)| *name)
    }

    pub(crate) async fn balance(&self, wallet: &Wallet) -> Result<Lamports, Failure> {
        self.chain.balance(wallet, Commitment::Confirmed).await.map_err(|error| away(&error))
    }

    pub(crate) async fn airdrop(
        &self,
        wallet: &Wallet,
        amount: Lamports,
    ) -> Result<TxSignature, Failure> {
        let what = "the airdrop did not happen";
        wallet::airdrop(&self.chain, wallet, amount).await.map_err(|error| match &error {
            PayError::NotSent(ChainError::Rpc { .. }) => Failure::new(Exit::Payment, what, &error)
                .hint("Only test chains give play money, and some give little at a time; try a smaller amount."),
            PayError::NotSent(cause) => away(cause),
            _ => Failure::new(Exit::Payment, what, &error).hint("Look with `framefair wallet balance`, then try again."),
        })
    }

    /// What a final transaction says, and who paid for it.
    pub(crate) async fn said(&self, transaction: &TxSignature) -> Result<Option<Said>, Failure> {
        let facts = self.chain.facts(transaction, Commitment::Finalized).await;
        let facts = facts.map_err(|error| away(&error))?.filter(|facts| facts.error.is_none());
        Ok(facts.map(|facts| Said {
            by: facts.deltas.iter().filter(|(_, it)| *it < 0).map(|(wallet, _)| *wallet).collect(),
            memos: facts.memos,
            slot: facts.slot,
            at: facts.block_time,
        }))
    }

    /// By how much a final transaction changed the balance of a wallet; none where the node does not have it.
    pub(crate) async fn moved(
        &self,
        transaction: &TxSignature,
        wallet: &Wallet,
    ) -> Result<Option<i128>, Failure> {
        let facts = self.chain.facts(transaction, Commitment::Finalized).await;
        let facts = facts.map_err(|error| away(&error))?;
        let delta = |(known, delta): &(Wallet, i128)| if known == wallet { *delta } else { 0 };
        Ok(facts.map(|facts| facts.deltas.iter().map(delta).sum()))
    }

    /// Final transactions that name the wallet, newest first: older than `before`, newer than `until`, at
    /// most `HISTORY_MAX` of them.
    pub(crate) async fn history(
        &self,
        wallet: &Wallet,
        before: Option<TxSignature>,
        until: Option<TxSignature>,
    ) -> Result<Vec<Seen>, Failure> {
        let history = self.chain.signatures_of(wallet, before, until, HISTORY_MAX).await;
        history.map_err(|error| away(&error))
    }

    /// The chain's own time, where the node knows it.
    pub(crate) async fn now(&self) -> Result<Option<Timestamp>, Failure> {
        let slot = self.chain.slot(Commitment::Finalized).await.map_err(|error| away(&error))?;
        self.chain.block_time(slot).await.map_err(|error| away(&error))
    }

    /// What to write down before a payment is begun.
    pub(crate) async fn begin(&self) -> Result<Attempt, Failure> {
        let slot = self.chain.slot(Commitment::Confirmed).await.map_err(|error| away(&error))?;
        let height =
            self.chain.block_height(Commitment::Confirmed).await.map_err(|error| away(&error))?;
        Ok(Attempt {
            signature: None,
            slot,
            last_valid_block_height: height.saturating_add(HEIGHTS_MAX),
        })
    }

    /// Pays and waits until it is confirmed. `signed` hears the signature before anything is sent.
    pub(crate) async fn pay(
        &self,
        signer: &Signer,
        to: &Wallet,
        lamports: Lamports,
        memo: &str,
        mut signed: impl FnMut(TxSignature),
    ) -> Result<TxSignature, PayError> {
        let on = |progress| {
            if let Progress::Signed(signature) = progress {
                signed(signature);
            }
        };
        wallet::pay_with(&self.chain, signer, to, lamports, memo, on).await
    }

    /// Finds out what became of a payment that an earlier run began. Takes as long as a payment can
    /// still land: a minute or two at most.
    pub(crate) async fn fate(
        &self,
        attempt: &Attempt,
        from: &Wallet,
        memo: &str,
    ) -> Result<Outcome, Failure> {
        let Some(signature) = attempt.signature else {
            return self.fate_by_memo(attempt, from, memo).await;
        };
        let sent = Sent {
            signature,
            last_valid_block_height: attempt.last_valid_block_height,
            min_slot: attempt.slot,
            memo: memo.to_owned(),
        };
        loop {
            match self.chain.fate(&sent, from).await.map_err(|error| away(&error))? {
                Fate::Confirmed { .. } | Fate::Finalized { .. } => {
                    return Ok(Outcome::Landed(signature));
                }
                Fate::FailedOnChain { .. } | Fate::Expired => return Ok(Outcome::Nothing),
                Fate::Unknowable(why) => return Err(in_doubt(&why)),
                Fate::Unseen | Fate::Processing => sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Nothing but the memo is known: once no payment of that time can land any more, the wallet's
    /// finalized history has it or not.
    async fn fate_by_memo(
        &self,
        attempt: &Attempt,
        from: &Wallet,
        memo: &str,
    ) -> Result<Outcome, Failure> {
        let height = || self.chain.block_height(Commitment::Finalized);
        while height().await.map_err(|error| away(&error))? <= attempt.last_valid_block_height {
            sleep(LOOK_EVERY).await;
        }
        let history = self.history(from, None, None).await?;
        let ours = history
            .iter()
            .filter(|line| line.error.is_none())
            .find(|line| line.memo.as_deref().is_some_and(|text| text.contains(memo)));
        if let Some(line) = ours {
            return Ok(Outcome::Landed(line.signature));
        }
        let reaches_back = history.len() < HISTORY_MAX
            || history.last().is_some_and(|line| line.slot < attempt.slot);
        if reaches_back {
            Ok(Outcome::Nothing)
        } else {
            Err(in_doubt("the wallet's history is too long to search"))
        }
    }
}

fn in_doubt(why: &str) -> Failure {
    Failure::new(Exit::Payment, "it is not known what became of an earlier payment for this job", why)
        .hint("Nothing more was paid. Try again later, or start over with --new, which may pay a second time.")
}

fn away(error: &ChainError) -> Failure {
    let failure = Failure::new(Exit::Network, "the chain cannot be asked", error);
    failure.hint("Check --rpc (or FRAMEFAIR_RPC). On one machine `framefair up` runs the chain.")
}

/// The sentence for a payment that is not confirmed.
pub(crate) fn pay_failure(error: &PayError) -> Failure {
    match error {
        PayError::NotSent(ChainError::Rpc { .. } | ChainError::Signing(_)) => {
            Failure::new(Exit::Payment, "the payment could not be made", error)
                .hint("Nothing was paid.")
        }
        PayError::NotSent(cause) => away(cause),
        PayError::Failed { .. } | PayError::Expired { .. } => {
            Failure::new(Exit::Payment, "the payment did not go through", error)
                .hint("The price was not spent. Run the same command again for a new price.")
        }
        PayError::Unknown { .. } => {
            Failure::new(Exit::Payment, "the payment is not confirmed yet", error)
                .hint("Run the same command again: it finds out, and does not pay twice.")
        }
    }
}

#[cfg(test)]
#[path = "purse_tests.rs"]
mod tests;
