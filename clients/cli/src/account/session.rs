//! The session file: tokens of one account at one hub, readable by its owner alone. An access token that
//! is over is renewed, and the file with it.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::WithSession;
use crate::exit::{Exit, Failure};
use crate::hub::account::Tokens;
use crate::hub::{Hub, HubError};

/// How often, and for how long unless it says so, a hub that was asked too much is left alone.
const WAITS_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) hub: String,
    pub(super) email: String,
    pub(super) access: String,
    pub(super) refresh: String,
}

/// Somebody who is logged in, and the hub where.
#[derive(Debug)]
pub(super) struct LoggedIn {
    pub(super) hub: Hub,
    pub(super) session: Session,
    file: PathBuf,
}

impl Session {
    pub(super) fn new(hub: &Hub, email: &str, tokens: Tokens) -> Session {
        Session {
            hub: hub.url.to_string(),
            email: email.to_owned(),
            access: tokens.access_token,
            refresh: tokens.refresh_token,
        }
    }

    pub(super) fn save(&self, file: &PathBuf) -> Result<(), Failure> {
        let write = || {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.map_or_else(|| PathBuf::from("."), PathBuf::from);
            std::fs::create_dir_all(&folder)?;
            // Temporary files are readable by their owner alone.
            let mut fresh = tempfile::NamedTempFile::new_in(&folder)?;
            fresh.write_all(&serde_json::to_vec_pretty(self)?)?;
            fresh.persist(file).map_err(|error| error.error).map(drop)
        };
        write().map_err(|error: std::io::Error| {
            let what = format!("the session file {} cannot be written", file.display());
            Failure::new(Exit::Files, what, error)
        })
    }
}

impl LoggedIn {
    pub(super) fn open(args: &WithSession) -> Result<LoggedIn, Failure> {
        let file = args.file()?;
        let nobody = |why: String| {
            Failure::new(Exit::Refused, "nobody is logged in here", why)
                .hint("Log in with `framefair login EMAIL --hub URL`.")
        };
        let text =
            std::fs::read(&file).map_err(|error| nobody(format!("{}: {error}", file.display())))?;
        let session: Session = serde_json::from_slice(&text)
            .map_err(|_| nobody(format!("{} is no session", file.display())))?;
        let url = session.hub.parse().map_err(|_| nobody("its hub is no address".into()))?;
        Ok(LoggedIn { hub: Hub::new(url)?, session, file })
    }

    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        what: &str,
        pieces: &[&str],
    ) -> Result<T, Failure> {
        let answer = self.answer(pieces, &[]).await?;
        answer.map_err(|error| error.failure(what, &self.hub.url))
    }

    /// Something that is to be done, under a name by which it is done once. A hub that did not answer, or is
    /// busy, is told again.
    pub(super) async fn wish<T: DeserializeOwned>(
        &mut self,
        what: &str,
        pieces: &[&str],
        name: &str,
        upload: Option<&str>,
        wish: &Value,
    ) -> Result<T, Failure> {
        let mut waits = 0;
        loop {
            let told = self.hub.tell(pieces, wish, name, upload, &self.session.access).await;
            match told {
                Ok(answer) => return Ok(answer),
                Err(error) if error.status() == Some(401) && waits < WAITS_MAX => {
                    waits += 1;
                    self.renew().await?;
                }
                Err(error) if error.may_pass() && waits < WAITS_MAX => {
                    waits += 1;
                    tokio::time::sleep(error.pause().unwrap_or(RETRY)).await;
                }
                Err(error) => return Err(error.failure(what, &self.hub.url)),
            }
        }
    }

    /// For many questions in a row: the hub may say that they are too many, and is asked again when it
    /// likes. None is what is not there.
    pub(super) async fn find<T: DeserializeOwned>(
        &mut self,
        what: &str,
        pieces: &[&str],
        query: &[(&str, u64)],
    ) -> Result<Option<T>, Failure> {
        let mut waits = 0;
        loop {
            let error = match self.answer(pieces, query).await? {
                Ok(answer) => return Ok(Some(answer)),
                Err(error) => error,
            };
            match error.status() {
                Some(404) => return Ok(None),
                Some(429) if waits < WAITS_MAX => {
                    tokio::time::sleep(error.pause().unwrap_or(PAUSE)).await;
                    waits += 1;
                }
                _ => return Err(error.failure(what, &self.hub.url)),
            }
        }
    }

    /// Where the access token is over, asks again with a new one.
    async fn answer<T: DeserializeOwned>(
        &mut self,
        pieces: &[&str],
        query: &[(&str, u64)],
    ) -> Result<Result<T, HubError>, Failure> {
        let first = self.hub.ask(pieces, query, &self.session.access).await;
        if first.as_ref().is_err_and(|error| error.status() == Some(401)) {
            self.renew().await?;
            return Ok(self.hub.ask(pieces, query, &self.session.access).await);
        }
        Ok(first)
    }

    async fn renew(&mut self) -> Result<(), Failure> {
        let fresh = self.hub.refresh(&self.session.refresh).await.map_err(|error| {
            let what = "the session is over";
            match error.status() {
                Some(401) => Failure::new(Exit::Refused, what, &error)
                    .hint("Log in again with `framefair login EMAIL --hub URL`."),
                _ => error.failure(what, &self.hub.url),
            }
        })?;
        self.session.access = fresh.access_token;
        self.session.refresh = fresh.refresh_token;
        self.session.save(&self.file)
    }
}
