//! An operator gives somebody a role.

use framefair_domain::id::UserId;
use framefair_store::rows::{Role, UserRow};
use framefair_store::{When, Write};
use garde::Validate;

use super::login::find;
use super::register::{Registration, create};
use crate::{Call, Ctx, Refusal};

#[derive(Debug)]
pub struct Appointed {
    pub user: UserRow,
    /// Of an account that was made just now. Kept nowhere.
    pub password: Option<String>,
}

/// The account with this e-mail has this role from now on; one that is missing is made.
pub async fn appoint(
    ctx: &Ctx,
    call: &mut Call,
    email: String,
    role: Role,
) -> Result<Appointed, Refusal> {
    let Some(mut user) = find(ctx, &email).await? else {
        let id = UserId::new(call.now, call.entropy());
        let password = hex::encode(call.entropy::<16>());
        let wish = Registration { email, name: None, password: password.clone() };
        wish.validate()?;
        let user = create(ctx, call, id, wish, role, None).await?;
        return Ok(Appointed { user, password: Some(password) });
    };
    let read = user.rev;
    (user.role, user.rev) = (role, read + 1);
    ctx.store.write(Write::put(&user, When::Rev(read))).await?;
    tracing::info!(user = %user.id, ?role, "Gave a role");
    Ok(Appointed { user, password: None })
}
