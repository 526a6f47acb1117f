//! `framefair ledger audit`: the chain of anchors, read from the chain and held against what the hub says.
//! The hub is believed in nothing but who its authority is, and in that only where nobody else was named.

mod anchors;
mod entries;
mod finding;
mod movements;

use framefair_chain::Seen;
use framefair_domain::ledger::Anchor;
use framefair_domain::wallet::{TxSignature, Wallet};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::time::sleep;

use self::anchors::Memo;
use self::entries::Told;
use self::finding::{Finding, Kind};
use self::movements::Moved;
use super::session::LoggedIn;
use crate::args::Audit;
use crate::exit::{Exit, Failure};
use crate::hub::account::{Anchors, Entry, History, Listed, Proof};
use crate::place::rpc_beside;
use crate::purse::{HISTORY_MAX, Purse};
use crate::screen::{Report, Screen};

const WHAT: &str = "the ledger could not be audited";
const PER_PAGE: u64 = 100;
/// A hub that never ends its lists is not followed for ever.
const LISTED_MAX: u64 = 10_000 * PER_PAGE;
/// Transactions that are asked for at the same time.
const AT_ONCE: usize = 4;
/// The chain's node may be a little behind the hub's.
const LOOKS: u32 = 3;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// What the chain says of the authority.
#[derive(Debug, Default)]
struct OnChain {
    /// Oldest first.
    memos: Vec<Memo>,
    /// Anchors in form, by somebody else.
    ignored: usize,
    newest: Option<TxSignature>,
}

pub(crate) async fn audit(args: &Audit, screen: &Screen) -> Result<Report, Failure> {
    let mut here = LoggedIn::open(&args.session)?;
    let rpc = rpc_beside(Some(&here.hub.url), args.chain.rpc.as_ref())?;
    let purse = Purse::open(&rpc).await?;
    // The hub first: what it lists was final before, so the chain has it by now.
    let (listed, published) = list(&mut here, screen).await?;
    let authority = args.authority.or(published).ok_or_else(|| {
        Failure::new(Exit::Refused, WHAT, "the hub names no anchor authority")
            .hint("Name who signs the anchors with --authority ADDRESS.")
    })?;
    let told = if args.entries { Some(entries(&mut here, screen).await?) } else { None };
    let moved = match &args.escrow {
        Some(wallet) => Some((wallet, moved(&mut here, &purse, wallet, screen).await?)),
        None => None,
    };
    let mut chain = OnChain::default();
    read(&purse, &authority, &mut chain, screen).await?;
    let now = purse.now().await?;
    let mut looks = 1;
    let ended = loop {
        let ended = anchors::audit(&chain.memos, &listed, now);
        let is_behind = ended.findings.iter().any(|it| it.kind == Kind::NotOnChain);
        if !is_behind || looks == LOOKS {
            break ended;
        }
        sleep(LOOK_EVERY).await;
        read(&purse, &authority, &mut chain, screen).await?;
        looks += 1;
    };
    let entries = told.map(|told| entries::audit(&told, &chain.memos, now));
    let movements =
        moved.map(|(wallet, moved)| movements::audit(wallet, &moved, &chain.memos, now));
    let whose = if args.authority.is_some() { "you named it" } else { "the hub names it" };
    let mut text = format!(
        "authority  {authority} ({whose})\nchain      {} batches, {} on their way, {} memos of others ignored\nhub        {} anchors listed\n",
        ended.batches,
        ended.on_their_way,
        chain.ignored,
        listed.len(),
    );
    let mut document = json!({
        "ok": true, "authority": authority, "batches": ended.batches, "listed": listed.len(),
        "on_their_way": ended.on_their_way, "ignored": chain.ignored,
    });
    let mut findings = ended.findings;
    for (name, audited) in [("entries", entries), ("movements", movements)] {
        let Some(audited) = audited else { continue };
        let (proven, waiting) = (audited.proven, audited.waiting);
        text.push_str(&format!("{name:<10} {proven} proven, {waiting} not anchored yet\n"));
        document[name] = json!({ "proven": proven, "waiting": waiting });
        findings.extend(audited.findings);
    }
    conclude(text, document, &findings)
}

fn conclude(
    mut text: String,
    mut document: Value,
    findings: &[Finding],
) -> Result<Report, Failure> {
    document["findings"] = json!(findings);
    if findings.is_empty() {
        text.push_str("The anchors are a chain of roots, and the hub's list is that chain.");
        return Ok(Report::new(text, &document));
    }
    text.push('\n');
    text.push_str(finding::table(findings).trim_end());
    let why = match findings.len() {
        1 => "one thing is wrong".to_owned(),
        n => format!("{n} things are wrong"),
    };
    let is_missing = |it: &Finding| matches!(it.kind, Kind::Gap | Kind::NotOnChain);
    let hint = if findings.iter().any(is_missing) {
        "An RPC endpoint that forgets old transactions misses anchors, too: ask one that keeps all."
    } else {
        "Keep this answer: the chain goes on saying what it says."
    };
    let mut failure = Failure::new(Exit::Broken, "the ledger is not what was anchored", why)
        .hint(hint)
        .showing(text);
    let names = ["authority", "batches", "listed", "on_their_way", "ignored"];
    for name in names.into_iter().chain(["entries", "movements", "findings"]) {
        failure = failure.value(name, document[name].take());
    }
    Err(failure)
}

/// All that the hub lists, and who signs as it says.
async fn list(
    here: &mut LoggedIn,
    screen: &Screen,
) -> Result<(Vec<Listed>, Option<Wallet>), Failure> {
    let (mut listed, mut authority, mut page) = (Vec::new(), None, 1);
    loop {
        let query = [("page", page), ("per_page", PER_PAGE)];
        let answer = here.find(WHAT, &["ledger", "anchors"], &query).await?;
        let Anchors { anchors, count, authority: named } = answer.ok_or_else(no_ledger)?;
        authority = named.or(authority);
        let is_last = anchors.is_empty() || page.saturating_mul(PER_PAGE) >= count;
        listed.extend(anchors);
        tell_at_times(screen, "anchors", listed.len() as u64, count);
        if is_last {
            return Ok((listed, authority));
        }
        ends(page.saturating_mul(PER_PAGE))?;
        page += 1;
    }
}

fn ends(at: u64) -> Result<(), Failure> {
    if at < LISTED_MAX {
        return Ok(());
    }
    let why = format!("the hub lists more than {LISTED_MAX} lines, and this command reads no more");
    Err(Failure::new(Exit::Broken, WHAT, why))
}

fn no_ledger() -> Failure {
    Failure::new(Exit::Refused, WHAT, "the hub has no such list")
}

/// A line for every hundredth, and for the last.
fn tell_at_times(screen: &Screen, what: &str, at: u64, total: u64) {
    if at.is_multiple_of(PER_PAGE) || at == total {
        let human = format!("{what}: {at} of {total}");
        screen.tell(what, &human, json!({ "at": at, "total": total }));
    }
}

/// The account's own entries with their proofs, oldest first.
async fn entries(here: &mut LoggedIn, screen: &Screen) -> Result<Vec<Told>, Failure> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut offset = 0;
    loop {
        let query = [("limit", PER_PAGE), ("offset", offset)];
        let answer = here.find(WHAT, &["credits", "history"], &query).await?;
        let History { entries: page, count } = answer.ok_or_else(no_ledger)?;
        let is_last = page.is_empty() || offset.saturating_add(PER_PAGE) >= count;
        // A page moves on when something new comes above it.
        let known = |it: &Entry| entries.iter().rev().take(page.len()).any(|old| old == it);
        let fresh: Vec<bool> = page.iter().map(|it| !known(it)).collect();
        entries.extend(page.into_iter().zip(fresh).filter(|(_, fresh)| *fresh).map(|(it, _)| it));
        if is_last {
            break;
        }
        offset += PER_PAGE;
        ends(offset)?;
    }
    entries.reverse();
    let mut told = Vec::with_capacity(entries.len());
    let total = entries.len() as u64;
    for entry in entries {
        let name = entry.entry_id.map_or_else(|| entry.id.clone(), |number| number.to_string());
        let pieces = ["ledger", &name, "proof"];
        let proof: Option<Proof> = here.find(WHAT, &pieces, &[]).await?;
        told.push(Told { entry, proof });
        tell_at_times(screen, "proofs", told.len() as u64, total);
    }
    Ok(told)
}

/// What the chain says of a wallet, with the hub's proofs, oldest first.
async fn moved(
    here: &mut LoggedIn,
    purse: &Purse,
    wallet: &Wallet,
    screen: &Screen,
) -> Result<Vec<Moved>, Failure> {
    let mut lines = history(purse, wallet, None).await?;
    lines.reverse();
    lines.retain(|line| line.error.is_none());
    let total = lines.len() as u64;
    let by = futures::stream::iter(&lines).map(|line| async move {
        Ok::<_, Failure>((line, purse.moved(&line.signature, wallet).await?))
    });
    let mut by = by.buffered(AT_ONCE);
    let (mut moved, mut at) = (Vec::new(), 0);
    while let Some((line, lamports)) = by.try_next().await? {
        at += 1;
        let lamports = lamports.ok_or_else(|| {
            let why = format!("the RPC endpoint lists {} and does not have it", line.signature);
            Failure::new(Exit::Broken, WHAT, why).hint("Ask one that keeps all transactions.")
        })?;
        if lamports != 0 {
            let transaction = line.signature;
            let pieces = ["ledger", &transaction.to_string(), "proof"];
            let proof = here.find(WHAT, &pieces, &[]).await?;
            moved.push(Moved { transaction, at: line.block_time, lamports, proof });
        }
        tell_at_times(screen, "movements", at, total);
    }
    Ok(moved)
}

/// All final transactions that name a wallet since `until`, newest first.
async fn history(
    purse: &Purse,
    wallet: &Wallet,
    until: Option<TxSignature>,
) -> Result<Vec<Seen>, Failure> {
    let (mut lines, mut before) = (Vec::new(), None);
    loop {
        let page = purse.history(wallet, before, until).await?;
        before = page.last().map(|line| line.signature);
        let is_last = page.len() < HISTORY_MAX;
        lines.extend(page);
        if is_last {
            return Ok(lines);
        }
    }
}

/// Adds what the chain has of the authority since the last time.
async fn read(
    purse: &Purse,
    authority: &Wallet,
    chain: &mut OnChain,
    screen: &Screen,
) -> Result<(), Failure> {
    let mut fresh = history(purse, authority, chain.newest).await?;
    chain.newest = fresh.first().map(|line| line.signature).or(chain.newest);
    fresh.reverse();
    // The node's word for a memo is a hint; the one that counts is in the transaction.
    let speaks = |memo: &String| memo.contains(Anchor::PREFIX);
    fresh.retain(|line| line.error.is_none() && line.memo.as_ref().is_none_or(speaks));
    let total = fresh.len() as u64;
    let said = futures::stream::iter(&fresh).map(|line| async move {
        let said = purse.said(&line.signature).await?;
        Ok::<_, Failure>(said.map(|said| (line.signature, said)))
    });
    let mut said = said.buffered(AT_ONCE);
    let mut at = 0;
    while let Some(answer) = said.try_next().await? {
        at += 1;
        tell_at_times(screen, "transactions", at, total);
        let Some((transaction, said)) = answer else { continue };
        let anchors = said.memos.iter().filter_map(|memo| Anchor::parse(memo));
        if said.by.contains(authority) {
            let (slot, at) = (said.slot, said.at);
            let memo = |anchor| Memo { transaction, slot, at, anchor };
            chain.memos.extend(anchors.map(memo));
        } else {
            chain.ignored += anchors.count();
        }
    }
    Ok(())
}
