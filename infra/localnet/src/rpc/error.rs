//! Every way in which a JSON-RPC call fails, with the codes and words of a real node, since
//! clients match on both.

use serde::Serialize;
use serde_json::{Value, json};
use solana_rpc_client_types::response::RpcSimulateTransactionResult;
use solana_transaction_status::EncodeError;

use crate::{chain::ChainError, testing::TestError};

/// The `error` member of an answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RpcError {
    code: i32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl RpcError {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(crate) fn parse() -> Self {
        Self::new(-32700, "Parse error")
    }

    pub(crate) fn request(why: impl Into<String>) -> Self {
        Self::new(-32600, why)
    }

    pub(crate) fn method(_name: &str) -> Self {
        Self::new(-32601, "Method not found")
    }

    pub(crate) fn params(why: impl Into<String>) -> Self {
        Self::new(-32602, why)
    }

    pub(crate) fn internal(why: impl Into<String>) -> Self {
        Self::new(-32603, why)
    }

    pub(crate) fn preflight(message: String, result: &RpcSimulateTransactionResult) -> Self {
        Self { data: serde_json::to_value(result).ok(), ..Self::new(-32002, message) }
    }

    pub(crate) fn signature() -> Self {
        Self::new(-32003, "Transaction signature verification failure")
    }

    pub(crate) fn no_block(slot: u64) -> Self {
        Self::new(-32004, format!("Block not available for slot {slot}"))
    }

    pub(crate) fn skipped(slot: u64) -> Self {
        let message =
            format!("Slot {slot} was skipped, or missing due to ledger jump to recent snapshot");
        Self::new(-32007, message)
    }

    pub(crate) fn no_history() -> Self {
        Self::new(-32011, "Transaction history is not available from this node")
    }

    pub(crate) fn context_slot(context_slot: u64) -> Self {
        Self {
            data: Some(json!({ "contextSlot": context_slot })),
            ..Self::new(-32016, "Minimum context slot has not been reached")
        }
    }
}

impl From<EncodeError> for RpcError {
    fn from(EncodeError::UnsupportedTransactionVersion(version): EncodeError) -> Self {
        let message = format!(
            "Transaction version ({version}) is not supported by the requesting client. Please \
             try the request again with the following configuration parameter: \
             \"maxSupportedTransactionVersion\": {version}"
        );
        Self::new(-32015, message)
    }
}

impl From<ChainError> for RpcError {
    fn from(cause: ChainError) -> Self {
        match cause {
            ChainError::Refused(why) => Self::params(why.to_string()),
            ChainError::Stopped => Self::new(-32005, "Node is unhealthy"),
            ChainError::Journal(_) | ChainError::Broken => Self::internal(cause.to_string()),
        }
    }
}

impl From<TestError> for RpcError {
    fn from(cause: TestError) -> Self {
        match cause {
            TestError::Chain(cause) => cause.into(),
            other => Self::params(other.to_string()),
        }
    }
}

impl From<serde_json::Error> for RpcError {
    fn from(cause: serde_json::Error) -> Self {
        Self::internal(cause.to_string())
    }
}
