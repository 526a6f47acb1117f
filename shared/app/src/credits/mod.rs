//! Creator credits: each movement is one entry, written once, together with the balance after it.

mod checkout;
mod day;
mod history;
mod numbers;
mod payments;
mod post;
mod purchase;
mod turns;
mod usage;

use framefair_domain::credits::Credits;
use framefair_domain::id::UserId;
use framefair_store::keys;
pub use framefair_store::rows::{BalanceRow, Direction, EntryRow, Source};
use garde::Validate;
use serde::Deserialize;

pub use checkout::{Order, checkout};
pub use history::{History, history};
pub(crate) use numbers::Numbers;
pub use payments::{BadPayments, Payments, WEBHOOK_BYTES_MAX};
pub use purchase::reported;
pub(crate) use turns::Turns;
pub use usage::{Day, usage};

use post::post;
pub(crate) use post::{DrawsOn, Posting, place_of, post_with};

use crate::idempotency::{Claiming, IdempotencyKey, Input};
use crate::{Broken, Call, Ctx, Refusal};

/// What one entry may move.
const DESCRIPTION_CHARS_MAX: usize = 500;
const REFERENCE_CHARS_MAX: usize = 255;

pub async fn balance(ctx: &Ctx, user: UserId) -> Result<BalanceRow, Refusal> {
    let row = ctx.store.get::<BalanceRow>(&keys::balance(user)).await?;
    Ok(row.ok_or_else(|| Broken(format!("user {user} has no balance")))?)
}

/// A deduction that a user makes from their own account.
#[derive(Clone, Debug, Deserialize, Validate)]
pub struct Deduction {
    /// Plain decimal text.
    #[garde(skip)]
    pub amount: String,
    #[garde(length(chars, min = 1, max = REFERENCE_CHARS_MAX))]
    pub reference_id: String,
    #[garde(inner(length(chars, max = DESCRIPTION_CHARS_MAX)))]
    pub description: Option<String>,
}

/// Idempotent by reference: the same amount again is answered with the first entry.
pub async fn deduct(
    ctx: &Ctx,
    call: &mut Call,
    user: UserId,
    key: Option<IdempotencyKey>,
    wish: Deduction,
) -> Result<EntryRow, Refusal> {
    let amount = positive(&wish.amount)?;
    if let Some(key) = key {
        let input = Input::default().with(&wish.amount).with(&wish.reference_id);
        let input = input.with(wish.description.as_deref().unwrap_or_default());
        let claiming = Claiming::new(&key, "deduct", &user.to_string(), input);
        claiming.claim(ctx, call, &wish.reference_id).await?;
    }
    let posting = Posting {
        user,
        kind: "manual",
        reference: wish.reference_id,
        amount,
        direction: Direction::Debit,
        source: Source::Usage,
        description: wish.description,
        draws_on: DrawsOn::Free,
    };
    post(ctx, call, posting).await
}

/// An operator's word that an account has more, by a reference of its own.
pub async fn adjust(
    ctx: &Ctx,
    call: &mut Call,
    user: UserId,
    amount: Credits,
    reference: String,
) -> Result<EntryRow, Refusal> {
    let posting = Posting {
        user,
        kind: "adjustment",
        reference,
        amount,
        direction: Direction::Credit,
        source: Source::Adjustment,
        description: Some("Adjustment by an operator".into()),
        draws_on: DrawsOn::Free,
    };
    post(ctx, call, posting).await
}

/// An amount above zero.
pub fn positive(text: &str) -> Result<Credits, Refusal> {
    let negative = text.strip_prefix('-').is_some_and(|rest| Credits::parse(rest).is_ok());
    match Credits::parse(text) {
        Ok(amount) if amount > Credits::ZERO => Ok(amount),
        Ok(_) => Err(Refusal::field("amount", "Amount must be a positive number")),
        Err(_) if negative => Err(Refusal::field("amount", "Amount must be a positive number")),
        Err(_) => {
            let shown: String = text.chars().take(40).collect();
            Err(Refusal::field("amount", format!("Invalid amount: {shown}")))
        }
    }
}
