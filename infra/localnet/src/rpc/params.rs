//! Positional parameters: how many, of which type, and within which bounds. Knows nothing of what
//! they are for.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::de::DeserializeOwned;
use serde_json::Value;
use solana_rpc_client_types::config::{CommitmentConfig, CommitmentLevel};
use solana_sdk::{
    message::VersionedMessage, pubkey::Pubkey, signature::Signature,
    transaction::VersionedTransaction,
};
use solana_transaction_status::{TransactionBinaryEncoding, UiTransactionEncoding};

use super::{Call, RpcError};
use crate::chain::Chain;

/// What fits into a packet: the network takes no longer transaction.
const PACKET_BYTES: usize = 1_232;
/// Generous for base64 (1,644) and base58 (1,683) of a packet alike.
const ENCODED_CHARS_MAX: usize = 1_684;

pub(crate) struct Params(Vec<Value>);

impl Params {
    pub(crate) fn new(params: Option<Value>) -> Result<Self, RpcError> {
        match params {
            None | Some(Value::Null) => Ok(Self(Vec::new())),
            Some(Value::Array(values)) => Ok(Self(values)),
            Some(_) => Err(RpcError::params("`params` should be an array")),
        }
    }

    pub(crate) fn at_most(&self, count: usize) -> Result<(), RpcError> {
        if self.0.len() <= count {
            return Ok(());
        }
        let message = format!(
            "Invalid parameters: Expected at most {count} parameters, got {}",
            self.0.len()
        );
        Err(RpcError::params(message))
    }

    pub(crate) fn required<T: DeserializeOwned>(&self, index: usize) -> Result<T, RpcError> {
        let value = self.0.get(index).ok_or_else(|| {
            RpcError::params("`params` should have at least 1 argument(s)".to_owned())
        })?;
        read(value)
    }

    pub(crate) fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
    ) -> Result<Option<T>, RpcError> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some),
        }
    }

    pub(crate) fn pubkey(&self, index: usize) -> Result<Pubkey, RpcError> {
        pubkey(&self.required::<String>(index)?)
    }

    pub(crate) fn signature(&self, index: usize) -> Result<Signature, RpcError> {
        signature(&self.required::<String>(index)?)
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, RpcError> {
    T::deserialize(value).map_err(|cause| RpcError::params(format!("Invalid params: {cause}.")))
}

pub(crate) fn pubkey(text: &str) -> Result<Pubkey, RpcError> {
    text.parse().map_err(|cause| RpcError::params(format!("Invalid param: {cause:?}")))
}

pub(crate) fn signature(text: &str) -> Result<Signature, RpcError> {
    text.parse().map_err(|cause| RpcError::params(format!("Invalid param: {cause:?}")))
}

impl Call {
    /// The slot that a caller sees at `commitment`, `finalized` when none is given; refused while
    /// it is before the caller's `min_context_slot`.
    pub(crate) fn slot(
        &self,
        chain: &Chain,
        commitment: Option<CommitmentConfig>,
        min_context_slot: Option<u64>,
    ) -> Result<u64, RpcError> {
        let level = commitment.map_or(CommitmentLevel::Finalized, |wanted| wanted.commitment);
        let slot = chain.slot_at(level, self.view.lag_slots);
        match min_context_slot {
            Some(wanted) if slot < wanted => Err(RpcError::context_slot(slot)),
            _ => Ok(slot),
        }
    }
}

/// A transaction as sendTransaction and simulateTransaction take it: base58 unless said otherwise.
pub(crate) fn transaction(
    text: &str,
    encoding: Option<UiTransactionEncoding>,
) -> Result<VersionedTransaction, RpcError> {
    let encoding = encoding.unwrap_or(UiTransactionEncoding::Base58);
    let binary = encoding.into_binary_encoding().ok_or_else(|| {
        RpcError::params(format!(
            "unsupported encoding: {encoding}. Supported encodings: base58, base64"
        ))
    })?;
    let bytes = packet(text, binary)?;
    let transaction: VersionedTransaction = bincode::deserialize(&bytes)
        .map_err(|cause| RpcError::params(format!("failed to deserialize transaction: {cause}")))?;
    // Trailing bytes, and versions that this network does not have, are not a transaction.
    if bincode::serialized_size(&transaction).ok() != Some(bytes.len() as u64) {
        return Err(RpcError::params("failed to deserialize transaction: trailing bytes"));
    }
    if matches!(transaction.message, VersionedMessage::V1(_)) {
        return Err(RpcError::params("invalid transaction: unsupported version"));
    }
    transaction
        .sanitize()
        .map_err(|cause| RpcError::params(format!("invalid transaction: {cause}")))?;
    Ok(transaction)
}

/// A message in base64, as getFeeForMessage takes it.
pub(crate) fn message(text: &str) -> Result<VersionedMessage, RpcError> {
    let bytes = packet(text, TransactionBinaryEncoding::Base64)?;
    let message: VersionedMessage = bincode::deserialize(&bytes)
        .map_err(|cause| RpcError::params(format!("failed to deserialize message: {cause}")))?;
    message
        .sanitize()
        .map_err(|cause| RpcError::params(format!("invalid transaction message: {cause}")))?;
    Ok(message)
}

fn packet(text: &str, encoding: TransactionBinaryEncoding) -> Result<Vec<u8>, RpcError> {
    if text.len() > ENCODED_CHARS_MAX {
        let length = text.len();
        return Err(RpcError::params(format!(
            "encoded transaction too large: {length} characters"
        )));
    }
    let bytes = match encoding {
        TransactionBinaryEncoding::Base58 => bs58::decode(text)
            .into_vec()
            .map_err(|cause| RpcError::params(format!("invalid base58 encoding: {cause}")))?,
        TransactionBinaryEncoding::Base64 => BASE64_STANDARD
            .decode(text)
            .map_err(|cause| RpcError::params(format!("invalid base64 encoding: {cause}")))?,
    };
    if bytes.len() > PACKET_BYTES {
        let message = format!(
            "decoded transaction too large: {} bytes (max: {PACKET_BYTES} bytes)",
            bytes.len()
        );
        return Err(RpcError::params(message));
    }
    Ok(bytes)
}
