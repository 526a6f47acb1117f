//! Users and their tokens.

use framefair_app::account::TokenPair;
use framefair_domain::id::UserId;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) is_active: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tokens {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
}

impl From<TokenPair> for Tokens {
    fn from(pair: TokenPair) -> Tokens {
        Tokens { access_token: pair.access, refresh_token: pair.refresh, token_type: "bearer" }
    }
}
