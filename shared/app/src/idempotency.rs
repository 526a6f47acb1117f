//! A caller names its request, so that sending it again does not do it again: for 24 hours, per
//! account and route. The row is the claim; who comes second learns what the first one made.

use framefair_domain::time::{HOUR_MS, Timestamp};
use framefair_store::rows::IdempotencyRow;
use framefair_store::{Check, Key, When, Write, WriteFailed, keys};
use sha2::{Digest, Sha256};

use crate::{Call, Ctx, Refusal};

const LIFE_MS: i64 = 24 * HOUR_MS;
const KEY_BYTES_MAX: usize = 255;

/// The header `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn new(text: &str) -> Result<IdempotencyKey, Refusal> {
        let visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.is_empty() || text.len() > KEY_BYTES_MAX || !visible {
            return Err(Refusal::invalid("Idempotency-Key: 1 to 255 visible ASCII characters"));
        }
        Ok(IdempotencyKey(text.to_owned()))
    }

    fn row_key(&self, route: &str, account: &str) -> Key {
        keys::idempotency(route, account, &hex::encode(Sha256::digest(&self.0)))
    }
}

/// What makes two requests the same: a hash over everything that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Input(Sha256);

impl Input {
    pub(crate) fn with(mut self, part: impl AsRef<[u8]>) -> Input {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    fn hash(self) -> String {
        hex::encode(self.0.finalize())
    }
}

/// Whose the key is by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// This request is the first, as far as can be seen.
    Ours,
    /// It came before, and this is the number of what it made or is making.
    Made(String),
}

/// A key as it is used by one request.
#[derive(Debug)]
pub(crate) struct Claiming {
    key: Key,
    input: String,
}

impl Claiming {
    pub(crate) fn new(key: &IdempotencyKey, route: &str, account: &str, input: Input) -> Claiming {
        Claiming { key: key.row_key(route, account), input: input.hash() }
    }

    fn row(&self, made: &str, now: Timestamp) -> IdempotencyRow {
        IdempotencyRow {
            key: Some(self.key.clone()),
            input: self.input.clone(),
            made: made.to_owned(),
            expires: now.plus_ms(LIFE_MS).seconds(),
        }
    }

    /// Claims the key for what will be called `made`, unless an earlier request has it.
    pub(crate) async fn claim(&self, ctx: &Ctx, call: &Call, made: &str) -> Result<Claim, Refusal> {
        let put = self.put(call, made);
        match ctx.store.write_or_found::<IdempotencyRow>(put).await? {
            Ok(()) => Ok(Claim::Ours),
            Err(found) => self.made(&found.ok_or(Refusal::Busy)?),
        }
    }

    /// The write that claims the key for what will be called `made`.
    pub(crate) fn put(&self, call: &Call, made: &str) -> Write {
        let now_s = call.now.seconds();
        Write::put(&self.row(made, call.now), When::AbsentOrExpired { now_s })
    }

    /// Whose the key is already.
    pub(crate) async fn look(&self, ctx: &Ctx, call: &Call) -> Result<Claim, Refusal> {
        let found = ctx.store.get::<IdempotencyRow>(&self.key).await?;
        let found = found.filter(|found| found.expires > call.now.seconds());
        found.map_or(Ok(Claim::Ours), |found| self.made(&found))
    }

    fn made(&self, found: &IdempotencyRow) -> Result<Claim, Refusal> {
        if found.input == self.input {
            Ok(Claim::Made(found.made.clone()))
        } else {
            Err(Refusal::KeyReused)
        }
    }

    /// What the key stood for is over: it stands for `made` from now on. Of several who say so at
    /// once one wins, and all get its number.
    pub(crate) async fn renew(
        &self,
        ctx: &Ctx,
        call: &Call,
        over: &str,
        made: &str,
    ) -> Result<Claim, Refusal> {
        let put = Write::put(&self.row(made, call.now), When::Present);
        let put = put.require(Check::equals("made", over));
        match ctx.store.write(put).await {
            Ok(()) => Ok(Claim::Ours),
            Err(WriteFailed::Condition) => self.claim(ctx, call, made).await,
            Err(other) => Err(other.into()),
        }
    }
}
