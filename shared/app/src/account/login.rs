//! E-mail and password for a pair of tokens.

use framefair_domain::id::UserId;
use framefair_store::rows::{ClaimRow, UserRow};
use framefair_store::{When, Write, keys};
use garde::Validate;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::session::first_session;
use super::{NotAuthenticated, TokenPair, password};
use crate::{Broken, Call, Ctx, Refusal, rates};

/// Attempts per minute at one account, from wherever.
const PER_ACCOUNT: u32 = 5;
const ROUTE: &str = "login";
const NOBODY: UserId = UserId(Uuid::nil());

#[derive(Clone, Deserialize, Validate)]
pub struct Login {
    #[garde(email, length(bytes, max = 254))]
    pub email: String,
    #[garde(length(chars, max = 1024))]
    pub password: String,
}

/// An unknown e-mail costs the caller what a wrong password does, and is told the same.
pub async fn login(ctx: &Ctx, call: &mut Call, wish: Login) -> Result<TokenPair, Refusal> {
    let account = email_hash(&wish.email);
    let limit = rates::spend(ctx, call, ROUTE, &account, PER_ACCOUNT);
    let (user, limit) = tokio::join!(find(ctx, &wish.email), limit);
    // Whether it may be asked comes first, and so does that nobody can tell.
    limit?;
    let user = user?;
    let known = user.as_ref().map(|user| user.password.clone());
    let fits = password::fits(wish.password.clone(), known).await?;
    let mut user = user.filter(|_| fits).ok_or(NotAuthenticated::Credentials)?;
    if !user.active {
        return Err(NotAuthenticated::AccountInactive.into());
    }
    let session = first_session(call, user.id, user.resets);
    let tokens = ctx.token_keys()?.pair(&session)?;
    let first = Write::put(&session, When::Absent);
    if password::is_imported(&user.password) {
        let read = user.rev;
        user.password = password::hash(wish.password, call.entropy()).await?;
        user.rev += 1;
        ctx.store.transact(vec![first, Write::put(&user, When::Rev(read))]).await?;
    } else {
        ctx.store.write(first).await?;
    }
    Ok(tokens)
}

/// What an e-mail is counted under.
pub(super) fn email_hash(email: &str) -> String {
    hex::encode(Sha256::digest(email.to_lowercase()))
}

/// The user with this e-mail, in any case of its letters. Looked for as long where there is none.
pub async fn find(ctx: &Ctx, email: &str) -> Result<Option<UserRow>, Refusal> {
    let claim = ctx.store.get::<ClaimRow>(&keys::email_claim(email)).await?;
    let id: UserId = match claim {
        Some(claim) => claim.by.parse(),
        None => Ok(NOBODY),
    }
    .map_err(|_| Broken("an e-mail is claimed by what is no user".into()))?;
    Ok(ctx.store.get(&keys::user(id)).await?)
}
