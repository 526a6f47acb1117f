//! People with an account: they register, log in, stay logged in, and log out for good. One account is
//! good on creator, pipeline and studio.

mod appoint;
mod crypto;
mod login;
mod password;
mod register;
mod session;
mod token;

use framefair_domain::id::{SessionId, UserId};
pub use framefair_store::rows::Role;

pub use appoint::{Appointed, appoint};
pub use login::{Login, find, login};
pub use register::{Registered, Registration, register};
pub use session::{authenticate, logout, refresh};
pub use token::{BadTokenKey, TokenKeys, TokenPair};

/// Somebody whose access token is good, and whose session is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: UserId,
    pub session: SessionId,
    pub role: Role,
}

/// Why a caller is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthenticated {
    #[error("Not authenticated")]
    Missing,
    /// Forged, expired, revoked, or nothing at all: nobody learns which.
    #[error("Could not validate credentials")]
    Invalid,
    #[error("Invalid token type")]
    WrongType,
    #[error("Invalid token type: expected refresh token")]
    NoRefreshToken,
    #[error("Inactive user")]
    Inactive,
    #[error("Invalid email or password")]
    Credentials,
    #[error("Invalid node credentials")]
    Node,
    #[error("Account is inactive")]
    AccountInactive,
}
