//! What an audit finds: what kind of thing, where, and why it is wrong. Finds nothing itself.

use serde::Serialize;

use crate::table::columns;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// A number that no memo on the chain bears.
    Gap,
    /// More than one memo for one batch.
    SecondMemo,
    /// The root before is another than the batch before has.
    PreviousRoot,
    /// The hub speaks of an anchor that the chain does not have.
    NotOnChain,
    /// The hub says of an anchor what the chain does not.
    OtherOnChain,
    /// The chain has an anchor of which the hub does not speak.
    Hidden,
    /// One number, two anchors in the hub's list.
    ListedTwice,
    /// An entry without a proof, although one after it has one.
    NotProven,
    /// An entry that is another than the one that was anchored.
    Changed,
    /// An entry is missing between two.
    Omitted,
    /// The balance does not follow from the one before.
    Balance,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Kind::Gap => "gap",
            Kind::SecondMemo => "second memo",
            Kind::PreviousRoot => "previous root",
            Kind::NotOnChain => "not on chain",
            Kind::OtherOnChain => "other on chain",
            Kind::Hidden => "hidden",
            Kind::ListedTwice => "listed twice",
            Kind::NotProven => "not proven",
            Kind::Changed => "changed",
            Kind::Omitted => "omitted",
            Kind::Balance => "balance",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    /// `batch 7`, `entry 42`.
    pub(super) of: String,
    pub(super) why: String,
}

impl Finding {
    pub(super) fn new(kind: Kind, of: impl Into<String>, why: impl Into<String>) -> Finding {
        Finding { kind, of: of.into(), why: why.into() }
    }
}

/// A line each.
pub(super) fn table(findings: &[Finding]) -> String {
    let row = |it: &Finding| [it.kind.word().to_owned(), it.of.clone(), it.why.clone()];
    columns(["FINDING", "OF", "WHY"], findings.iter().map(row).collect())
}
