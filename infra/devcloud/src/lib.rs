//! DynamoDB, S3 and SQS on one loopback port, inside the process, for one machine and for tests.
//! Knows the three protocols and the disk; knows nothing of renders, money or any crate of ours.
//!
//! What was answered survives the process being killed: every answer follows its commit.
//! Kinder than AWS in two ways that callers must not lean on: there are no transaction conflicts
//! and no stale reads.

mod dynamo;
mod front;
mod s3;
mod sigv4;
mod sqlite;
mod sqs;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use sqlite::Fault;

/// Everything is said to be in this region; a request signed for another is still accepted.
pub const REGION: &str = "us-east-1";

/// How often expired messages are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// And expired items, each time by a walk over the whole table. AWS takes days; code must not trust TTL.
const ITEMS_EVERY: u32 = 120;

/// How long `shutdown` waits for requests that are under way.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Where to keep the data, where to listen, and whom to believe.
#[derive(Clone)]
pub struct Config {
    /// Created if absent. Holds `dynamodb.sqlite`, `sqs.sqlite`, `s3.sqlite` and `s3/BUCKET/`.
    /// Only one `DevCloud` at a time may have it open; the caller sees to that.
    pub data_dir: PathBuf,
    /// Must be loopback. Port 0 picks a free one.
    pub addr: SocketAddr,
    pub access_key: String,
    pub secret_key: String,
    /// Bytes. A larger object, or part of one, is refused with `EntityTooLarge`.
    pub object_size_max: u64,
}

/// Why the embedded cloud did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "devcloud refuses to listen on {0}: it has one static key, so only a loopback address \
         such as 127.0.0.1 is allowed"
    )]
    NotLoopback(SocketAddr),
    #[error("devcloud cannot listen on {addr}: {source}; is another one running?")]
    Bind { addr: SocketAddr, source: std::io::Error },
    #[error("devcloud cannot use the folder {path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("devcloud cannot open {path}: {source}")]
    Database { path: PathBuf, source: Fault },
    #[error("devcloud cannot open its DynamoDB file {path}: {reason}")]
    Dynamo { path: PathBuf, reason: String },
}

/// A running embedded cloud. Dropping it stops it at once; [`DevCloud::shutdown`] lets requests end.
pub struct DevCloud {
    addr: SocketAddr,
    calls: front::Calls,
    stop: watch::Sender<bool>,
    server: Option<JoinHandle<()>>,
    sweeper: JoinHandle<()>,
}

impl DevCloud {
    /// Opens the data, binds the port and serves. When this returns, connections are accepted.
    pub async fn start(config: Config) -> Result<DevCloud, Error> {
        if !config.addr.ip().is_loopback() {
            return Err(Error::NotLoopback(config.addr));
        }
        let blobs = config.data_dir.join("s3");
        std::fs::create_dir_all(&blobs)
            .map_err(|source| Error::Folder { path: blobs.clone(), source })?;

        let listener =
            TcpListener::bind(config.addr).await.and_then(|l| l.local_addr().map(|addr| (l, addr)));
        let (listener, addr) =
            listener.map_err(|source| Error::Bind { addr: config.addr, source })?;

        let dynamo = open_dynamo(config.data_dir.join("dynamodb.sqlite")).await?;
        let (stop, stopped) = watch::channel(false);
        let sqs_path = config.data_dir.join("sqs.sqlite");
        let sqs = sqs::Sqs::open(&sqs_path, format!("http://{addr}"), stopped.clone())
            .map_err(|source| database(&sqs_path, source))?;
        let s3_path = config.data_dir.join("s3.sqlite");
        let buckets = s3::Buckets::open(&s3_path, blobs, config.object_size_max)
            .map_err(|source| database(&s3_path, source))?;
        let orphans = buckets.remove_orphans().await;
        orphans.map_err(|source| database(&s3_path, source))?;

        let calls = front::Calls::default();
        let front = Arc::new(front::Front {
            calls: calls.clone(),
            s3: s3::service(buckets, &config.access_key, &config.secret_key),
            dynamo: dynamo.clone(),
            sqs: sqs.clone(),
            keys: sigv4::Keys { access_key: config.access_key, secret_key: config.secret_key },
        });
        let app = Router::new().fallback(front::answer).with_state(front);
        let mut until = stopped.clone();
        // Small answers would otherwise wait for a delayed acknowledgement of the one before.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let server = tokio::spawn(async move {
            let done = axum::serve(listener, app)
                .with_graceful_shutdown(async move {
                    let _ = until.wait_for(|stop| *stop).await;
                })
                .await;
            if let Err(error) = done {
                tracing::error!(%error, "devcloud stopped serving");
            }
        });
        let sweeper = tokio::spawn(sweep(dynamo, sqs, stopped));
        tracing::info!(%addr, data = %config.data_dir.display(), "devcloud serves DynamoDB, S3 and SQS");
        Ok(DevCloud { addr, calls, stop, server: Some(server), sweeper })
    }

    /// For `AWS_ENDPOINT_URL`: all three protocols answer here; S3 wants `force_path_style`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How often each operation of DynamoDB and SQS was asked for since the start, under a good
    /// signature: what a process spends that cannot be looked into.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes no new requests, wakes long polls, waits a few seconds for the rest, then stops.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        if let Some(mut server) = self.server.take()
            && tokio::time::timeout(DRAIN_MAX, &mut server).await.is_err()
        {
            tracing::warn!("devcloud closed connections that were still busy");
            server.abort();
        }
    }
}

impl Drop for DevCloud {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.sweeper.abort();
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }
}

fn database(path: &Path, source: Fault) -> Error {
    Error::Database { path: path.to_path_buf(), source }
}

async fn open_dynamo(path: PathBuf) -> Result<dynamo::Dynamo, Error> {
    let opened = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || dynamo::Dynamo::open(&path)).await
    };
    match opened {
        Ok(Ok(dynamo)) => Ok(dynamo),
        Ok(Err(reason)) => Err(Error::Dynamo { path, reason }),
        Err(lost) => Err(Error::Dynamo { path, reason: lost.to_string() }),
    }
}

async fn sweep(dynamo: dynamo::Dynamo, sqs: sqs::Sqs, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0_u32.. {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        if round % ITEMS_EVERY == 0 {
            dynamo.sweep().await;
        }
        sqs.sweep().await;
    }
}
