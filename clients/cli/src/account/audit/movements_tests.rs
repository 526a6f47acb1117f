//! Each way in which what moved can be another than what was anchored is found.

use framefair_domain::ledger::{Anchor, Leaf};
use framefair_domain::merkle::{Hash, path, root};

use super::*;

const PLAN: [i128; 3] = [1_000, -400, -600];

struct Case {
    wallet: Wallet,
    moved: Vec<Moved>,
    memos: Vec<Memo>,
}

/// A payment and its two legs, all in one batch.
fn fine() -> Case {
    let wallet = Wallet::from_bytes(TEST_WALLET).unwrap();
    let (mut texts, mut hashes): (Vec<String>, Vec<Hash>) = (Vec::new(), Vec::new());
    let mut balance = 0;
    for (seq, lamports) in (1..).zip(PLAN) {
        balance += lamports;
        let leaf = Leaf {
            account_seq: seq,
            amount: &lamports.unsigned_abs().to_string(),
            balance_after: &balance.to_string(),
            created_at: "2026-03-13T12:00:00Z",
            direction: if lamports > 0 { "CREDIT" } else { "DEBIT" },
            entry_id: 7,
            id: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001",
            prev_leaf: &digits(hashes.last().unwrap_or(&NOTHING_BEFORE)),
            reference_id: &transaction(seq).to_string(),
            source: "PAYMENT",
            unit: Some("lamports"),
            user_id: &wallet.to_string(),
            v: 1,
        };
        texts.push(leaf.text());
        hashes.push(leaf.hash());
    }
    let whole = root(&hashes).unwrap();
    let anchor = TxSignature([99; 64]);
    let moved = texts.into_iter().zip(PLAN).zip(1..).map(|((leaf, lamports), seq)| {
        let steps = path(&hashes, usize::try_from(seq - 1).unwrap()).unwrap();
        let proof = Proof {
            entry_id: 7,
            merkle_root: digits(&whole),
            proof_hashes: steps.iter().map(|step| digits(&step.sibling)).collect(),
            directions: steps.iter().map(|step| step.side.word().to_owned()).collect(),
            anchor_tx_hash: anchor.to_string(),
            leaf,
        };
        Moved {
            transaction: transaction(seq),
            at: Some(Timestamp(0)),
            lamports,
            proof: Some(proof),
        }
    });
    let said = Anchor { batch: 1, leaves: 3, root: whole, previous: NOTHING_BEFORE };
    let memo = Memo { transaction: anchor, slot: 5, at: None, anchor: said };
    Case { wallet, moved: moved.collect(), memos: vec![memo] }
}

/// A point of the curve.
const TEST_WALLET: [u8; 32] = {
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    bytes
};

/// Another point.
fn somebody_else() -> Wallet {
    let mut one = [0; 32];
    one[0] = 1;
    Wallet::from_bytes(one).unwrap()
}

fn transaction(seq: u64) -> TxSignature {
    TxSignature([u8::try_from(seq).unwrap(); 64])
}

impl Case {
    fn found(&self) -> Vec<(Kind, usize)> {
        let place = |of: &str| {
            self.moved.iter().position(|it| of.ends_with(&it.transaction.to_string())).unwrap()
        };
        let audited = audit(&self.wallet, &self.moved, &self.memos, None);
        audited.findings.into_iter().map(|it| (it.kind, place(&it.of))).collect()
    }
}

#[test]
fn what_moved_as_it_was_told_is_proven() {
    let mut case = fine();
    let audited = audit(&case.wallet, &case.moved, &case.memos, None);
    assert_eq!((audited.findings, audited.proven, audited.waiting), (vec![], 3, 0));
    // The newest may wait.
    case.moved[2].proof = None;
    let audited = audit(&case.wallet, &case.moved, &case.memos, None);
    assert_eq!((audited.findings, audited.proven, audited.waiting), (vec![], 2, 1));
    // And not for ever.
    let late = audit(&case.wallet, &case.moved, &case.memos, Some(Timestamp(900_000)));
    assert_eq!((late.findings[0].kind, late.waiting), (Kind::NotProven, 0));
}

#[test]
fn whatever_was_bent_is_found() {
    type Bend = fn(&mut Case);
    let cases: [(Bend, &[(Kind, usize)]); 8] = [
        (|it| it.moved[1].proof = None, &[(Kind::NotProven, 1), (Kind::Omitted, 2)]),
        (
            |it| it.moved[0].lamports = 999,
            &[(Kind::Changed, 0), (Kind::Changed, 1), (Kind::Changed, 2)],
        ),
        // The chain knows one of which the ledger tells nothing.
        (|it| drop(it.moved.remove(0)), &[(Kind::Omitted, 0), (Kind::Omitted, 1)]),
        (|it| it.moved[2].transaction = transaction(8), &[(Kind::Changed, 2)]),
        (
            |it| it.memos.clear(),
            &[(Kind::NotOnChain, 0), (Kind::NotOnChain, 1), (Kind::NotOnChain, 2)],
        ),
        (|it| it.moved[2].proof.as_mut().unwrap().leaf.push(' '), &[(Kind::Changed, 2)]),
        (
            |it| it.moved[2].proof.as_mut().unwrap().leaf = "{}".into(),
            &[(Kind::Changed, 2), (Kind::Changed, 2)],
        ),
        (
            |it| it.wallet = somebody_else(),
            &[(Kind::Changed, 0), (Kind::Changed, 1), (Kind::Changed, 2)],
        ),
    ];
    for (n, (bend, found)) in cases.into_iter().enumerate() {
        let mut case = fine();
        bend(&mut case);
        assert_eq!(case.found(), found, "{n}");
    }
}
