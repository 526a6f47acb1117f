//! The creator's words for every refusal.

use axum::http::StatusCode;
use framefair_app::{BadField, Refusal};
use framefair_http::{Face, Refused};
use serde_json::{Value, json};

/// The face of people with an account.
#[derive(Debug)]
pub struct Creator;

/// What handlers of this face fail with.
pub(crate) type Error = Refused<Creator>;

impl Face for Creator {
    fn refuse(refusal: &Refusal) -> (StatusCode, Value) {
        let mut body = json!({ "detail": refusal.to_string() });
        match refusal {
            Refusal::Broken(_) => body["detail"] = "Internal Server Error".into(),
            Refusal::Fields(fields) => {
                body["errors"] = fields.iter().map(error_of).collect();
            }
            Refusal::InsufficientCredits { available, requested } => {
                body["available"] = available.to_string().into();
                body["requested"] = requested.to_string().into();
            }
            _ => {}
        }
        (status(refusal), body)
    }
}

/// One fault as a machine reads it. The value itself is never repeated: it may be a password.
fn error_of(field: &BadField) -> Value {
    let deeper = field.path.split('.').filter(|step| !step.is_empty()).map(Value::from);
    let loc: Vec<Value> = std::iter::once(field.within.into()).chain(deeper).collect();
    json!({ "type": "value_error", "loc": loc, "msg": field.message })
}

fn status(refusal: &Refusal) -> StatusCode {
    use StatusCode as S;
    match refusal {
        Refusal::Invalid(_) | Refusal::Fields(_) | Refusal::Scene(_) => S::UNPROCESSABLE_ENTITY,
        Refusal::Unauthenticated(_) => S::UNAUTHORIZED,
        Refusal::InsufficientCredits { .. } => S::PAYMENT_REQUIRED,
        Refusal::NotFound | Refusal::Missing(_) => S::NOT_FOUND,
        Refusal::EmailTaken | Refusal::KeyKnown | Refusal::ReferenceReused | Refusal::KeyReused => {
            S::CONFLICT
        }
        Refusal::NoUpgrade => S::UPGRADE_REQUIRED,
        Refusal::TooLarge => S::PAYLOAD_TOO_LARGE,
        Refusal::TooOften => S::TOO_MANY_REQUESTS,
        Refusal::Busy | Refusal::ChainUnreachable | Refusal::WrongCluster => S::SERVICE_UNAVAILABLE,
        Refusal::NoPayments
        | Refusal::NoCheckout
        | Refusal::NoHealthyNode { unavailable: true, .. } => S::SERVICE_UNAVAILABLE,
        Refusal::Signature(_) | Refusal::Replayed => S::UNAUTHORIZED,
        Refusal::TooExpensive(_)
        | Refusal::QuotaFull
        | Refusal::NoProvider(_)
        | Refusal::NoHealthyNode { unavailable: false, .. }
        | Refusal::TooLateToCancel(_)
        | Refusal::Payment(_)
        | Refusal::SignatureUsed
        | Refusal::NotPayable(_)
        | Refusal::NotATransaction
        | Refusal::PaymentUnseen
        | Refusal::NeverPaid
        | Refusal::NotReady(_)
        | Refusal::Webhook(_)
        | Refusal::StaleLease => S::BAD_REQUEST,
        Refusal::Broken(_) => S::INTERNAL_SERVER_ERROR,
    }
}
