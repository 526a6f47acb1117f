//! Passwords: argon2id as OWASP advises, off the threads that serve. Shows none of them.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::{Broken, Refusal};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Each takes its memory at the same time, so that callers cannot take all of it.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// Belongs to nobody: whoever logs in to an account that does not exist does the same work.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$RnJhbWVmYWlyTm9ib2R5cw$tOY1ZfBIhK7hZ6Fb8s2B8rK3mDq8L0lZl5o2i0m6p1E";

fn argon2() -> Result<Argon2<'static>, Broken> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|bad| Broken(format!("argon2: {bad}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A PHC string of the password, with this salt.
pub(super) async fn hash(password: String, salt: [u8; 16]) -> Result<String, Refusal> {
    work(move || {
        let hash = argon2()?.hash_password_with_salt(password.as_bytes(), &salt);
        hash.map(|hash| hash.to_string()).map_err(|bad| Broken(format!("argon2: {bad}")))
    })
    .await
}

/// Whether the password is the one behind `known`; with nothing known it takes as long to say no.
pub(super) async fn fits(password: String, known: Option<String>) -> Result<bool, Refusal> {
    work(move || {
        let hash = known.as_deref().unwrap_or(NOBODYS);
        if is_imported(hash) {
            return Ok(bcrypt::verify(password, hash).unwrap_or(false));
        }
        let fits = argon2()?.verify_password(password.as_bytes(), hash).is_ok();
        Ok(fits && known.is_some())
    })
    .await
}

/// Whether it is bcrypt's, of accounts that were brought along from elsewhere. It is replaced at the first login.
pub(super) fn is_imported(hash: &str) -> bool {
    hash.starts_with("$2")
}

async fn work<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Broken> + Send + 'static,
) -> Result<T, Refusal> {
    let lost = |what: &'static str| Refusal::Broken(Broken(format!("a password: {what}")));
    let permit = AT_ONCE.acquire().await.map_err(|_| lost("nobody may work"))?;
    // The work goes on when its caller has gone, and keeps its place until it is done.
    let work = move || {
        let _permit = permit;
        work()
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| lost("the work ended early"))?;
    Ok(done?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_and_no_other() {
        let kept = hash("correct horse".into(), [7; 16]).await.expect("a hash");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("correct horse".into(), [8; 16]).await.expect("a hash"));
        for (password, fits_it) in [("correct horse", true), ("Correct horse", false), ("", false)]
        {
            let answer = fits(password.into(), Some(kept.clone())).await.expect("an answer");
            assert_eq!(answer, fits_it, "{password}");
        }
    }

    #[tokio::test]
    async fn a_password_that_was_brought_along_fits_its_hash() {
        let kept = bcrypt::hash("correct horse", 4).expect("a hash");
        assert!(is_imported(&kept) && !is_imported(NOBODYS));
        assert!(fits("correct horse".into(), Some(kept.clone())).await.expect("an answer"));
        assert!(!fits("wrong horse".into(), Some(kept)).await.expect("an answer"));
        assert!(!fits("correct horse".into(), Some("$2b$10$cut".into())).await.expect("an answer"));
    }

    #[tokio::test]
    async fn nobody_has_no_password_and_still_costs_the_work() {
        assert!(!fits("anything".into(), None).await.expect("an answer"));
        let read = argon2::password_hash::phc::PasswordHash::new(NOBODYS).expect("a PHC string");
        let params = Params::try_from(&read).expect("its parameters");
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (MEMORY_KIB, PASSES, LANES)
        );
    }
}
