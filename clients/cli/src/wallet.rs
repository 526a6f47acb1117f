//! `framefair wallet`: makes a wallet, looks into it, asks a test chain to fill it.

use serde_json::json;

use crate::args::Wallet;
use crate::exit::Failure;
use crate::place::rpc_beside;
use crate::purse::{self, Purse};
use crate::screen::Report;

pub(crate) async fn run(command: &Wallet) -> Result<Report, Failure> {
    match command {
        Wallet::New { file } => {
            let wallet = purse::create(file)?.wallet();
            let document = json!({ "ok": true, "wallet": wallet, "file": file });
            let text = format!(
                "wallet  {wallet}\nfile    {}\nKeep a copy of the file: whoever has it has the money, and nobody can make it again.",
                file.display()
            );
            Ok(Report::new(text, &document))
        }
        Wallet::Balance { wallet, chain } => {
            let owner = purse::load(&wallet.wallet)?.wallet();
            let purse = Purse::open(&rpc_beside(None, chain.rpc.as_ref())?).await?;
            let balance = purse.balance(&owner).await?;
            let document = json!({
                "ok": true,
                "wallet": owner,
                "balance": balance.to_sol(),
                "lamports": balance.0.to_string(),
            });
            Ok(Report::new(format!("wallet   {owner}\nbalance  {balance}"), &document))
        }
        Wallet::Airdrop { amount, wallet, chain } => {
            let owner = purse::load(&wallet.wallet)?.wallet();
            let purse = Purse::open(&rpc_beside(None, chain.rpc.as_ref())?).await?;
            let signature = purse.airdrop(&owner, *amount).await?;
            let balance = purse.balance(&owner).await?;
            let document = json!({
                "ok": true,
                "wallet": owner,
                "transaction": signature,
                "amount": amount.to_sol(),
                "balance": balance.to_sol(),
                "lamports": balance.0.to_string(),
            });
            Ok(Report::new(
                format!("wallet   {owner}\nreceived {amount}\nbalance  {balance}"),
                &document,
            ))
        }
    }
}
