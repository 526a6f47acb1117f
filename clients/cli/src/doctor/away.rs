//! What is elsewhere: the hub and its clock, the chain, and the wallet on it.

use std::path::Path;

use framefair_domain::money::Lamports;
use framefair_domain::time::SECOND_MS;

use super::Check;
use crate::args::Doctor;
use crate::hub::Hub;
use crate::hub::health::Health;
use crate::place::{HubUrl, RpcUrl, rpc_beside};
use crate::purse::{self, Purse};

/// Hubs refuse what was signed more than a minute ago, or in the future.
const SKEW_MAX_MS: i64 = 60 * SECOND_MS;
const SKEW_GOOD_MS: i64 = 10 * SECOND_MS;

pub(super) async fn look(args: &Doctor) -> Vec<Check> {
    let mut checks = match &args.hub {
        Some(url) => hub(url).await,
        None => vec![Check::skipped("hub", "Name one with --hub URL (or FRAMEFAIR_HUB).")],
    };
    let (chain, purse) = chain(args).await;
    checks.push(chain);
    checks.push(match &args.wallet {
        Some(file) => wallet(file, purse.as_ref()).await,
        None => Check::skipped("wallet", "Name one with --wallet FILE (or FRAMEFAIR_WALLET)."),
    });
    checks
}

async fn hub(url: &HubUrl) -> Vec<Check> {
    let answer = match Hub::new(url.clone()) {
        Ok(hub) => hub.health().await.map_err(|error| {
            let todo =
                "Check --hub, and that the hub runs; `framefair up` starts one on this machine.";
            Check::problem("hub", format!("{url} cannot be asked: {error}"), todo)
        }),
        Err(failure) => Err(Check::problem("hub", failure, "")),
    };
    let health = match answer {
        Ok(health) => health,
        Err(check) => return vec![check],
    };
    let text = format!("{url} is {} {}", health.service, health.version);
    let seen = if url.is_open_to_others() {
        let todo = "Use its https address: on the way to this one anyone can change what it says.";
        Check::warning("hub", format!("{text}, without encryption"), todo)
    } else {
        Check::ok("hub", text)
    };
    vec![seen, clock(&health)]
}

fn clock(health: &Health) -> Check {
    let Some(ahead_ms) = health.ahead_ms else {
        return Check::warning(
            "clock",
            "the hub does not tell its time",
            "Check this machine's clock by hand.",
        );
    };
    let seconds = ahead_ms.saturating_abs().saturating_add(SECOND_MS / 2) / SECOND_MS;
    let text = match ahead_ms {
        _ if seconds <= 1 => "agrees with the hub's".to_owned(),
        0.. => format!("{seconds} s behind the hub's"),
        _ => format!("{seconds} s ahead of the hub's"),
    };
    let todo = "Have this machine keep its time, on Debian with apt-get install systemd-timesyncd.";
    match ahead_ms.saturating_abs() {
        0..=SKEW_GOOD_MS => Check::ok("clock", text),
        ..SKEW_MAX_MS => Check::warning("clock", text, todo),
        _ => {
            Check::problem("clock", format!("{text}; signatures are refused after a minute"), todo)
        }
    }
}

async fn chain(args: &Doctor) -> (Check, Option<Purse>) {
    let rpc = match (&args.hub, &args.chain.rpc) {
        (None, None) => Err(()),
        (hub, rpc) => rpc_beside(hub.as_ref(), rpc.as_ref()).map_err(drop),
    };
    let Ok(rpc) = rpc else {
        return (Check::skipped("chain", "Name one with --rpc URL (or FRAMEFAIR_RPC)."), None);
    };
    match Purse::open(&rpc).await {
        Ok(purse) => (reached(&rpc, &purse), Some(purse)),
        Err(failure) => {
            let todo = "Check --rpc; on one machine `framefair up` runs the chain.";
            (Check::problem("chain", failure.first_line(), todo), None)
        }
    }
}

/// Addresses of endpoints may hold a key, so that the host alone is shown.
fn reached(rpc: &RpcUrl, purse: &Purse) -> Check {
    let name = purse.cluster().map(|name| format!(" ({name})")).unwrap_or_default();
    Check::ok("chain", format!("{} answers, genesis {}{name}", rpc.host(), purse.genesis()))
}

async fn wallet(file: &Path, purse: Option<&Purse>) -> Check {
    let signer = match purse::load(file) {
        Ok(signer) => signer,
        Err(failure) => {
            return Check::problem("wallet", failure.first_line(), failure.what_to_do());
        }
    };
    let owner = signer.wallet();
    let sound = format!("{owner}, its file is for its owner alone");
    let Some(purse) = purse else { return Check::ok("wallet", sound) };
    match purse.balance(&owner).await {
        Ok(Lamports::ZERO) => {
            let todo = if purse.is_test_chain() {
                format!("`framefair wallet airdrop 1 --wallet {}` fills it.", file.display())
            } else {
                format!("Send SOL to {owner} before you order a render.")
            };
            Check::warning("wallet", format!("{sound}, and it is empty"), todo)
        }
        Ok(balance) => Check::ok("wallet", format!("{sound}, holds {balance}")),
        Err(failure) => Check::problem("wallet", failure.first_line(), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_what_hubs_refuse() {
        let judged = |ahead_ms| {
            let health = Health { service: String::new(), version: String::new(), ahead_ms };
            let check = clock(&health);
            (check.state, check.text)
        };
        assert_eq!(judged(Some(-700)), (State::Ok, "agrees with the hub's".to_owned()));
        assert_eq!(judged(Some(9_000)), (State::Ok, "9 s behind the hub's".to_owned()));
        assert_eq!(judged(Some(-30_000)), (State::Warning, "30 s ahead of the hub's".to_owned()));
        assert_eq!(judged(Some(90_000)).0, State::Problem);
        assert_eq!(judged(Some(i64::MIN)).0, State::Problem);
        assert_eq!(judged(None).0, State::Warning);
    }
}
