//! Somebody becomes a user, with an empty balance and a first session.

use framefair_domain::credits::Credits;
use framefair_domain::id::UserId;
use framefair_domain::ledger::NOTHING_BEFORE;
use framefair_store::rows::{BalanceRow, ClaimRow, Role, UserRow};
use framefair_store::{TransactFailed, When, Write, keys};
use garde::Validate;
use serde::Deserialize;

use super::login::email_hash;
use super::session::first_session;
use super::{TokenPair, password};
use crate::{Call, Ctx, Refusal, rates};

/// Attempts per minute at one e-mail, from wherever.
const PER_ACCOUNT: u32 = 10;
const ROUTE: &str = "register";

#[derive(Clone, Deserialize, Validate)]
pub struct Registration {
    #[garde(email, length(bytes, max = 254))]
    pub email: String,
    /// The part of the e-mail before the `@` where it is missing.
    #[garde(inner(length(chars, min = 1, max = 255)))]
    pub name: Option<String>,
    #[garde(length(chars, min = 8, max = 1024))]
    pub password: String,
}

#[derive(Debug)]
pub struct Registered {
    pub user: UserRow,
    pub tokens: TokenPair,
}

/// The account exists when this answers.
pub async fn register(
    ctx: &Ctx,
    call: &mut Call,
    wish: Registration,
) -> Result<Registered, Refusal> {
    rates::spend(ctx, call, ROUTE, &email_hash(&wish.email), PER_ACCOUNT).await?;
    let id = UserId::new(call.now, call.entropy());
    let session = first_session(call, id, 0);
    let tokens = ctx.token_keys()?.pair(&session)?;
    let first = Write::put(&session, When::Absent);
    let user = create(ctx, call, id, wish, Role::User, Some(first)).await?;
    Ok(Registered { user, tokens })
}

/// The account with its claim on the e-mail, its balance, and what else comes into being with it.
pub(super) async fn create(
    ctx: &Ctx,
    call: &mut Call,
    id: UserId,
    wish: Registration,
    role: Role,
    beside: Option<Write>,
) -> Result<UserRow, Refusal> {
    let name = wish.name.or_else(|| wish.email.split('@').next().map(str::to_owned));
    let user = UserRow {
        id,
        rev: 1,
        name: name.unwrap_or_default(),
        password: password::hash(wish.password, call.entropy()).await?,
        resets: 0,
        email: wish.email,
        role,
        active: true,
        created: call.now,
    };
    let balance = BalanceRow {
        user: id,
        rev: 1,
        available: Credits::ZERO,
        held: Credits::ZERO,
        entries: 0,
        jobs: 0,
        completed: 0,
        failed: 0,
        last_leaf: NOTHING_BEFORE,
        updated: call.now,
    };
    let claim =
        ClaimRow { key: Some(keys::email_claim(&user.email)), by: id.to_string(), until_s: None };
    let writes = [
        Write::put(&claim, When::Absent),
        Write::put(&user, When::Absent),
        Write::put(&balance, When::Absent),
    ];
    match ctx.store.transact(writes.into_iter().chain(beside).collect()).await {
        Ok(()) => {}
        Err(TransactFailed::Conditions(_)) => return Err(Refusal::EmailTaken),
        Err(other) => return Err(other.into()),
    }
    tracing::info!(user = %id, ?role, "Made an account");
    Ok(user)
}
