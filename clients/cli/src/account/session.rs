//! The session file: tokens of one account at one hub, readable by its owner alone. An access token that
//! is over is renewed, and the file with it.

use std::io::Write;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::args::WithSession;
use crate::exit::{Exit, Failure};
use crate::hub::account::Tokens;
use crate::hub::{Hub, HubError};

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

    /// Asks, and where the access token is over asks again with a new one.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        what: &str,
        pieces: &[&str],
    ) -> Result<T, Failure> {
        let first = self.hub.ask(pieces, &self.session.access).await;
        let answer = match first {
            Err(error) if error.status() == Some(401) => {
                self.renew().await?;
                self.hub.ask(pieces, &self.session.access).await
            }
            answer => answer,
        };
        answer.map_err(|error: HubError| error.failure(what, &self.hub.url))
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
