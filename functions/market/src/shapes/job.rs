//! Quotes and jobs as the contract shows them.

use framefair_app::market::{JobView, MarketJob, Quote};
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::State;
use framefair_domain::quote::Breakdown;
use framefair_domain::settlement::{Inflow, LegKind, Outflow};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::Serialize;
use serde_json::{Value, json};

use super::Sol;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentRequired {
    job_id: JobId,
    price: Sol,
    breakdown: PriceBreakdown,
    pay_to: Wallet,
    expires_at: Timestamp,
    memo: String,
    lamports: String,
    /// Status and result of a private job need it as bearer token; an extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PriceBreakdown {
    base_price: Sol,
    file_size_fee: Sol,
    frame_fee: Sol,
    estimated_render_fee: Sol,
    platform_fee: Sol,
    total: Sol,
}

impl From<Breakdown> for PriceBreakdown {
    fn from(price: Breakdown) -> PriceBreakdown {
        PriceBreakdown {
            base_price: Sol(price.base_price),
            file_size_fee: Sol(price.file_size_fee),
            frame_fee: Sol(price.frame_fee),
            estimated_render_fee: Sol(price.estimated_render_fee),
            platform_fee: Sol(price.platform_fee),
            total: Sol(price.total),
        }
    }
}

impl From<Quote> for PaymentRequired {
    fn from(quote: Quote) -> PaymentRequired {
        PaymentRequired {
            job_id: quote.job,
            price: Sol(quote.price.total),
            breakdown: quote.price.into(),
            pay_to: quote.pay_to,
            expires_at: quote.expires,
            memo: quote.memo,
            lamports: quote.price.total.0.to_string(),
            access_token: quote.access_token,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RenderJob {
    id: JobId,
    client_wallet: Wallet,
    provider_id: ProviderId,
    status: &'static str,
    file_name: String,
    file_size: u64,
    settings: Value,
    estimated_price: Sol,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_tx: Option<TxSignature>,
    payment_status: &'static str,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    final_price: Option<Sol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    render_time: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_tx: Option<TxSignature>,
    /// `owed` until the money has left and is final, then `settled`; `direct` where the provider was paid by
    /// the client itself. An extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    settlement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Value>,
}

/// Milliseconds shown as seconds.
#[derive(Debug)]
struct Seconds(u64);

impl Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
        let number = serde_json::value::RawValue::from_string(text);
        number.map_err(serde::ser::Error::custom)?.serialize(to)
    }
}

impl From<JobView> for RenderJob {
    fn from(view: JobView) -> RenderJob {
        let status = status_word(&view);
        let JobView { job, progress, confirming } = view;
        let completed = job.state == State::Completed;
        let settings = &job.deal.settings;
        let mut shown = json!({
            "resolution": { "width": settings.width, "height": settings.height },
            "frames": { "start": settings.frames.start, "end": settings.frames.end },
            "outputFormat": settings.output,
        });
        if let Some(engine) = &settings.engine {
            shown["engine"] = engine.as_str().into();
        }
        if let Some(samples) = settings.samples {
            shown["samples"] = samples.into();
        }
        let settlement = settlement_word(&job).filter(|_| job.deal.inflow != Inflow::Reverted);
        let refund = job
            .deal
            .plan
            .as_ref()
            .is_some_and(|plan| plan.legs.iter().any(|leg| leg.kind == LegKind::Refund));
        RenderJob {
            id: job.id,
            client_wallet: job.deal.client,
            provider_id: job.deal.provider,
            status,
            file_name: job.deal.scene.name,
            file_size: job.deal.scene.bytes,
            settings: shown,
            estimated_price: Sol(job.deal.price.total),
            payment_tx: job.deal.payment.as_ref().map(|payment| payment.signature),
            payment_status: payment_word(job.deal.inflow, confirming),
            created_at: job.created,
            started_at: job.started.or(progress.as_ref().map(|progress| progress.started)),
            file_hash: job.deal.scene.sha256,
            final_price: completed.then_some(Sol(job.deal.price.total)),
            completed_at: job.ended.filter(|_| completed),
            render_time: job.result.as_ref().map(|result| Seconds(result.render_ms)),
            result_url: completed.then(|| format!("/render/{}/result", job.id)),
            // While it is tried again, the last failure is nobody's answer.
            error: job.error.filter(|_| job.state.is_final()),
            refund_tx: job.deal.out_tx.filter(|_| refund),
            settlement,
            expires_at: (job.state == State::AwaitingPayment).then_some(job.deal.expires),
            progress: progress.map(|p| {
                json!({
                    // What came after the last note of it is not written any more.
                    "framesDone": if completed { p.frames_total } else { p.frames_done },
                    "framesTotal": p.frames_total,
                    "frame": p.frame, "sample": p.sample, "samples": p.samples,
                })
            }),
        }
    }
}

/// The word for a job whose progress nobody has asked for.
pub(crate) fn status_of(job: framefair_app::market::MarketJob) -> &'static str {
    status_word(&JobView { job, progress: None, confirming: false })
}

fn status_word(view: &JobView) -> &'static str {
    match view.job.state {
        State::AwaitingPayment => "pending_payment",
        State::Completed => "completed",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
        _ if view.is_rendering() => "rendering",
        _ => "queued",
    }
}

fn payment_word(inflow: Inflow, confirming: bool) -> &'static str {
    match inflow {
        Inflow::None if confirming => "confirming",
        Inflow::None => "pending",
        Inflow::Confirmed | Inflow::Final => "confirmed",
        Inflow::Reverted => "failed",
    }
}

fn settlement_word(job: &MarketJob) -> Option<&'static str> {
    match job.deal.outflow {
        _ if job.deal.direct => Some("direct"),
        Outflow::Nothing => None,
        Outflow::Settled => Some("settled"),
        Outflow::Parked => Some("parked"),
        _ => Some("owed"),
    }
}
