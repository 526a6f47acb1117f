//! The digests that a client may claim for a body, and whether they hold. Knows no storage.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Sha256};
use s3s::{S3Result, TrailingHeaders, s3_error};
use serde::{Deserialize, Serialize};

/// Digests in base64, as S3 spells them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksums {
    pub(super) crc32: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) crc64nvme: Option<String>,
    pub(super) sha1: Option<String>,
    pub(super) sha256: Option<String>,
    /// True for a digest of the parts' digests, which no reader can recompute from the bytes.
    #[serde(default)]
    pub(super) composite: bool,
}

const NAMES: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

impl Checksums {
    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match NAMES.iter().position(|n| name.eq_ignore_ascii_case(n))? {
            0 => &mut self.crc32,
            1 => &mut self.crc32c,
            2 => &mut self.crc64nvme,
            3 => &mut self.sha1,
            _ => &mut self.sha256,
        })
    }

    fn each(&self) -> [&Option<String>; 5] {
        [&self.crc32, &self.crc32c, &self.crc64nvme, &self.sha1, &self.sha256]
    }

    /// Adds what a presigned URL claims in its query: some SDKs move the header there.
    pub(super) fn claim_query(&mut self, query: &str) {
        for pair in query.split('&') {
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            if let Some(slot) = self.slot(name) {
                // Base64 needs three escapes only; anything else cannot match a digest anyway.
                let value = value.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
                slot.get_or_insert(value);
            }
        }
    }

    /// Adds what arrived after the body.
    fn claim_trailers(&mut self, trailers: Option<&TrailingHeaders>) -> S3Result<()> {
        let Some(headers) = trailers.and_then(TrailingHeaders::take) else {
            return Ok(());
        };
        for name in NAMES {
            if let (Some(value), Some(slot)) = (headers.get(name), self.slot(name)) {
                let value = value.to_str().map_err(|_| s3_error!(InvalidArgument))?;
                *slot = Some(value.to_owned());
            }
        }
        Ok(())
    }
}

/// Computes, while a body streams, every digest that may be claimed for it.
pub(super) struct Claims {
    claimed: Checksums,
    hasher: ChecksumHasher,
}

impl Claims {
    /// `algorithm` names one whose value comes in a trailer, or is to be computed and stored.
    pub(super) fn new(claimed: Checksums, algorithm: Option<&str>) -> S3Result<Self> {
        let named = |name: &str| algorithm.is_some_and(|a| a.eq_ignore_ascii_case(name));
        if algorithm.is_some()
            && !["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"].iter().any(|n| named(n))
        {
            return Err(s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."));
        }
        let hasher = ChecksumHasher {
            crc32: (claimed.crc32.is_some() || named("CRC32")).then(Default::default),
            crc32c: (claimed.crc32c.is_some() || named("CRC32C")).then(Default::default),
            sha1: (claimed.sha1.is_some() || named("SHA1")).then(Default::default),
            sha256: (claimed.sha256.is_some() || named("SHA256")).then(Default::default),
            crc64nvme: (claimed.crc64nvme.is_some() || named("CRC64NVME")).then(Default::default),
        };
        Ok(Self { claimed, hasher })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The digests, if every claim, trailers included, holds.
    pub(super) fn settle(mut self, trailers: Option<&TrailingHeaders>) -> S3Result<Checksums> {
        self.claimed.claim_trailers(trailers)?;
        let found = self.hasher.finalize();
        let found = Checksums {
            crc32: found.checksum_crc32,
            crc32c: found.checksum_crc32c,
            crc64nvme: found.checksum_crc64nvme,
            sha1: found.checksum_sha1,
            sha256: found.checksum_sha256,
            composite: false,
        };
        for (claimed, found) in self.claimed.each().into_iter().zip(found.each()) {
            if claimed.is_some() && claimed != found {
                return Err(s3_error!(
                    BadDigest,
                    "The checksum you specified did not match the calculated checksum."
                ));
            }
        }
        Ok(found)
    }
}

/// S3's digest of a multipart object: of the parts' digests, with their number. Only for the two
/// algorithms that our clients use; others have none.
pub(super) fn composite(parts: &[&Checksums]) -> Checksums {
    let joined = |of: fn(&Checksums) -> Option<&String>| -> Option<Vec<u8>> {
        let mut all = Vec::new();
        for part in parts {
            all.extend(STANDARD.decode(of(part)?).ok()?);
        }
        Some(all)
    };
    let spelled = |digest: &[u8]| format!("{}-{}", STANDARD.encode(digest), parts.len());
    Checksums {
        sha256: joined(|c| c.sha256.as_ref()).map(|b| spelled(&Sha256::checksum(&b))),
        crc32: joined(|c| c.crc32.as_ref()).map(|b| spelled(&Crc32::checksum(&b))),
        composite: true,
        ..Checksums::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_claimed_in_a_presigned_query_must_hold() {
        let digest = STANDARD.encode(Sha256::checksum(b"frame 7"));
        let escaped = digest.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        for (body, holds) in [(b"frame 7", true), (b"frame 8", false)] {
            let mut claimed = Checksums::default();
            claimed.claim_query(&format!("X-Amz-Expires=60&x-amz-checksum-sha256={escaped}&x"));
            let mut claims = Claims::new(claimed, None).unwrap();
            claims.update(body);
            assert_eq!(claims.settle(None).is_ok(), holds);
        }
    }

    #[test]
    fn an_unknown_algorithm_is_refused_rather_than_ignored() {
        assert!(Claims::new(Checksums::default(), Some("MD4")).is_err());
    }

    #[test]
    fn the_digest_of_parts_is_the_digest_of_their_digests() {
        let part = |bytes: &[u8]| Checksums {
            sha256: Some(STANDARD.encode(Sha256::checksum(bytes))),
            ..Checksums::default()
        };
        let (one, two) = (part(b"1"), part(b"2"));
        let joined = [Sha256::checksum(b"1"), Sha256::checksum(b"2")].concat();
        let whole = composite(&[&one, &two]);
        assert_eq!(whole.sha256, Some(format!("{}-2", STANDARD.encode(Sha256::checksum(&joined)))));
        assert_eq!(whole.crc32, None, "one part has no CRC-32, so the whole has none");
    }
}
