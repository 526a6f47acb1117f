//! Sessions: each refresh token is good once, and one that comes back ends its whole session.

use framefair_domain::id::{SessionId, UserId};
use framefair_domain::time::SECOND_MS;
use framefair_store::rows::{Pair, SessionRow, UserRow};
use framefair_store::{When, Write, WriteFailed, keys};
use uuid::Builder;

use super::token::{Claims, Kind, REFRESH_MS};
use super::{NotAuthenticated, Person, TokenPair};
use crate::{Call, Ctx, Refusal, rates};

/// Whoever lost the answer to a refresh gets it again within this time.
const SAID_AGAIN_MS: i64 = 10 * SECOND_MS;
const TRIES: usize = 8;
/// Of the sessions of one account, in a minute, from wherever.
const PER_ACCOUNT: u32 = 3;
const ROUTE: &str = "refresh";

/// For a user whose password was reset so often.
pub(super) fn first_session(call: &mut Call, user: UserId, resets: u32) -> SessionRow {
    let id = SessionId::new(call.now, call.entropy());
    let current = new_pair(call);
    let expires = expiry(&current);
    SessionRow { user, id, rev: 1, resets, current, previous: None, revoked: false, expires }
}

fn new_pair(call: &mut Call) -> Pair {
    let mut id = || Builder::from_random_bytes(call.entropy()).into_uuid();
    let (access, refresh) = (id(), id());
    Pair { access, refresh, issued: call.now }
}

fn expiry(pair: &Pair) -> i64 {
    pair.issued.plus_ms(REFRESH_MS).seconds()
}

/// Who shows this access token. Where its session cannot be looked at, nobody is let in.
pub async fn authenticate(ctx: &Ctx, call: &Call, bearer: Option<&str>) -> Result<Person, Refusal> {
    let token = bearer.ok_or(NotAuthenticated::Missing)?;
    let claims = ctx.token_keys()?.read(token, &[Kind::Access], call.now)?;
    // An access token lasts until it ends by itself, past refreshes of its session.
    let (_, user) = live(ctx, call, &claims).await?.ok_or(NotAuthenticated::Invalid)?;
    if !user.active {
        return Err(NotAuthenticated::Inactive.into());
    }
    Ok(Person { id: user.id, session: claims.family, role: user.role })
}

/// The session of a token and its user, as long as it is not over.
async fn live(
    ctx: &Ctx,
    call: &Call,
    claims: &Claims,
) -> Result<Option<(SessionRow, UserRow)>, Refusal> {
    let (session, user) = (keys::session(claims.sub, claims.family), keys::user(claims.sub));
    let rows =
        tokio::try_join!(ctx.store.get::<SessionRow>(&session), ctx.store.get::<UserRow>(&user));
    let (session, user) = rows.map_err(|broken| {
        tracing::warn!(cause = broken.detail(), "A session could not be looked at");
        Refusal::Busy
    })?;
    Ok(session.zip(user).filter(|(session, user)| {
        let is_over = session.revoked || session.resets != user.resets;
        !is_over && session.expires > call.now.seconds()
    }))
}

/// A new pair for a refresh token, which is used up by that.
pub async fn refresh(ctx: &Ctx, call: &mut Call, token: &str) -> Result<TokenPair, Refusal> {
    let keys = ctx.token_keys()?;
    let claims = keys.read(token, &[Kind::Refresh], call.now).map_err(|why| match why {
        NotAuthenticated::WrongType => NotAuthenticated::NoRefreshToken,
        other => other,
    })?;
    rates::spend(ctx, call, ROUTE, &claims.sub.to_string(), PER_ACCOUNT).await?;
    for _ in 0..TRIES {
        let found = live(ctx, call, &claims).await?.filter(|(_, user)| user.active);
        let (mut session, _) = found.ok_or(NotAuthenticated::Invalid)?;
        if claims.jti == session.current.refresh {
            session.previous = Some(session.current.refresh);
            session.current = new_pair(call);
            session.expires = expiry(&session.current);
            if save(ctx, &mut session).await? {
                return keys.pair(&session);
            }
        } else if session.previous == Some(claims.jti)
            && call.now.since_ms(session.current.issued) <= SAID_AGAIN_MS
        {
            return keys.pair(&session);
        } else {
            tracing::warn!(user = %session.user, session = %session.id, "A used refresh token came back");
            session.revoked = true;
            if save(ctx, &mut session).await? {
                return Err(NotAuthenticated::Invalid.into());
            }
        }
    }
    Err(Refusal::Busy)
}

/// Whether nobody else wrote it first.
async fn save(ctx: &Ctx, session: &mut SessionRow) -> Result<bool, Refusal> {
    let read = session.rev;
    session.rev += 1;
    match ctx.store.write(Write::put(session, When::Rev(read))).await {
        Ok(()) => Ok(true),
        Err(WriteFailed::Condition) => Ok(false),
        Err(WriteFailed::Broken(broken)) => {
            tracing::warn!(cause = broken.detail(), "A session could not be written");
            Err(Refusal::Busy)
        }
    }
}

/// Ends the session of this token, be it for access or for refreshing.
pub async fn logout(ctx: &Ctx, call: &Call, bearer: Option<&str>) -> Result<(), Refusal> {
    let token = bearer.ok_or(NotAuthenticated::Missing)?;
    let claims = ctx.token_keys()?.read(token, &[Kind::Access, Kind::Refresh], call.now)?;
    for _ in 0..TRIES {
        let found = live(ctx, call, &claims).await?;
        let (mut session, _) = found.ok_or(NotAuthenticated::Invalid)?;
        session.revoked = true;
        if save(ctx, &mut session).await? {
            return Ok(());
        }
    }
    Err(Refusal::Busy)
}
