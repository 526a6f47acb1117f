//! `framefair ledger verify`: an entry proven from its own text and the chain alone. The hub is asked for
//! the proof, and believed in nothing.

use framefair_domain::ledger::{Anchor, hash};
use framefair_domain::merkle::{Hash, Side, Step, fold, leaf_hash};
use framefair_domain::wallet::TxSignature;
use serde_json::{Value, json};

use super::session::LoggedIn;
use crate::args::Verify;
use crate::exit::{Exit, Failure, plain};
use crate::hub::account::Proof;
use crate::place::rpc_beside;
use crate::purse::Purse;
use crate::screen::Report;

pub(crate) async fn verify(args: &Verify) -> Result<Report, Failure> {
    let mut here = LoggedIn::open(&args.session)?;
    let pieces = ["ledger", &args.entry, "proof"];
    let proof: Proof = here.ask("there is no proof of this entry yet", &pieces).await?;
    let rpc = rpc_beside(Some(&here.hub.url), args.chain.rpc.as_ref())?;
    let purse = Purse::open(&rpc).await?;
    let root = walked(&proof).ok_or_else(|| wrong("its text does not lead to the root"))?;
    let leaf: Value =
        serde_json::from_str(&proof.leaf).map_err(|_| wrong("its text is no JSON"))?;
    if !is_about(&leaf, &args.entry) {
        return Err(wrong("the hub proves another entry than the one that was asked for"));
    }
    let transaction: TxSignature =
        proof.anchor_tx_hash.parse().map_err(|_| wrong("its transaction is none"))?;
    if leaf["unit"].is_string() && !has_moved(&purse, &leaf).await? {
        return Err(wrong("the chain says that something else moved"));
    }
    let said = purse.said(&transaction).await?;
    let said = said.ok_or_else(|| wrong("the chain has no such final transaction"))?;
    let anchor = said.memos.iter().find_map(|memo| Anchor::parse(memo));
    let anchor = anchor.ok_or_else(|| wrong("the transaction on the chain is no anchor"))?;
    if anchor.root != root {
        return Err(wrong("the chain says another root"));
    }
    let first = said.by.first().ok_or_else(|| wrong("nobody signed the anchor"))?;
    let by = args.authority.unwrap_or(*first);
    if !said.by.contains(&by) {
        let by = first;
        return Err(
            wrong(&format!("it was anchored by {by}")).hint("Somebody else's anchor says nothing.")
        );
    }
    let word = |name: &str| plain(leaf[name].as_str().unwrap_or("?"), 255);
    let unit = leaf["unit"].as_str().map_or(String::new(), |unit| format!(" {}", plain(unit, 20)));
    let text = format!(
        "entry      {}: {} {}{unit} for {}, balance {} after it\nbatch      {}, one of {} entries\ntransaction {transaction}\nslot       {}\nanchored by {by}\nThe chain says the root to which this entry leads.",
        proof.entry_id,
        word("direction"),
        word("amount"),
        word("reference_id"),
        word("balance_after"),
        anchor.batch,
        anchor.leaves,
        said.slot,
    );
    let document = json!({
        "ok": true, "entry": proof.entry_id, "leaf": leaf, "root": proof.merkle_root,
        "batch": anchor.batch, "transaction": transaction, "slot": said.slot, "authority": by,
    });
    Ok(Report::new(text, &document))
}

/// Whether the transaction that a movement names moved just that.
async fn has_moved(purse: &Purse, leaf: &Value) -> Result<bool, Failure> {
    let text = |name: &str| leaf[name].as_str().unwrap_or_default();
    let (Ok(transaction), Ok(wallet)) = (text("reference_id").parse(), text("user_id").parse())
    else {
        return Ok(false);
    };
    let moved = purse.moved(&transaction, &wallet).await?;
    let lamports =
        moved.ok_or_else(|| wrong("the chain does not have the transaction it names"))?;
    let direction = if lamports > 0 { "CREDIT" } else { "DEBIT" };
    let amount = lamports.unsigned_abs().to_string();
    Ok([text("amount"), text("direction"), text("unit")] == [&amount, direction, "lamports"])
}

/// Whether the text that was hashed is of the entry with this number or id, or of this transaction.
fn is_about(leaf: &Value, entry: &str) -> bool {
    (leaf["unit"].is_string() && leaf["reference_id"].as_str() == Some(entry))
        || leaf["entry_id"].as_i64().is_some_and(|number| number.to_string() == entry)
        || leaf["id"].as_str() == Some(entry)
}

/// The root to which the text of the entry leads, if it is the one that the hub named.
pub(super) fn walked(proof: &Proof) -> Option<Hash> {
    if proof.proof_hashes.len() != proof.directions.len() {
        return None;
    }
    let steps = proof.proof_hashes.iter().zip(&proof.directions).map(|(sibling, side)| {
        let side = match side.as_str() {
            "left" => Side::Left,
            "right" => Side::Right,
            _ => return None,
        };
        Some(Step { sibling: hash(sibling)?, side })
    });
    let steps: Option<Vec<Step>> = steps.collect();
    let root = fold(leaf_hash(proof.leaf.as_bytes()), &steps?);
    (Some(root) == hash(&proof.merkle_root)).then_some(root)
}

fn wrong(why: &str) -> Failure {
    Failure::new(Exit::Broken, "the entry is not proven", why)
}

#[cfg(test)]
mod tests {
    use framefair_domain::ledger::digits;
    use framefair_domain::merkle::{path, root};

    use super::*;

    /// The third of five entries.
    fn proof() -> Proof {
        let texts: Vec<String> = (0..5).map(|n| format!("{{\"entry_id\":{n}}}")).collect();
        let leaves: Vec<Hash> = texts.iter().map(|text| leaf_hash(text.as_bytes())).collect();
        let steps = path(&leaves, 2).unwrap();
        Proof {
            entry_id: 2,
            merkle_root: digits(&root(&leaves).unwrap()),
            proof_hashes: steps.iter().map(|step| digits(&step.sibling)).collect(),
            directions: steps.iter().map(|step| step.side.word().to_owned()).collect(),
            anchor_tx_hash: String::new(),
            leaf: texts[2].clone(),
        }
    }

    #[test]
    fn a_proof_of_another_entry_is_none() {
        let leaf = json!({ "entry_id": 42, "id": "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001" });
        for (entry, about) in [
            ("42", true),
            ("0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001", true),
            ("43", false),
            ("", false),
        ] {
            assert_eq!(is_about(&leaf, entry), about, "{entry}");
        }
        assert!(!is_about(&json!({}), "42"));
    }

    #[test]
    fn a_text_leads_to_its_root_and_a_changed_one_nowhere() {
        assert_eq!(walked(&proof()).map(|root| digits(&root)), Some(proof().merkle_root));
        let changes: [fn(&mut Proof); 7] = [
            |it| it.leaf.push(' '),
            |it| it.merkle_root = "0".repeat(64),
            |it| it.proof_hashes[0] = "0".repeat(64),
            |it| it.proof_hashes[1] = "x".into(),
            |it| it.directions[0] = "up".into(),
            |it| it.directions.swap(0, 1),
            |it| drop(it.proof_hashes.pop()),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut bent = proof();
            change(&mut bent);
            assert_eq!(walked(&bent), None, "{n}");
        }
    }
}
