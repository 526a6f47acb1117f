//! The audit of a folder, whether its process runs or not.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use framefair_app::Ctx;
use framefair_app::audit::Audit;

use crate::folder::{Folder, FolderRefused, Ports, read_cloud_key, read_escrow, read_ports};
use crate::machine::{connect, start_services};

const ANY: Ports = Ports { hub: 0, rpc: 0, aws: 0 };
/// While the hub runs, money may be between the chain and the books.
const LOOKS_AGAIN: u32 = 3;
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Nothing moves while only the audit runs.
const SLOT_MS: u64 = 400;

/// Audits through the running process, or starts the folder's cloud and chain for itself.
pub async fn audit(data: &Path) -> Result<Audit> {
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
            let ctx = connect(&cloud.endpoint_url(), &chain.rpc_url(), &key, escrow).await?;
            let audit = of(&ctx).await;
            chain.shutdown().await;
            cloud.shutdown().await;
            audit
        }
        Err(FolderRefused::InUse(_)) => {
            let key = read_cloud_key(data).context("the running process has left no key")?;
            let ports = read_ports(data).context("the running process has left no ports")?;
            let url = |port: u16| format!("http://127.0.0.1:{port}");
            let ctx = connect(&url(ports.aws), &url(ports.rpc), &key, escrow).await?;
            let mut audit = of(&ctx).await?;
            // What has just landed is booked within seconds: look again before saying otherwise.
            for _ in 0..LOOKS_AGAIN {
                if audit.balances() {
                    break;
                }
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
                audit = of(&ctx).await?;
            }
            Ok(audit)
        }
        Err(refused) => Err(refused.into()),
    }
}

async fn of(ctx: &Ctx) -> Result<Audit> {
    framefair_app::audit::audit(ctx).await.context("the audit could not be made")
}
