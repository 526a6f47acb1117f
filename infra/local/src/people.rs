//! What an operator does for people, nodes and jobs, in a folder or in a deployment.

use anyhow::{Context, Result};
use framefair_app::account::{self, Appointed, Role};
use framefair_app::credits::{self, EntryRow};
use framefair_app::jobs::{self, DeadLetter, Placed};
use framefair_app::{Call, Refusal, fleet};
use framefair_domain::credits::Credits;
use framefair_domain::id::{JobId, ProviderId};

use crate::accounting::{Books, with_books};

/// Gives an account this role and perhaps a new password, and makes the account where there is none.
pub async fn appoint(
    books: &Books,
    email: String,
    role: Role,
    reset_password: bool,
) -> Result<Appointed> {
    with_books(books, async |ctx, _| {
        let made = account::appoint(ctx, &mut Call::live(), email, role, reset_password).await;
        made.context("the account could not be made")
    })
    .await
}

/// Adds credits to an account, by a reference that makes a repetition harmless.
pub async fn credit(
    books: &Books,
    email: &str,
    amount: &str,
    reference: String,
) -> Result<EntryRow> {
    let amount = credits::positive(amount)?;
    with_books(books, async |ctx, _| {
        let user = account::find(ctx, email).await?;
        let user =
            user.ok_or(Refusal::NotFound).context("nobody has an account with this e-mail")?;
        Ok(credits::adjust(ctx, &mut Call::live(), user.id, amount, reference).await?)
    })
    .await
}

/// Lets a node take the jobs of others, or takes that back.
pub async fn admit(books: &Books, node: ProviderId, may: bool) -> Result<()> {
    with_books(books, async |ctx, _| {
        let admitted = fleet::admit(ctx, &Call::live(), node, may).await;
        admitted.context("no node of this id is registered")
    })
    .await
}

/// What a job of this type costs from now on.
pub async fn set_price(books: &Books, kind: &str, amount: &str) -> Result<Credits> {
    let price = Credits::parse(amount).context("credits are written as in 10 or 0.5")?;
    with_books(books, async |ctx, _| {
        jobs::set_price(ctx, &Call::live(), kind, price).await?;
        Ok(price)
    })
    .await
}

/// The jobs that were given up, the oldest first.
pub async fn dead_letters(books: &Books) -> Result<Vec<DeadLetter>> {
    with_books(books, async |ctx, _| Ok(jobs::dead_letters(ctx).await?)).await
}

/// Dispatches a job that was given up as a new one; asked for again it is the same one.
pub async fn redrive(books: &Books, job: JobId) -> Result<Placed> {
    with_books(books, async |ctx, _| {
        jobs::redrive(ctx, &mut Call::live(), job).await.context("the job could not be redriven")
    })
    .await
}
