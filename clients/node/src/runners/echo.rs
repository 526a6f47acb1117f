//! Gives a payload back, byte for byte. Knows whether it is JSON and nothing else of it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::fault::Fault;
use super::{BYTES, JSON, Outcome};

/// It is read whole, to tell JSON from other bytes.
const PAYLOAD_BYTES_MAX: u64 = 64 << 20;

pub(super) fn give_back(payload: &Path, result: PathBuf) -> Result<Outcome, Fault> {
    let bytes = super::read(payload, PAYLOAD_BYTES_MAX)?;
    fs::write(&result, &bytes)
        .map_err(|error| Fault::machine("the result could not be written", error))?;
    let content_type = if is_json(&bytes) { JSON } else { BYTES };
    Ok(Outcome { content_type, file: result })
}

/// Checks the text first: what is ignored while parsing is not checked there.
fn is_json(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes);
    text.is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn json_is_told_from_other_bytes() {
        for json in ["{}", " [1, \"\u{e9}\"]\n", "null", "1e9"] {
            assert!(is_json(json.as_bytes()), "{json}");
        }
        for other in [&b""[..], b"hello", b"{} {}", b"\"\xff\"", b"{\"a\":"] {
            assert!(!is_json(other), "{other:?}");
        }
        // Deeper than any stack, so that reading it must not follow it down.
        assert!(is_json(["[".repeat(100_000), "]".repeat(100_000)].concat().as_bytes()));
    }
}
