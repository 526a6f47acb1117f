//! The MD5 sums that SQS's clients compare with what they sent. No secrets depend on them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use s3s::crypto::{Checksum as _, Md5};

use super::wire::Attributes;

pub(super) fn of_body(body: &str) -> String {
    hex::encode(Md5::checksum(body.as_bytes()))
}

/// Over name, type and value of each attribute, in order of names.
pub(super) fn of_attributes(attributes: &Attributes) -> Option<String> {
    const TEXT: u8 = 1;
    const BINARY: u8 = 2;
    let mut all = Vec::new();
    for (name, attribute) in attributes {
        field(&mut all, name.as_bytes());
        field(&mut all, attribute.data_type.as_bytes());
        match (&attribute.string_value, &attribute.binary_value) {
            (Some(text), _) => {
                all.push(TEXT);
                field(&mut all, text.as_bytes());
            }
            (None, binary) => {
                all.push(BINARY);
                let bytes = binary.as_deref().and_then(|b| STANDARD.decode(b).ok());
                field(&mut all, &bytes.unwrap_or_default());
            }
        }
    }
    (!attributes.is_empty()).then(|| hex::encode(Md5::checksum(&all)))
}

/// Its length in four bytes, big end first, then the bytes.
fn field(all: &mut Vec<u8>, bytes: &[u8]) {
    all.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    all.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::super::wire::MessageAttribute;
    use super::*;

    #[test]
    fn the_digests_are_those_that_sqs_documents() {
        assert_eq!(of_body("This is a test message"), "fafb00f5732ab283681e124bf8747ed1");
        assert_eq!(of_attributes(&Attributes::new()), None);
        let mut attributes = Attributes::new();
        attributes.insert(
            "n".into(),
            MessageAttribute {
                data_type: "String".into(),
                string_value: Some("v".into()),
                binary_value: None,
            },
        );
        let laid_out = b"\0\0\0\x01n\0\0\0\x06String\x01\0\0\0\x01v";
        assert_eq!(of_attributes(&attributes), Some(hex::encode(Md5::checksum(laid_out))));
    }
}
