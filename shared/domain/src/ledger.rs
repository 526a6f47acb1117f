//! What is anchored of a movement, to the byte, and what an anchor says on the chain. Pure.

use serde::Serialize;

use crate::merkle::{Hash, leaf_hash};

/// Before the first entry of an account, and before the first batch.
pub const NOTHING_BEFORE: Hash = [0; 32];

/// What a leaf says. Written as canonical JSON (RFC 8785), so its members stand in the order of their
/// names and their numbers are whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leaf<'a> {
    /// The place of the entry in its account, from 1, without gaps: what is left out shows.
    pub account_seq: u64,
    pub amount: &'a str,
    pub balance_after: &'a str,
    pub created_at: &'a str,
    pub direction: &'a str,
    pub entry_id: i64,
    pub id: &'a str,
    /// Hash of the account's leaf before this one, in hexadecimal digits.
    pub prev_leaf: &'a str,
    pub reference_id: &'a str,
    pub source: &'a str,
    /// What the amounts count, where that is not credits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'a str>,
    /// The account: a user's id, or a wallet's address.
    pub user_id: &'a str,
    /// 1.
    pub v: u32,
}

impl Leaf<'_> {
    /// The text that is hashed.
    pub fn text(&self) -> String {
        // A struct of texts and whole numbers always has a JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn hash(&self) -> Hash {
        self.written().1
    }

    /// The text, and its hash.
    pub fn written(&self) -> (String, Hash) {
        let text = self.text();
        let hash = leaf_hash(text.as_bytes());
        (text, hash)
    }
}

/// What the memo of an anchor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// From 1, without gaps.
    pub batch: u64,
    pub leaves: u32,
    pub root: Hash,
    /// Of the batch before: the anchors are a chain.
    pub previous: Hash,
}

impl Anchor {
    /// What every memo of an anchor begins with.
    pub const PREFIX: &str = "framefair:anchor:1:";

    pub fn memo(&self) -> String {
        let Anchor { batch, leaves, root, previous } = self;
        let prefix = Anchor::PREFIX;
        format!("{prefix}{batch}:{leaves}:{}:{}", digits(root), digits(previous))
    }

    /// Reads a memo; another text is none.
    pub fn parse(memo: &str) -> Option<Anchor> {
        let mut parts = memo.strip_prefix(Anchor::PREFIX)?.split(':');
        let mut part = || parts.next();
        let anchor = Anchor {
            batch: part()?.parse().ok()?,
            leaves: part()?.parse().ok()?,
            root: hash(part()?)?,
            previous: hash(part()?)?,
        };
        // One anchor has one spelling.
        (anchor.memo() == memo).then_some(anchor)
    }
}

pub fn digits(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 64 lower-case hexadecimal digits.
pub fn hash(digits: &str) -> Option<Hash> {
    let fine = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() != 64 || !digits.bytes().all(fine) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_leaf_is_written_as_rfc_8785_has_it() {
        let leaf = Leaf {
            account_seq: 1,
            amount: "10.0000",
            balance_after: "990.0000",
            created_at: "2026-03-13T12:00:00Z",
            direction: "DEBIT",
            entry_id: 42,
            id: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001",
            prev_leaf: "00",
            reference_id: "\u{20ac}$\u{000f}\u{000a}A'\u{0042}\u{0022}\u{005c}\\\"/\u{7f}\u{8}\u{c}\r\t",
            source: "USAGE",
            unit: None,
            user_id: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c002",
            v: 1,
        };
        // Its text as the RFC's own example spells such a string.
        let written = concat!(
            r#"{"account_seq":1,"amount":"10.0000","balance_after":"990.0000","#,
            r#""created_at":"2026-03-13T12:00:00Z","direction":"DEBIT","entry_id":42,"#,
            r#""id":"0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001","prev_leaf":"00","#,
            "\"reference_id\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\\b\\f\\r\\t\",",
            r#""source":"USAGE","user_id":"0195a2c4-7d3e-7a10-9c1b-2f4be3a1c002","v":1}"#,
        );
        assert_eq!(leaf.text(), written);
        let of_wallet = Leaf { unit: Some("lamports"), ..leaf };
        let unit = r#""source":"USAGE","unit":"lamports","user_id""#;
        assert_eq!(of_wallet.text(), written.replace(r#""source":"USAGE","user_id""#, unit));
    }

    #[test]
    fn an_anchor_is_read_back_and_has_one_spelling() {
        let anchor = Anchor { batch: 7, leaves: 100, root: [0xab; 32], previous: [0x0c; 32] };
        let memo = anchor.memo();
        assert_eq!(Anchor::parse(&memo), Some(anchor));
        for bad in [
            memo.replace(":7:", ":07:"),
            memo.replace("anchor:1", "anchor:2"),
            memo.replace("ab", "AB"),
            memo.replace("0c", "c"),
            format!("{memo}:"),
            format!("{memo} "),
            String::new(),
        ] {
            assert_eq!(Anchor::parse(&bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = Anchor::parse(&text);
            let _ = Anchor::parse(&format!("{}{text}", Anchor::PREFIX));
            let _ = hash(&text);
        }
    }
}
