//! The HTTP client under the SDK. Knows whom to trust; nothing of what is sent.

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use crate::config::ConfigInvalid;

/// The five roots that AWS's endpoints chain to. Parsing a system's whole store takes 16 million
/// instructions of every cold start.
const AMAZON_ROOTS: &str = include_str!("amazon_roots.pem");

/// `amazon_only` when every endpoint is AWS's own; a compatible service elsewhere is judged by the
/// system's roots.
pub(crate) fn http_client(amazon_only: bool) -> Result<SharedHttpClient, ConfigInvalid> {
    let trust = if amazon_only {
        TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)
    } else {
        TrustStore::default()
    };
    let context = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|failed| ConfigInvalid::Tls(failed.to_string()))?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https())
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn all_five_roots_can_be_trusted() {
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(AMAZON_ROOTS.as_bytes()) {
            store.add(root.unwrap()).unwrap();
        }
        assert_eq!(store.len(), 5);
        assert!(http_client(true).is_ok());
    }
}
