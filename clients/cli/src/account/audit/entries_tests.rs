//! Each way in which an account's entries can be others than those that were anchored is found.

use framefair_domain::ledger::Anchor;
use framefair_domain::merkle::{Hash, path, root};
use framefair_domain::wallet::TxSignature;

use super::*;

const USER: &str = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c002";
const DAY: &str = "2026-03-13T12:00:00Z";

type Change = fn(&mut Entry);

struct Case {
    told: Vec<Told>,
    memos: Vec<Memo>,
}

/// Ten credits, then three debits of one: all in one batch.
fn fine() -> Case {
    let entry = |n: i64| Entry {
        id: format!("0195a2c4-7d3e-7a10-9c1b-2f4be3a1c01{n}"),
        entry_id: Some(40 + n),
        amount: if n == 1 { "10.0000" } else { "1.0000" }.into(),
        direction: if n == 1 { "CREDIT" } else { "DEBIT" }.into(),
        source: if n == 1 { "PURCHASE" } else { "USAGE" }.into(),
        reference_id: format!("lunch-{n}"),
        balance_after: format!("{}.0000", 11 - n),
        created_at: DAY.into(),
    };
    let (mut texts, mut hashes): (Vec<String>, Vec<Hash>) = (Vec::new(), Vec::new());
    for n in 1..=4 {
        let entry = entry(n);
        let leaf = Leaf {
            account_seq: n.unsigned_abs(),
            amount: &entry.amount,
            balance_after: &entry.balance_after,
            created_at: DAY,
            direction: &entry.direction,
            entry_id: 40 + n,
            id: &entry.id,
            prev_leaf: &digits(hashes.last().unwrap_or(&NOTHING_BEFORE)),
            reference_id: &entry.reference_id,
            source: &entry.source,
            unit: None,
            user_id: USER,
            v: 1,
        };
        texts.push(leaf.text());
        hashes.push(leaf.hash());
    }
    let whole = root(&hashes).unwrap();
    let transaction = TxSignature([7; 64]);
    let told = texts.into_iter().enumerate().map(|(at, leaf)| {
        let steps = path(&hashes, at).unwrap();
        let number = i64::try_from(at).unwrap() + 1;
        let proof = Proof {
            entry_id: 40 + number,
            merkle_root: digits(&whole),
            proof_hashes: steps.iter().map(|step| digits(&step.sibling)).collect(),
            directions: steps.iter().map(|step| step.side.word().to_owned()).collect(),
            anchor_tx_hash: transaction.to_string(),
            leaf,
        };
        Told { entry: entry(number), proof: Some(proof) }
    });
    let anchor = Anchor { batch: 1, leaves: 4, root: whole, previous: NOTHING_BEFORE };
    Case { told: told.collect(), memos: vec![Memo { transaction, slot: 5, at: None, anchor }] }
}

impl Case {
    fn found(&self) -> Vec<(Kind, String)> {
        let audited = audit(&self.told, &self.memos, None);
        audited.findings.into_iter().map(|it| (it.kind, it.of)).collect()
    }

    fn proof(&mut self, at: usize) -> &mut Proof {
        self.told[at].proof.as_mut().unwrap()
    }
}

fn of(kind: Kind, entry: &str) -> (Kind, String) {
    (kind, format!("entry {entry}"))
}

#[test]
fn entries_that_are_all_there_have_no_findings() {
    let mut case = fine();
    let audited = |proven, waiting| Audited { findings: Vec::new(), proven, waiting };
    assert_eq!(audit(&case.told, &case.memos, None), audited(4, 0));
    case.told[3].proof = None;
    assert_eq!(audit(&case.told, &case.memos, None), audited(3, 1));
    assert_eq!(audit(&[], &[], None), audited(0, 0));
}

#[test]
fn what_has_no_proof_after_a_quarter_of_an_hour_is_not_about_to_get_one() {
    let mut case = fine();
    for told in &mut case.told {
        told.proof = None;
    }
    let at =
        |minutes: i64| Timestamp::from_rfc3339(DAY).map(|day| day.plus_ms(minutes * MINUTE_MS));
    assert_eq!(audit(&case.told, &case.memos, at(14)).waiting, 4);
    let audited = audit(&case.told, &case.memos, at(15));
    assert_eq!((audited.findings.len(), audited.waiting), (4, 0));
    assert!(audited.findings.iter().all(|it| it.kind == Kind::NotProven));
}

#[test]
fn each_member_that_was_changed_is_named() {
    let changes: [(Change, &str); 6] = [
        (|it| it.created_at = "2026-03-13T12:00:01Z".into(), "created_at"),
        (|it| it.entry_id = Some(99), "entry_id"),
        (|it| it.id = USER.into(), "id"),
        (|it| it.reference_id.push('!'), "reference_id"),
        (|it| it.source = "REFUND".into(), "source"),
        (|it| it.amount = "1.0".into(), "amount"),
    ];
    for (change, name) in changes {
        let mut case = fine();
        change(&mut case.told[1].entry);
        let found = audit(&case.told, &case.memos, None).findings;
        let why = format!("the history says another {name}");
        assert_eq!((found.len(), found[0].kind, &found[0].why), (1, Kind::Changed, &why));
    }
}

#[test]
fn a_balance_that_does_not_follow_is_found() {
    let mut case = fine();
    case.told[1].entry.amount = "2.0000".into();
    assert_eq!(case.found(), [of(Kind::Balance, "42"), of(Kind::Changed, "42")]);
    let mut case = fine();
    case.told[1].entry.direction = "CREDIT".into();
    assert_eq!(case.found(), [of(Kind::Balance, "42"), of(Kind::Changed, "42")]);
    let mut case = fine();
    case.told[3].entry.balance_after = "-7.0000".into();
    assert_eq!(case.found(), [of(Kind::Balance, "44"), of(Kind::Changed, "44")]);
    assert_eq!(signed("-0.0500"), Some(Credits(-500)));
    assert_eq!((signed("--1"), signed("x")), (None, None));
}

#[test]
fn an_entry_that_was_left_out_is_found() {
    for omitted in 0..3 {
        let mut case = fine();
        case.told.remove(omitted);
        let after = (41 + omitted + 1).to_string();
        assert_eq!(case.found(), [of(Kind::Balance, &after), of(Kind::Omitted, &after)]);
    }
    let mut case = fine();
    case.told[1].proof = None;
    assert_eq!(case.found(), [of(Kind::NotProven, "42"), of(Kind::Omitted, "43")]);
}

#[test]
fn a_text_that_is_not_the_anchored_one_is_found() {
    let mut case = fine();
    let bent = case.proof(3).leaf.replace("lunch-4", "lunch-5");
    case.proof(3).leaf = bent;
    assert_eq!(case.found(), [of(Kind::Changed, "44"), of(Kind::Changed, "44")]);
    let mut case = fine();
    case.proof(1).leaf = "\u{1b}".into();
    let found = [of(Kind::Changed, "42"), of(Kind::Changed, "42"), of(Kind::Omitted, "43")];
    assert_eq!(case.found(), found);
    // The same number, but another entry before it.
    let mut case = fine();
    let zeros = digits(&NOTHING_BEFORE);
    let bent = digits(&leaf_hash(case.told[0].proof.as_ref().unwrap().leaf.as_bytes()));
    case.proof(1).leaf = case.proof(1).leaf.replace(&bent, &zeros);
    assert!(case.found().contains(&of(Kind::Omitted, "42")));
    let mut case = fine();
    case.proof(3).leaf = case.proof(3).leaf.replace(USER, "somebody else");
    assert!(
        audit(&case.told, &case.memos, None)
            .findings
            .iter()
            .any(|it| it.why.contains("another account"))
    );
}

#[test]
fn a_proof_that_the_chain_does_not_bear_out_is_found() {
    let all = ["41", "42", "43", "44"].map(|entry| of(Kind::NotOnChain, entry));
    let mut case = fine();
    case.memos[0].anchor.root = [1; 32];
    assert_eq!(case.found(), all);
    case.memos.clear();
    assert_eq!(case.found(), all);
    let mut case = fine();
    case.proof(2).anchor_tx_hash = TxSignature([8; 64]).to_string();
    assert_eq!(case.found(), [of(Kind::NotOnChain, "43")]);
}
