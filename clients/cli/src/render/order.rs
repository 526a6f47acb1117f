//! Sends a scene and gets an offer for it, as often as it takes. Pays nothing.

use std::time::Duration;

use framefair_domain::money::Lamports;
use framefair_domain::quote::Size;
use tokio::time::sleep;

use super::{Errand, Run, quote};
use crate::exit::Failure;
use crate::hub::{HubError, Offer, Order, Sent};
use crate::providers::asks;

const LOOK: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_secs(2);
/// An upload that breaks off is begun again so often; the idempotency key makes it one job.
const UPLOADS_MAX: u32 = 3;
/// A hub takes ten orders a minute; with several scenes its pauses are kept so often.
const PAUSES_MAX: u32 = 5;

pub(super) async fn place(run: &Run<'_>, errand: &Errand) -> Result<Offer, Failure> {
    let key = uuid::Uuid::now_v7().to_string();
    let order = Order {
        scene: &errand.scene.path,
        file_name: &errand.scene.file_name,
        bytes: errand.scene.bytes,
        settings: &run.settings,
        provider: run.args.provider,
        max_price: run.args.max_price,
        private: run.args.private,
        idempotency_key: &key,
    };
    let (mut uploads, mut pauses) = (1, 0);
    loop {
        match upload(run, errand, &order).await {
            Ok(offer) => return Ok(offer),
            Err(error @ HubError::Unreachable(_)) if uploads < UPLOADS_MAX => {
                errand.screen.note(&format!("The upload broke off ({error}); trying again."));
                uploads += 1;
                sleep(PAUSE).await;
            }
            Err(error)
                if error.status() == Some(429) && run.pace.together > 1 && pauses < PAUSES_MAX =>
            {
                let pause = error.pause().unwrap_or(PAUSE);
                let seconds = pause.as_secs();
                errand.screen.note(&format!("The hub asks for a pause of {seconds} s."));
                pauses += 1;
                sleep(pause).await;
            }
            Err(error) => return Err(refused(run, errand, &error).await),
        }
    }
}

async fn upload(run: &Run<'_>, errand: &Errand, order: &Order<'_>) -> Result<Offer, HubError> {
    let sent = Sent::default();
    let wallet = run.signer.wallet();
    let mut bar = errand.screen.bytes("upload", Some(errand.scene.bytes));
    let asking = run.hub.order(order, &wallet, &sent);
    tokio::pin!(asking);
    let offer = loop {
        tokio::select! {
            offer = &mut asking => break offer,
            () = sleep(LOOK) => bar.at(sent.bytes()),
        }
    };
    bar.at(sent.bytes());
    offer
}

async fn refused(run: &Run<'_>, errand: &Errand, error: &HubError) -> Failure {
    if let (Some(503), Some(max)) = (error.status(), run.args.max_price)
        // The hub looks only at providers within the limit; whether others are there, the list tells.
        && let Some(cheapest) = cheapest(run, errand).await
        && let Err(failure) = quote::within(cheapest, Some(max))
    {
        return failure;
    }
    let failure = error.failure("the hub made no offer", &run.hub.url);
    match error.status() {
        Some(503) => failure.hint(
            "Nothing was paid. `framefair providers` shows who is online; fewer demands (--provider, --engine, --max-price) find more of them.",
        ),
        Some(404) => failure.hint("Nothing was paid. Check --provider with `framefair providers`, and the path in --hub."),
        Some(400 | 413 | 422) => failure.hint("Nothing was paid. Change the scene or the flags as the reason says."),
        _ => failure,
    }
}

/// What the job costs with the cheapest provider who is online, whether or not that one can do it.
async fn cheapest(run: &Run<'_>, errand: &Errand) -> Option<Lamports> {
    let scene = &errand.scene;
    let size = Size { bytes: scene.bytes, frames: scene.frames(&run.settings).count() };
    let (list, _) = run.hub.providers(Some("online")).await.ok()?;
    list.providers.iter().filter_map(|provider| asks(&provider.pricing, size)).min()
}
