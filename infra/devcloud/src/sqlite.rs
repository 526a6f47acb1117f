//! One SQLite file behind one lock, reached from async code. Knows no table.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

/// The disk or the database failed: never the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("disk: {0}")]
    Io(#[from] std::io::Error),
    #[error("stored JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the thread that held the work is gone")]
    Lost,
}

/// How much must survive. Both outlive a killed process; only `Disk` outlives a power cut.
#[derive(Clone, Copy)]
pub(crate) enum Durability {
    Process,
    Disk,
}

#[derive(Clone)]
pub(crate) struct Sqlite {
    conn: Arc<Mutex<Connection>>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, schema: &str, durability: Durability) -> Result<Self, Fault> {
        let conn = Connection::open(path)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(
            None,
            "synchronous",
            match durability {
                Durability::Process => "NORMAL",
                Durability::Disk => "FULL",
            },
        )?;
        conn.busy_timeout(std::time::Duration::from_secs(5))?;
        conn.execute_batch(schema)?;
        conn.set_prepared_statement_cache_capacity(64);
        Ok(Self { conn: Arc::new(Mutex::new(conn)) })
    }

    /// Runs `work` on a thread that may block. Dropping the future does not undo the work.
    pub(crate) async fn call<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        let conn = Arc::clone(&self.conn);
        tokio::task::spawn_blocking(move || {
            // A panic in an earlier call rolled its transaction back; the connection is sound.
            let mut conn = conn.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut conn)
        })
        .await
        .unwrap_or_else(|_| Err(Fault::Lost.into()))
    }
}
