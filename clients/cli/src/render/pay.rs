//! From an accepted offer to a payment that the hub has taken. Written down at every step, so that
//! whatever stops this program, no second payment is made.

use std::time::Duration;

use framefair_chain::Signer;
use framefair_domain::money::Lamports;
use framefair_domain::time::{MINUTE_MS, SECOND_MS, Timestamp};
use framefair_domain::wallet::TxSignature;
use serde_json::json;
use tokio::time::sleep;

use super::quote;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::hub::said::JobStatus;
use crate::hub::{Hub, HubError};
use crate::purse::{self, Outcome, Purse};
use crate::record::{Record, Records, Stage};
use crate::screen::Screen;

/// Hubs take a payment whose block is at most this much younger than the offer's end.
const GRACE_MS: i64 = 120 * SECOND_MS;
/// However late it is, a payment is presented for this long.
const PRESENT_MIN_MS: i64 = MINUTE_MS;
const PAUSE: Duration = Duration::from_secs(1);

/// Refuses a wallet that cannot make so many payments, before anybody is asked and before anything is
/// signed.
pub(crate) async fn afford(
    purse: &Purse,
    signer: &Signer,
    sum: Lamports,
    payments: u64,
    wallet_file: &str,
) -> Result<(), Failure> {
    let balance = purse.balance(&signer.wallet()).await?;
    let fees = Lamports(purse::FEE.0.saturating_mul(payments));
    quote::affordable(balance, sum, fees, purse::RENT_MIN)
        .map_err(|short| short.failure(&signer.wallet(), wallet_file, purse.is_test_chain()))
}

/// Pays, and has the hub take it.
pub(crate) async fn pay(
    hub: &Hub,
    purse: &Purse,
    signer: &Signer,
    record: &mut Record,
    records: &Records,
    screen: &Screen,
) -> Result<(), Failure> {
    // From here on a payment may exist, so the record says so first.
    record.payment = Some(purse.begin().await?);
    record.stage = Stage::Paying;
    records.save(record)?;
    if record.expires_at <= clock::now().0 {
        over(record, records);
        return Err(quote::Unsound::Expired.failure());
    }
    let (to, lamports, memo) = (record.pay_to, record.lamports, record.memo.clone());
    let mut unsaved = None;
    let signed = |signature: TxSignature| {
        if let Some(attempt) = &mut record.payment {
            attempt.signature = Some(signature);
        }
        // A payment whose signature is not written down can still be found by its memo.
        unsaved = records.save(record).err();
    };
    let paid = purse.pay(signer, &to, lamports, &memo, signed).await;
    if let Some(failure) = unsaved {
        screen.note(&failure.to_string());
    }
    let signature = match paid {
        Ok(signature) => signature,
        Err(error) => {
            use framefair_chain::wallet::PayError;
            if !matches!(error, PayError::Unknown { .. }) {
                over(record, records);
            }
            return Err(purse::pay_failure(&error).member("job", record.job));
        }
    };
    screen.tell(
        "paid",
        &format!("Paid {} in transaction {signature}.", record.lamports),
        json!({ "job": record.job, "paymentTx": signature, "lamports": record.lamports.0.to_string() }),
    );
    present(hub, signature, record, records).await
}

/// Follows a payment that an earlier run began. False when it moved nothing and never will.
pub(crate) async fn see_through(
    hub: &Hub,
    purse: &Purse,
    record: &mut Record,
    records: &Records,
    screen: &Screen,
) -> Result<bool, Failure> {
    let Some(attempt) = record.payment else { return Ok(false) };
    screen.note("An earlier run began to pay for this job; finding out what became of it.");
    match purse.fate(&attempt, &record.wallet, &record.memo).await? {
        Outcome::Nothing => {
            over(record, records);
            Ok(false)
        }
        Outcome::Landed(signature) => {
            record.payment = Some(crate::record::Attempt { signature: Some(signature), ..attempt });
            present(hub, signature, record, records).await.map(|()| true)
        }
    }
}

/// Presents a confirmed payment until the hub takes it or says why it never will.
async fn present(
    hub: &Hub,
    signature: TxSignature,
    record: &mut Record,
    records: &Records,
) -> Result<(), Failure> {
    let until =
        Timestamp(record.expires_at.saturating_add(GRACE_MS).max(clock::now().0 + PRESENT_MIN_MS));
    loop {
        let error = match hub.pay(record.job, &signature.to_string()).await {
            Ok(()) => break,
            Err(error) => error,
        };
        // 402 is "not found yet": the hub's node is a block or two behind ours.
        let may_pass = error.status() == Some(402) || error.may_pass();
        if !may_pass {
            if is_taken(hub, record).await {
                break;
            }
            over(record, records);
            return Err(refused(&error).member("job", record.job).member("paymentTx", signature));
        }
        if clock::now() > until {
            return Err(Failure::new(Exit::Network, "the hub has not taken the payment yet", &error)
                .hint("The money is on its way to the hub, which finds it by itself. Run the same command again to go on; it does not pay twice.")
                .member("job", record.job)
                .member("paymentTx", signature));
        }
        sleep(error.pause().unwrap_or(PAUSE)).await;
    }
    record.stage = Stage::Paid;
    records.save(record)
}

/// Whether the hub has the payment already, found by its own watch over the chain.
async fn is_taken(hub: &Hub, record: &Record) -> bool {
    let job = hub.job(record.job, record.token_for(hub)).await;
    job.is_ok_and(|(job, _)| {
        !matches!(
            job.status,
            JobStatus::PendingPayment | JobStatus::Cancelled | JobStatus::Other(_)
        )
    })
}

fn refused(error: &HubError) -> Failure {
    let code = error.code().map(|code| format!(" [{code}]")).unwrap_or_default();
    Failure::new(Exit::Payment, "the hub did not take the payment", format!("{error}{code}"))
        .hint("What reached its escrow wallet comes back by itself; `framefair status JOB` shows the refund.")
}

/// Nothing is left to follow. If this cannot be written, the next run finds the same out again.
fn over(record: &mut Record, records: &Records) {
    record.stage = Stage::Over;
    drop(records.save(record));
}
