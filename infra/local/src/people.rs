//! What an operator does for people with an account, in a folder or in a deployment.

use anyhow::{Context, Result};
use framefair_app::account::{self, Appointed, Role};
use framefair_app::credits::{self, EntryRow};
use framefair_app::{Call, Refusal};
use uuid::Uuid;

use crate::accounting::{Books, with_books};

/// Gives an account this role, and makes the account where there is none.
pub async fn appoint(books: &Books, email: String, role: Role) -> Result<Appointed> {
    with_books(books, async |ctx, _| {
        let made = account::appoint(ctx, &mut Call::live(), email, role).await;
        made.context("the account could not be made")
    })
    .await
}

/// Adds credits to an account, by a reference that makes a repetition harmless.
pub async fn credit(
    books: &Books,
    email: &str,
    amount: &str,
    reference: Option<String>,
) -> Result<EntryRow> {
    let amount = credits::positive(amount)?;
    let reference = reference.unwrap_or_else(|| Uuid::new_v4().to_string());
    with_books(books, async |ctx, _| {
        let user = account::find(ctx, email).await?;
        let user =
            user.ok_or(Refusal::NotFound).context("nobody has an account with this e-mail")?;
        Ok(credits::adjust(ctx, &mut Call::live(), user.id, amount, reference).await?)
    })
    .await
}
