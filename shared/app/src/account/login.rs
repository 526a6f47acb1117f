//! E-mail and password for a pair of tokens.

use framefair_domain::id::UserId;
use framefair_store::rows::{ClaimRow, UserRow};
use framefair_store::{When, Write, keys};
use garde::Validate;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::session::first_session;
use super::{NotAuthenticated, TokenPair, password};
use crate::{Broken, Call, Ctx, Refusal, rates};

/// Attempts per minute at one account, from wherever.
const PER_ACCOUNT: u32 = 5;
const ROUTE: &str = "login";

#[derive(Clone, Deserialize, Validate)]
pub struct Login {
    #[garde(length(bytes, max = 254))]
    pub email: String,
    #[garde(length(chars, max = 1024))]
    pub password: String,
}

/// An unknown e-mail costs the caller what a wrong password does, and is told the same.
pub async fn login(ctx: &Ctx, call: &mut Call, wish: Login) -> Result<TokenPair, Refusal> {
    let account = hex::encode(Sha256::digest(wish.email.to_lowercase()));
    let limit = rates::spend(ctx, call, ROUTE, &account, PER_ACCOUNT);
    let (user, ()) = tokio::try_join!(find(ctx, &wish.email), limit)?;
    let known = user.as_ref().map(|user| user.password.clone());
    let fits = password::fits(wish.password, known).await?;
    let user = user.filter(|_| fits).ok_or(NotAuthenticated::Credentials)?;
    if !user.active {
        return Err(NotAuthenticated::AccountInactive.into());
    }
    let session = first_session(call, user.id);
    let tokens = ctx.token_keys()?.pair(&session)?;
    ctx.store.write(Write::put(&session, When::Absent)).await?;
    Ok(tokens)
}

/// The user with this e-mail, in any case of its letters.
pub async fn find(ctx: &Ctx, email: &str) -> Result<Option<UserRow>, Refusal> {
    let claim = ctx.store.get::<ClaimRow>(&keys::email_claim(email)).await?;
    let Some(claim) = claim else { return Ok(None) };
    let id: UserId =
        claim.by.parse().map_err(|_| Broken(format!("an e-mail is claimed by {:?}", claim.by)))?;
    Ok(ctx.store.get(&keys::user(id)).await?)
}
