//! The name of an entry in a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use framefair_app::Refusal;
use framefair_app::ledger::EntryName;
use framefair_domain::id::EntryId;
use framefair_domain::wallet::TxSignature;

use crate::face::Error;

/// The integer of an entry, or its uuid; or the transaction that moved something in escrow.
#[derive(Debug)]
pub(crate) struct PathEntry(pub(crate) EntryName);

impl<S: Send + Sync> FromRequestParts<S> for PathEntry {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<PathEntry, Error> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let name = text.ok().and_then(|Path(text)| read(&text));
        let bad = || Refusal::bad("path", "entry_id", "Invalid ledger entry ID format");
        Ok(PathEntry(name.ok_or_else(bad)?))
    }
}

fn read(text: &str) -> Option<EntryName> {
    if let Ok(id) = text.parse::<EntryId>() {
        return Some(EntryName::Id(id));
    }
    if let Ok(transaction) = text.parse::<TxSignature>() {
        return Some(EntryName::Transaction(transaction));
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && *number >= 1);
    number.map(EntryName::Number)
}
