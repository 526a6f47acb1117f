//! What an operator does with the money of a folder, whether its process runs or not, or of a
//! deployment in the cloud.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use framefair_app::audit::Audit;
use framefair_app::{Call, Ctx, SettlementId};
use framefair_store::Seam;

use crate::folder::{Folder, FolderRefused, Ports, read_cloud_key, read_escrow, read_ports};
use crate::machine::{connect, start_services};

const ANY: Ports = Ports { hub: 0, rpc: 0, aws: 0 };
/// While the hub runs, money may be between the chain and the books.
const LOOKS_AGAIN: u32 = 3;
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Nothing moves while only the audit runs.
const SLOT_MS: u64 = 400;

/// Whose money it is about.
#[derive(Clone, Debug)]
pub enum Books {
    /// Of the folder that framefair-local was started with.
    Folder(PathBuf),
    /// Of the table and the chain that this process's environment names.
    Deployed,
}

/// Proves what escrow holds.
pub async fn audit(books: &Books) -> Result<Audit> {
    with_books(books, async |ctx, running| {
        let mut audit = of(ctx).await?;
        // What has just landed is booked within seconds: look again before saying otherwise.
        for _ in 0..if running { LOOKS_AGAIN } else { 0 } {
            if audit.balances() {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            audit = of(ctx).await?;
        }
        Ok(audit)
    })
    .await
}

/// Has a parked settlement tried again, by the running process or by the next one.
pub async fn unpark(books: &Books, settlement: SettlementId) -> Result<()> {
    with_books(books, async |ctx, _| {
        Ok(framefair_app::settlement::unpark(ctx, &Call::live(), settlement).await?)
    })
    .await
}

/// Says beside the books whether anybody works on them meanwhile.
pub(crate) async fn with_books<T>(
    books: &Books,
    work: impl AsyncFnOnce(&Ctx, bool) -> Result<T>,
) -> Result<T> {
    match books {
        Books::Folder(data) => in_folder(data, work).await,
        Books::Deployed => work(&Ctx::from_env().await?, true).await,
    }
}

/// Works on the running process's cloud and chain, or starts the folder's for itself.
async fn in_folder<T>(data: &Path, work: impl AsyncFnOnce(&Ctx, bool) -> Result<T>) -> Result<T> {
    if !data.is_dir() {
        bail!(
            "there is no data folder {}; give the one that framefair-local was started with",
            data.display()
        );
    }
    let escrow = read_escrow(data)?.wallet();
    match Folder::open(data) {
        Ok(folder) => {
            let key = folder.cloud_key()?;
            let (cloud, chain) = start_services(&folder, &key, ANY, SLOT_MS).await?;
            let ctx =
                connect(&cloud.endpoint_url(), &chain.rpc_url(), &key, escrow, Seam::off()).await?;
            let done = work(&ctx, false).await;
            chain.shutdown().await;
            cloud.shutdown().await;
            done
        }
        Err(FolderRefused::InUse(_)) => {
            let key = read_cloud_key(data).context("the running process has left no key")?;
            let ports = read_ports(data).context("the running process has left no ports")?;
            let url = |port: u16| format!("http://127.0.0.1:{port}");
            let ctx = connect(&url(ports.aws), &url(ports.rpc), &key, escrow, Seam::off()).await?;
            work(&ctx, true).await
        }
        Err(refused) => Err(refused.into()),
    }
}

async fn of(ctx: &Ctx) -> Result<Audit> {
    framefair_app::audit::audit(ctx).await.context("the audit could not be made")
}
