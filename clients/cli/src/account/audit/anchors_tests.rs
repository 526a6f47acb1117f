//! Each way in which a chain of anchors, or a list of them, can be wrong is found, and nothing else is.

use framefair_domain::merkle::Hash;

use super::*;

const NOW: Timestamp = Timestamp(1_773_403_200_000);

fn root(batch: u64) -> Hash {
    match batch {
        0 => NOTHING_BEFORE,
        n => [u8::try_from(n).unwrap(); 32],
    }
}

/// The anchor of a batch in a chain without faults, an hour old.
fn memo(batch: u64) -> Memo {
    let byte = u8::try_from(batch).unwrap();
    let anchor = Anchor { batch, leaves: 3, root: root(batch), previous: root(batch - 1) };
    let at = Some(NOW.plus_ms(-60 * MINUTE_MS));
    Memo { transaction: TxSignature([byte; 64]), slot: 1_000 + batch, at, anchor }
}

fn listed(memo: &Memo) -> Listed {
    Listed {
        batch: memo.anchor.batch,
        merkle_root: digits(&memo.anchor.root),
        previous_root: digits(&memo.anchor.previous),
        tx_hash: memo.transaction.to_string(),
        block_number: memo.slot,
        entry_count: memo.anchor.leaves.into(),
    }
}

type Change = fn(&mut Listed);

struct Case {
    memos: Vec<Memo>,
    listed: Vec<Listed>,
}

impl Case {
    /// Five batches, newest first in the list.
    fn fine() -> Case {
        let memos: Vec<Memo> = (1..=5).map(memo).collect();
        let listed = memos.iter().rev().map(listed).collect();
        Case { memos, listed }
    }

    fn audited(&self) -> Audited {
        audit(&self.memos, &self.listed, Some(NOW))
    }

    fn found(&self) -> Vec<(Kind, String)> {
        self.audited().findings.into_iter().map(|it| (it.kind, it.of)).collect()
    }
}

fn of(kind: Kind, batch: &str) -> (Kind, String) {
    (kind, format!("batch {batch}"))
}

#[test]
fn a_chain_without_faults_has_no_findings() {
    let fine = Audited { findings: Vec::new(), batches: 5, on_their_way: 0 };
    assert_eq!(Case::fine().audited(), fine);
    assert_eq!(audit(&[], &[], None), Audited::default());
    let mut case = Case::fine();
    let again = case.listed[4].clone();
    case.listed.push(again);
    assert_eq!(case.audited(), fine, "a page that moved on shows an anchor twice");
}

#[test]
fn a_gap_is_found() {
    let mut case = Case::fine();
    case.memos.remove(2);
    case.listed.remove(2);
    assert_eq!(case.found(), [of(Kind::Gap, "3")]);
    case.memos.remove(2);
    case.listed.remove(1);
    assert_eq!(case.found(), [(Kind::Gap, "batches 3 to 4".into())]);
    case.memos.drain(..2);
    assert_eq!(case.found()[0], (Kind::Gap, "batches 1 to 4".into()));
    let mut case = Case::fine();
    case.memos[0].anchor.batch = 0;
    case.listed[4].batch = 0;
    assert_eq!(case.found(), [of(Kind::Gap, "0"), of(Kind::Gap, "1")]);
}

#[test]
fn the_largest_number_does_not_take_for_ever() {
    let mut case = Case::fine();
    case.memos[4].anchor.batch = u64::MAX;
    case.listed[0].batch = u64::MAX;
    assert_eq!(case.found(), [(Kind::Gap, format!("batches 5 to {}", u64::MAX - 1))]);
}

#[test]
fn a_second_memo_for_a_batch_is_found_whatever_it_says() {
    for change in [|_: &mut Anchor| {}, |it: &mut Anchor| it.leaves = 4] {
        let mut case = Case::fine();
        let mut second = memo(2);
        second.transaction = TxSignature([99; 64]);
        change(&mut second.anchor);
        case.memos.push(second);
        assert_eq!(case.found(), [of(Kind::SecondMemo, "2")]);
    }
}

#[test]
fn a_root_that_is_not_the_one_before_is_found() {
    for n in [1, 2, 5] {
        let mut case = Case::fine();
        case.memos[n - 1].anchor.previous = [77; 32];
        case.listed[5 - n].previous_root = digits(&[77; 32]);
        assert_eq!(case.found(), [of(Kind::PreviousRoot, &n.to_string())]);
    }
}

#[test]
fn what_the_hub_lists_and_the_chain_does_not_have_is_found() {
    let mut case = Case::fine();
    case.listed[1].tx_hash = "no signature\u{1b}[2J".into();
    let found = case.audited().findings;
    assert_eq!((found.len(), found[0].kind), (1, Kind::NotOnChain));
    assert!(!found[0].why.contains('\u{1b}'), "{}", found[0].why);
    let mut case = Case::fine();
    case.listed.insert(0, listed(&memo(6)));
    assert_eq!(case.found(), [of(Kind::NotOnChain, "6")]);
}

#[test]
fn each_member_that_the_hub_says_otherwise_is_named() {
    let changes: [(Change, &str); 4] = [
        (|it| it.merkle_root.replace_range(..1, "f"), "root"),
        (|it| it.previous_root.replace_range(..1, "f"), "previous root"),
        (|it| it.entry_count += 1, "number of entries"),
        (|it| it.block_number -= 1, "slot"),
    ];
    for (change, name) in changes {
        let mut case = Case::fine();
        change(&mut case.listed[2]);
        let why = format!("the hub says another {name}");
        let found = Finding::new(Kind::OtherOnChain, "batch 3", why);
        assert_eq!(case.audited().findings, [found]);
    }
    let mut case = Case::fine();
    case.listed[2].batch = 9;
    assert_eq!(case.found(), [of(Kind::OtherOnChain, "9"), of(Kind::Hidden, "3")]);
}

#[test]
fn what_the_chain_has_and_the_hub_hides_is_found() {
    for hidden in 0..5 {
        let mut case = Case::fine();
        case.listed.remove(hidden);
        assert_eq!(case.found(), [of(Kind::Hidden, &(5 - hidden).to_string())]);
    }
}

#[test]
fn two_anchors_under_one_number_are_found() {
    let mut case = Case::fine();
    case.listed.push(Listed { tx_hash: memo(3).transaction.to_string(), ..listed(&memo(2)) });
    assert_eq!(case.found(), [of(Kind::ListedTwice, "2"), of(Kind::OtherOnChain, "2")]);
}

#[test]
fn the_newest_are_given_time_and_no_others() {
    let mut case = Case::fine();
    for memo in &mut case.memos[3..] {
        memo.at = Some(NOW.plus_ms(-MINUTE_MS));
    }
    case.listed.drain(..2);
    assert_eq!(case.audited(), Audited { findings: Vec::new(), batches: 5, on_their_way: 2 });
    assert_eq!(audit(&case.memos, &case.listed, None).findings.len(), 2, "nobody knows the time");
    // The fourth landed later than the fifth, which is no gap yet.
    let fourth = case.memos.remove(3);
    assert_eq!(case.audited(), Audited { findings: Vec::new(), batches: 4, on_their_way: 2 });
    // Listed is settled.
    case.listed.insert(0, listed(&memo(5)));
    assert_eq!(case.found(), [of(Kind::Gap, "4")]);
    case.memos.insert(3, fourth);
    assert_eq!(case.found(), [of(Kind::Hidden, "4")]);
}
