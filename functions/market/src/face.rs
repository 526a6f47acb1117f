//! The market's words for every refusal.

use axum::http::StatusCode;
use framefair_app::Refusal;
use framefair_domain::payment::PaymentRefused;
use framefair_http::{Face, Refused};
use serde_json::{Value, json};

/// The face of rendering wallets and providers.
#[derive(Debug)]
pub struct Market;

/// What handlers of this face fail with.
pub(crate) type Error = Refused<Market>;

impl Face for Market {
    fn refuse(refusal: &Refusal) -> (StatusCode, Value) {
        let (status, code) = words(refusal);
        let error = match refusal {
            Refusal::Signature(_) => "Invalid signature".to_owned(),
            other => other.to_string(),
        };
        let mut body = json!({ "success": false, "error": error });
        if let Some(code) = code {
            body["code"] = code.into();
        }
        (status, body)
    }
}

/// The status, and the machine's word where the contract has one.
fn words(refusal: &Refusal) -> (StatusCode, Option<&'static str>) {
    use StatusCode as S;
    match refusal {
        Refusal::Invalid(_) => (S::BAD_REQUEST, None),
        Refusal::Fields(_) | Refusal::ReferenceReused => (S::BAD_REQUEST, None),
        Refusal::Unauthenticated(_) => (S::UNAUTHORIZED, None),
        Refusal::EmailTaken | Refusal::KeyKnown => (S::CONFLICT, None),
        Refusal::InsufficientCredits { .. } => (S::PAYMENT_REQUIRED, None),
        Refusal::Scene(_) => (S::BAD_REQUEST, Some("bad_scene")),
        Refusal::TooExpensive(_) => (S::BAD_REQUEST, Some("too_expensive")),
        Refusal::NoUpgrade => (S::UPGRADE_REQUIRED, None),
        Refusal::TooLarge => (S::PAYLOAD_TOO_LARGE, None),
        Refusal::QuotaFull => (S::BAD_REQUEST, Some("quota_full")),
        Refusal::KeyReused => (S::BAD_REQUEST, Some("idempotency_key_reused")),
        Refusal::NotFound | Refusal::Missing(_) => (S::NOT_FOUND, None),
        Refusal::Signature(_) => (S::UNAUTHORIZED, None),
        Refusal::Replayed => (S::UNAUTHORIZED, Some("replayed")),
        Refusal::NoProvider(_) | Refusal::NoHealthyNode { .. } => (S::SERVICE_UNAVAILABLE, None),
        Refusal::TooLateToCancel(_) => (S::BAD_REQUEST, None),
        Refusal::Payment(why) => (S::BAD_REQUEST, Some(payment_code(why))),
        Refusal::SignatureUsed => (S::BAD_REQUEST, Some("signature_used")),
        Refusal::NotPayable(_) => (S::BAD_REQUEST, Some("job_not_payable")),
        Refusal::NotATransaction => (S::BAD_REQUEST, Some("bad_signature")),
        Refusal::PaymentUnseen | Refusal::NeverPaid => (S::PAYMENT_REQUIRED, None),
        Refusal::WrongCluster => (S::BAD_REQUEST, Some("wrong_cluster")),
        Refusal::ChainUnreachable => (S::INTERNAL_SERVER_ERROR, Some("chain_unreachable")),
        Refusal::NotReady(_) => (S::BAD_REQUEST, None),
        Refusal::StaleLease => (S::BAD_REQUEST, Some("stale_lease")),
        Refusal::NoPayments | Refusal::NoCheckout => (S::SERVICE_UNAVAILABLE, None),
        Refusal::Webhook(_) => (S::BAD_REQUEST, None),
        Refusal::TooOften => (S::TOO_MANY_REQUESTS, None),
        Refusal::Busy => (S::SERVICE_UNAVAILABLE, Some("busy")),
        Refusal::Broken(_) => (S::INTERNAL_SERVER_ERROR, None),
    }
}

fn payment_code(why: &PaymentRefused) -> &'static str {
    match why {
        PaymentRefused::TxFailed(_) => "tx_failed",
        PaymentRefused::MemoMismatch => "memo_mismatch",
        PaymentRefused::WrongRecipient => "wrong_recipient",
        PaymentRefused::WrongPayer => "wrong_payer",
        PaymentRefused::Underpaid { .. } => "underpaid",
        PaymentRefused::OutsideWindow => "outside_window",
    }
}
