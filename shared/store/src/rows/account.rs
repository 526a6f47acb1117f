//! People with an account, and their sessions.

use framefair_domain::id::{SessionId, UserId};
use framefair_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Entity, Key, keys};

/// What a person may do beyond their own affairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Operator,
    Admin,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    pub id: UserId,
    pub rev: u64,
    /// As it was given; compared in lower case.
    pub email: String,
    pub name: String,
    /// A PHC string.
    pub password: String,
    /// How often it was reset; sessions that began before are over.
    #[serde(default)]
    pub resets: u32,
    pub role: Role,
    pub active: bool,
    pub created: Timestamp,
}

impl Entity for UserRow {
    fn key(&self) -> Key {
        keys::user(self.id)
    }
}

/// A login with its refreshes: which refresh token is the next, and which was the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    pub user: UserId,
    pub id: SessionId,
    pub rev: u64,
    /// As the user had when it began.
    #[serde(default)]
    pub resets: u32,
    /// The pair that is good now, and the one before it.
    pub current: Pair,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Uuid>,
    pub revoked: bool,
    /// Unix seconds after which no token of it is good any more.
    pub expires: i64,
}

/// What tells two pairs of one session apart. Their tokens follow from it, to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub access: Uuid,
    pub refresh: Uuid,
    pub issued: Timestamp,
}

impl Entity for SessionRow {
    fn key(&self) -> Key {
        keys::session(self.user, self.id)
    }

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}
