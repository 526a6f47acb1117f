//! What can go wrong between us and a node. Says it without the node's URL, which may hold a key.

use crate::out::GuardRefused;

/// The node's code for a transaction of a newer format than version 0. It will never be readable
/// by asking again.
pub const UNSUPPORTED_VERSION: i64 = -32015;
/// The node has not reached the slot that the question names.
pub(crate) const MIN_SLOT_NOT_REACHED: i64 = -32016;
/// The node keeps no history, or none so old.
pub(crate) const NO_HISTORY: [i64; 5] = [-32001, -32004, -32009, -32011, -32019];

/// Most of a node's message that is kept.
const MESSAGE_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("the Solana node cannot be reached: {0}. Check SOLANA_RPC_URL and that the node runs")]
    Unreachable(&'static str),
    #[error("the Solana node did not answer in time; what was sent may still take effect")]
    Timeout,
    #[error(
        "the Solana node belongs to another cluster: its genesis hash is {found}, not {expected}"
    )]
    WrongCluster { expected: String, found: String },
    #[error("the Solana node's answer cannot be trusted: {0}")]
    Untrustworthy(String),
    #[error("the Solana node refused the call ({code}): {message}")]
    Rpc { code: i64, message: String },
    #[error("the Solana RPC address is not an http or https URL")]
    BadUrl,
    #[error("the outgoing transaction was refused: {0}")]
    Refused(#[from] GuardRefused),
    #[error("the key could not sign: {0}")]
    Signing(&'static str),
}

impl ChainError {
    pub(crate) fn untrustworthy(why: impl Into<String>) -> ChainError {
        ChainError::Untrustworthy(why.into())
    }

    /// A node's own words, cut and made printable.
    pub(crate) fn rpc(code: i64, message: &str) -> ChainError {
        ChainError::Rpc { code, message: short(message) }
    }
}

/// At most `MESSAGE_MAX` printable characters of a stranger's text.
pub(crate) fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_MAX).collect()
}
