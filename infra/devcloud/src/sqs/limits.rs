//! What SQS accepts: sizes, counts, characters, ranges. Knows no rows.

use std::collections::HashSet;

use super::error::Refusal;
use super::wire::Attributes;

pub(super) const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
pub(super) const BATCH_ENTRIES_MAX: usize = 10;
pub(super) const RECEIVE_MAX: i64 = 10;
pub(super) const WAIT_S_MAX: i64 = 20;
pub(super) const DELAY_S_MAX: i64 = 900;
pub(super) const VISIBILITY_S_MAX: i64 = 43_200;
pub(super) const RETENTION_S_MIN: i64 = 60;
pub(super) const RETENTION_S_MAX: i64 = 1_209_600;
const ATTRIBUTES_MAX: usize = 10;
const ATTRIBUTE_NAME_BYTES_MAX: usize = 256;
const QUEUE_NAME_BYTES_MAX: usize = 80;

fn is_word(text: &str) -> bool {
    (1..=QUEUE_NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

pub(super) fn queue_name(name: &str) -> Result<(), Refusal> {
    if name.ends_with(".fifo") {
        return Err(Refusal::InvalidParameter(
            "devcloud has standard queues only; FIFO queues are not offered.".to_owned(),
        ));
    }
    if is_word(name) {
        return Ok(());
    }
    Err(Refusal::InvalidParameter(
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
            .to_owned(),
    ))
}

pub(super) fn range(name: &str, value: i64, min: i64, max: i64) -> Result<i64, Refusal> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(Refusal::InvalidParameter(format!(
        "Value {value} for parameter {name} is invalid. Reason: Must be >= {min} and <= {max}."
    )))
}

/// The message's bytes, attributes included, if it may be sent.
pub(super) fn message(body: &str, attributes: &Attributes) -> Result<usize, Refusal> {
    if body.is_empty() {
        return Err(Refusal::InvalidParameter(
            "The request must contain the parameter MessageBody.".to_owned(),
        ));
    }
    if !body.chars().all(is_allowed) {
        return Err(Refusal::InvalidMessageContents);
    }
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(Refusal::InvalidParameter(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
            attributes.len()
        )));
    }
    let mut bytes = body.len();
    for (name, attribute) in attributes {
        let value = attribute.string_value.as_ref().or(attribute.binary_value.as_ref());
        let typed = ["String", "Number", "Binary"].iter().any(|t| {
            attribute.data_type == *t || attribute.data_type.starts_with(&format!("{t}."))
        });
        let (Some(value), true) = (value, typed && name.len() <= ATTRIBUTE_NAME_BYTES_MAX) else {
            return Err(Refusal::InvalidParameter(format!(
                "The message attribute '{}' must have a type and a value.",
                name.escape_default()
            )));
        };
        bytes += name.len() + attribute.data_type.len() + value.len();
    }
    Ok(bytes)
}

pub(super) fn size(bytes: usize, bytes_max: i64) -> Result<(), Refusal> {
    if i64::try_from(bytes).is_ok_and(|b| b <= bytes_max) {
        return Ok(());
    }
    Err(Refusal::InvalidParameter(format!(
        "One or more parameters are invalid. Reason: Message must be shorter than {bytes_max} bytes."
    )))
}

/// What XML 1.0 allows, as SQS documents it.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

pub(super) fn batch<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), Refusal> {
    if ids.len() == 0 {
        return Err(Refusal::EmptyBatch);
    }
    if ids.len() > BATCH_ENTRIES_MAX {
        return Err(Refusal::TooManyEntries);
    }
    let mut seen = HashSet::new();
    for id in ids {
        if !is_word(id) {
            return Err(Refusal::InvalidBatchEntryId);
        }
        if !seen.insert(id) {
            return Err(Refusal::IdsNotDistinct(id.to_owned()));
        }
    }
    Ok(())
}
