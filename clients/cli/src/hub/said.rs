//! What the hub says, as values. Everything here comes from a stranger: amounts are read from their
//! text, ids and wallets are checked, words are kept as words.

use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::money::Lamports;
use framefair_domain::wallet::Wallet;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// A JSON number of SOL, read from its digits and never through a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sol(pub(crate) Lamports);

impl<'de> Deserialize<'de> for Sol {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        Lamports::from_sol(raw.get()).map(Sol).map_err(de::Error::custom)
    }
}

/// The frame around every answer.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    pub(super) success: bool,
    #[serde(default)]
    pub(super) data: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) payment: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) error: Option<String>,
    /// The same in an account's part of the hub.
    #[serde(default)]
    pub(super) detail: Option<String>,
    #[serde(default)]
    pub(super) code: Option<String>,
}

/// The 402 answer: what the job costs, to whom, until when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) job_id: JobId,
    pub(crate) price: Sol,
    pub(crate) breakdown: Breakdown,
    pub(crate) pay_to: Wallet,
    pub(crate) expires_at: i64,
    pub(crate) memo: String,
    #[serde(default)]
    pub(crate) access_token: Option<String>,
    /// The exact amount, beside the rounded-looking `price`; hubs may leave it out.
    #[serde(default)]
    pub(crate) lamports: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Breakdown {
    pub(crate) base_price: Sol,
    pub(crate) file_size_fee: Sol,
    pub(crate) frame_fee: Sol,
    pub(crate) estimated_render_fee: Sol,
    pub(crate) platform_fee: Sol,
    pub(crate) total: Sol,
}

/// What the hub calls a job's state; a word of a newer hub is shown, and waited through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobStatus {
    PendingPayment,
    Paid,
    Queued,
    Rendering,
    Completed,
    Failed,
    Cancelled,
    Other(String),
}

impl JobStatus {
    pub(crate) fn word(&self) -> &str {
        match self {
            JobStatus::PendingPayment => "pending_payment",
            JobStatus::Paid => "paid",
            JobStatus::Queued => "queued",
            JobStatus::Rendering => "rendering",
            JobStatus::Completed => "completed",
            JobStatus::Failed => "failed",
            JobStatus::Cancelled => "cancelled",
            JobStatus::Other(word) => word,
        }
    }
}

impl<'de> Deserialize<'de> for JobStatus {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        Ok(match word.as_str() {
            "pending_payment" => JobStatus::PendingPayment,
            "paid" => JobStatus::Paid,
            "queued" => JobStatus::Queued,
            "rendering" => JobStatus::Rendering,
            "completed" => JobStatus::Completed,
            "failed" => JobStatus::Failed,
            "cancelled" => JobStatus::Cancelled,
            _ => JobStatus::Other(crate::exit::plain(&word, 40)),
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) status: JobStatus,
    #[serde(default)]
    pub(crate) provider_id: Option<ProviderId>,
    #[serde(default)]
    pub(crate) file_name: String,
    #[serde(default)]
    pub(crate) estimated_price: Option<Sol>,
    #[serde(default)]
    pub(crate) payment_status: String,
    #[serde(default)]
    pub(crate) payment_tx: Option<String>,
    #[serde(default)]
    pub(crate) refund_tx: Option<String>,
    #[serde(default)]
    pub(crate) settlement: String,
    #[serde(default)]
    pub(crate) error: Option<String>,
    /// Seconds, as the hub wrote them.
    #[serde(default)]
    pub(crate) render_time: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) progress: Option<Progress>,
}

/// How far the render is; absent until the node has said something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Progress {
    pub(crate) frames_done: u64,
    pub(crate) frames_total: u64,
    pub(crate) frame: Option<i32>,
    pub(crate) sample: Option<u64>,
    pub(crate) samples: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Providers {
    pub(crate) providers: Vec<Provider>,
    #[serde(default)]
    pub(crate) total: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Provider {
    pub(crate) id: ProviderId,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) spec: Spec,
    pub(crate) pricing: Pricing,
    /// 0 to 5 with one decimal, as the hub wrote it.
    pub(crate) rating: Box<RawValue>,
    #[serde(default)]
    pub(crate) completed_jobs: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    #[serde(default)]
    pub(crate) gpus: Vec<Gpu>,
    #[serde(default)]
    pub(crate) blender_version: String,
    #[serde(default)]
    pub(crate) render_engines: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Gpu {
    pub(crate) name: String,
}

/// A provider's prices in its own spelling; one that cannot be read is shown as such and never
/// stops the list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pricing {
    pub(crate) price_per_frame: Box<RawValue>,
    pub(crate) price_per_second: Box<RawValue>,
    pub(crate) price_per_gb: Box<RawValue>,
    pub(crate) minimum_price: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cancelled {
    pub(crate) job_id: JobId,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) refund_tx: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTE: &str = r#"{"jobId":"0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001","price":0.0084,
        "breakdown":{"basePrice":0.008,"fileSizeFee":0.001,"frameFee":0.001,"estimatedRenderFee":0.006,"platformFee":0.0004,"total":0.0084},
        "payTo":"So11111111111111111111111111111111111111112","expiresAt":1699999999999,
        "memo":"rayment:0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001","newer":{"x":1}}"#;

    #[test]
    fn the_documented_quote_is_read_to_the_lamport() {
        let payment: Payment = serde_json::from_str(QUOTE).unwrap();
        assert_eq!(payment.price, Sol(Lamports(8_400_000)));
        assert_eq!(payment.breakdown.platform_fee, Sol(Lamports(400_000)));
        assert_eq!(payment.lamports, None);
    }

    #[test]
    fn an_amount_that_is_no_plain_decimal_is_refused() {
        for bad in [
            "8.4e-3",
            "-0.0084",
            "\"0.0084\"",
            "null",
            "1e999",
            "0.0000000001",
            "[1]",
            "99999999999999",
        ] {
            let text = QUOTE.replace("\"price\":0.0084", &format!("\"price\":{bad}"));
            assert!(serde_json::from_str::<Payment>(&text).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_amount_no_float_can_hold_is_kept_exactly() {
        let sol: Sol = serde_json::from_str("9007199.254740993").unwrap();
        assert_eq!(sol.0, Lamports(9_007_199_254_740_993));
    }

    #[test]
    fn a_job_is_read_with_and_without_what_is_optional() {
        let job: Job = serde_json::from_str(
            r#"{"id":"0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001","status":"rendering","renderTime":1.50,
                "progress":{"framesDone":2,"framesTotal":8,"frame":3,"sample":5,"samples":16}}"#,
        )
        .unwrap();
        assert_eq!(job.status, JobStatus::Rendering);
        assert_eq!(job.render_time.unwrap().get(), "1.50");
        let progress = job.progress.unwrap();
        assert_eq!((progress.frames_done, progress.frame), (2, Some(3)));
        let odd: Job = serde_json::from_str(
            r#"{"id":"0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001","status":"a\u001bword"}"#,
        )
        .unwrap();
        assert_eq!(odd.status, JobStatus::Other("a word".to_owned()));
    }
}
