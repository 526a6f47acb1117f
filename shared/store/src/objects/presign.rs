//! URLs that let their holder read or write one object for a while. Knows what is signed into
//! them; knows nothing of who may have one.

use std::time::Duration;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Objects;
use crate::Broken;

/// S3 allows a week; nothing here needs more than a day.
const SECONDS_MAX: u64 = 24 * 3600;
const NAME_MAX: usize = 200;

/// What an upload must be, byte for byte.
#[derive(Clone, Debug)]
pub struct PutTerms<'a> {
    pub size: u64,
    pub sha256: [u8; 32],
    pub content_type: &'a str,
    pub seconds: u64,
}

/// A URL and the headers its user must send with it, unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presigned {
    pub url: String,
    pub headers: Vec<(String, String)>,
}

impl Objects {
    /// A URL to read the object. `download_name` makes a browser save it under that name.
    pub async fn presign_get(
        &self,
        key: &str,
        seconds: u64,
        download_name: Option<&str>,
        content_type: Option<&str>,
    ) -> Result<String, Broken> {
        let request = self
            .presign
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .set_response_content_type(content_type.map(str::to_owned))
            .set_response_content_disposition(download_name.map(attachment))
            .presigned(lasting(seconds)?)
            .await
            .map_err(|cause| Broken::new("PresignGet", cause))?;
        Ok(request.uri().to_owned())
    }

    /// A URL to write the object, whatever its content: only for places that nothing is served from.
    pub async fn presign_drop(&self, key: &str, seconds: u64) -> Result<String, Broken> {
        let put = self.presign.put_object().bucket(&self.bucket).key(key);
        let request = put.presigned(lasting(seconds)?).await;
        Ok(request.map_err(|cause| Broken::new("PresignPut", cause))?.uri().to_owned())
    }

    /// A URL to write the object once: of this length, this content, and only while none exists.
    pub async fn presign_put(&self, key: &str, terms: PutTerms<'_>) -> Result<Presigned, Broken> {
        let length = i64::try_from(terms.size).map_err(|cause| Broken::new("PresignPut", cause))?;
        let request = self
            .presign
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_length(length)
            .content_type(terms.content_type)
            .checksum_sha256(STANDARD.encode(terms.sha256))
            .if_none_match("*")
            .presigned(lasting(terms.seconds)?)
            .await
            .map_err(|cause| Broken::new("PresignPut", cause))?;
        Ok(presigned(&request))
    }
}

pub(super) fn presigned(request: &PresignedRequest) -> Presigned {
    Presigned {
        url: request.uri().to_owned(),
        headers: request
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

pub(super) fn lasting(seconds: u64) -> Result<PresigningConfig, Broken> {
    PresigningConfig::expires_in(Duration::from_secs(seconds.clamp(1, SECONDS_MAX)))
        .map_err(|cause| Broken::new("Presign", cause))
}

/// A name that was somebody's input, made safe for a header: both forms of RFC 6266.
fn attachment(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '/' | '\\'))
        .take(NAME_MAX)
        .collect();
    let plain: String =
        name.chars().map(|c| if c.is_ascii() && c != '"' && c != '%' { c } else { '_' }).collect();
    let encoded = super::encoded(&name);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_name_cannot_break_out_of_its_header() {
        assert_eq!(
            attachment("a\"\r\nx: ../é.png"),
            "attachment; filename=\"a_x: .._.png\"; filename*=UTF-8''a%22x%3A%20..%C3%A9.png"
        );
    }
}
