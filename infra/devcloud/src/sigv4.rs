//! Checks AWS Signature Version 4 in the Authorization header, for DynamoDB and SQS. S3's
//! signatures, presigned URLs included, are s3s's business.
//!
//! Why check at all on loopback: any page in a browser may post to 127.0.0.1, and this store
//! holds money.

use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use axum::http::request::Parts;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// AWS refuses a signature whose date is further off than this.
const SKEW_MAX: Duration = Duration::from_secs(15 * 60);
const SIGNED_HEADERS_MAX: usize = 64;

pub(crate) struct Keys {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// Why a signature is refused, in the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Missing,
    Malformed,
    UnknownKey,
    Expired,
    Mismatch,
}

impl Refused {
    /// The error code that DynamoDB and SQS use for this.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Malformed => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Expired | Self::Mismatch => "InvalidSignatureException",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Missing => "The request is not signed.",
            Self::Malformed => "The Authorization header is incomplete or unreadable.",
            Self::UnknownKey => "The security token included in the request is invalid.",
            Self::Expired => "The signature's date is too far from the server's clock.",
            Self::Mismatch => {
                "The request signature we calculated does not match the signature you provided."
            }
        }
    }
}

struct Authorization<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

/// Proves that whoever sent `parts` and `body` holds the secret key.
pub(crate) fn check(
    keys: &Keys,
    parts: &Parts,
    body: &[u8],
    now: SystemTime,
) -> Result<(), Refused> {
    let header = text(&parts.headers, "authorization").ok_or(Refused::Missing)?;
    let auth = parse(header).ok_or(Refused::Malformed)?;
    if auth.access_key != keys.access_key {
        return Err(Refused::UnknownKey);
    }
    let timestamp = text(&parts.headers, "x-amz-date").ok_or(Refused::Malformed)?;
    let at = seconds(timestamp).ok_or(Refused::Malformed)?;
    if timestamp.get(..8) != Some(auth.date) {
        return Err(Refused::Malformed);
    }
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    if now.abs_diff(at) > SKEW_MAX.as_secs() {
        return Err(Refused::Expired);
    }

    let canonical = canonical_request(&auth, parts, body).ok_or(Refused::Malformed)?;
    let scope = format!("{}/{}/{}/aws4_request", auth.date, auth.region, auth.service);
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    let mut key = format!("AWS4{}", keys.secret_key).into_bytes();
    for step in [auth.date, auth.region, auth.service, "aws4_request"] {
        key = mac(&key, step).finalize().into_bytes().to_vec();
    }
    let claimed = hex::decode(auth.signature).map_err(|_| Refused::Malformed)?;
    // Compares in constant time.
    mac(&key, &to_sign).verify_slice(&claimed).map_err(|_| Refused::Mismatch)
}

fn mac(key: &[u8], data: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data.as_bytes());
    mac
}

fn parse(header: &str) -> Option<Authorization<'_>> {
    let fields = header.strip_prefix("AWS4-HMAC-SHA256")?.trim_start();
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for field in fields.split(',') {
        let (name, value) = field.trim().split_once('=')?;
        match name {
            "Credential" => credential = Some(value),
            "SignedHeaders" => signed_headers = Some(value),
            "Signature" => signature = Some(value),
            _ => return None,
        }
    }
    let mut scope = credential?.split('/');
    let auth = Authorization {
        access_key: scope.next()?,
        date: scope.next()?,
        region: scope.next()?,
        service: scope.next()?,
        signed_headers: signed_headers?,
        signature: signature?,
    };
    (scope.next() == Some("aws4_request") && scope.next().is_none()).then_some(auth)
}

fn canonical_request(auth: &Authorization<'_>, parts: &Parts, body: &[u8]) -> Option<String> {
    let names: Vec<&str> = auth.signed_headers.split(';').collect();
    // A signature that covers neither host nor date could be replayed anywhere, at any time.
    let covers = |name| names.contains(&name);
    if names.len() > SIGNED_HEADERS_MAX || !covers("host") || !covers("x-amz-date") {
        return None;
    }
    let mut headers = String::new();
    for name in names {
        let values: Option<Vec<&str>> =
            parts.headers.get_all(name).iter().map(|v| v.to_str().ok().map(str::trim)).collect();
        headers.push_str(&format!("{name}:{}\n", values?.join(",")));
    }
    Some(format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        parts.method,
        parts.uri.path(),
        parts.uri.query().unwrap_or(""),
        auth.signed_headers,
        hex::encode(Sha256::digest(body))
    ))
}

/// Seconds since 1970 of `20260131T235959Z`.
fn seconds(timestamp: &str) -> Option<u64> {
    let bytes = timestamp.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = timestamp.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    // Days from the civil calendar, counting years from March so that leap days come last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    u64::try_from(days * 86_400 + hour * 3_600 + minute * 60 + second).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_signature_is_read_as_seconds() {
        assert_eq!(seconds("19700101T000000Z"), Some(0));
        assert_eq!(seconds("20000229T120000Z"), Some(951_825_600));
        assert_eq!(seconds("20261122T082418Z"), Some(1_795_335_858));
        for bad in ["", "20261122", "20261122T082418Z0", "2026-1-22T08418Z", "２０２６1122T08Z"]
        {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_authorization_header_with_missing_or_surplus_fields_is_unreadable() {
        let good = "AWS4-HMAC-SHA256 Credential=a/20260101/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=00";
        assert!(parse(good).is_some());
        for bad in [
            "",
            "Bearer x",
            "AWS4-HMAC-SHA256 Credential=a/20260101/r/s/aws4_request",
            "AWS4-HMAC-SHA256 Credential=a/20260101/r/aws4_request, SignedHeaders=host, Signature=00",
            "AWS4-HMAC-SHA256 Credential=a/b/r/s/aws4_request/x, SignedHeaders=host, Signature=00",
            "AWS4-HMAC-SHA256 Credential=a/b/r/s/aws4_request, SignedHeaders=host, Signature=00, Extra=1",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
