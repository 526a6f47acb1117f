//! A thousand clients, each with a wallet and a plan of their own: most pay as they should.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use framefair_app::Refusal;
use framefair_app::market::{self, Offer, Quote};
use framefair_domain::signing::Once;
use framefair_domain::wallet::TxSignature;
use framefair_store::keys;
use framefair_store::rows::MarketJob;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Sim;
use crate::world::{Party, cancel_of, memo, transfer};

/// What every client starts with.
pub(super) const GIVEN: u64 = 100_000_000;
/// What one signature costs its sender.
pub(super) const FEE: u64 = 5_000;
const TRIES: u32 = 25;
/// So many are about their jobs at once.
const AT_ONCE: usize = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Pay,
    /// Three calls at once, for one payment.
    PayAndCallThrice,
    /// The call that names the payment never comes.
    PayInSilence,
    PayTooMuch,
    /// Not by enough to be sent back.
    PayALittleTooMuch,
    PayTooLittle,
    PayTwice,
    /// The transaction is gone from the chain after it was accepted.
    PayAndTakeItBack,
    PayAndCancel,
    NeverPay,
}

fn plan(lot: u32) -> Plan {
    match lot {
        0..480 => Plan::Pay,
        480..560 => Plan::PayAndCallThrice,
        560..640 => Plan::PayInSilence,
        640..700 => Plan::PayTooMuch,
        700..720 => Plan::PayALittleTooMuch,
        720..780 => Plan::PayTooLittle,
        780..830 => Plan::PayTwice,
        830..880 => Plan::PayAndTakeItBack,
        880..950 => Plan::PayAndCancel,
        _ => Plan::NeverPay,
    }
}

/// What became of a client's plan, as the client knows it.
pub(super) struct Story {
    pub(super) party: Party,
    pub(super) plan: Plan,
    /// None: nobody ever answered.
    pub(super) quote: Option<Quote>,
    /// What is on chain, with its lamports.
    pub(super) landed: Vec<(TxSignature, u64)>,
    /// What was, and is no more.
    pub(super) vanished: Option<TxSignature>,
}

pub(super) async fn all(sim: &Arc<Sim>) -> Vec<Story> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut clients = JoinSet::new();
    for n in 0..sim.weather.jobs {
        let (sim, places, plan) = (sim.clone(), places.clone(), plan(sim.below(1_000)));
        clients.spawn(async move {
            let _place = places.acquire().await.unwrap();
            client(&sim, n, plan).await
        });
    }
    clients.join_all().await
}

async fn client(sim: &Arc<Sim>, n: u32, plan: Plan) -> Story {
    let party = Party::numbered(n);
    sim.world.give(&party.wallet(), GIVEN).await;
    let mut story = Story { party, plan, quote: None, landed: Vec::new(), vanished: None };
    story.quote = quote(sim, &story.party).await;
    let Some(quote) = story.quote.clone() else { return story };
    if plan == Plan::NeverPay {
        return story;
    }
    let price = quote.price.total.0;
    let lamports = match plan {
        Plan::PayTooMuch => price + 40_000,
        Plan::PayALittleTooMuch => price + 4_999,
        Plan::PayTooLittle => price - 1,
        _ => price,
    };
    let paid = send(sim, &story.party, &quote, lamports, None).await;
    story.landed.push((paid, lamports));
    if plan == Plan::PayTwice {
        let again = send(sim, &story.party, &quote, lamports, Some("again")).await;
        story.landed.push((again, lamports));
    }
    let call = || call(sim, &quote, &paid);
    match plan {
        Plan::PayInSilence => {}
        Plan::PayAndCallThrice => {
            futures::join!(call(), call(), call());
        }
        _ => call().await,
    }
    match plan {
        Plan::PayAndTakeItBack => take_back(sim, &mut story, paid).await,
        Plan::PayAndCancel => cancel(sim, &story.party, &quote).await,
        _ => {}
    }
    watch(sim, &quote).await;
    story
}

async fn quote(sim: &Sim, party: &Party) -> Option<Quote> {
    let node = &sim.nodes[sim.below(sim.nodes.len() as u32) as usize];
    let named = sim.odds(700).then_some(node.id);
    for _ in 0..TRIES {
        let ask = || async {
            let mut submission = sim.world.submission(&party.wallet()).await;
            submission.provider = named;
            market::request(&sim.world.ctx, &mut sim.world.call(), submission).await
        };
        match sim.insist(TRIES, ask).await? {
            Ok(Offer::PaymentDue(quote)) => return Some(*quote),
            // It is not connected just now.
            Err(Refusal::NoProvider(_)) => sim.nap(100, 300).await,
            Err(other) => panic!("a quote was refused: {other:?}"),
        }
    }
    None
}

/// The client's own node never fails, and its transaction lands.
async fn send(
    sim: &Sim,
    party: &Party,
    quote: &Quote,
    lamports: u64,
    note: Option<&str>,
) -> TxSignature {
    let mut legs = vec![transfer(&party.wallet(), &quote.pay_to, lamports), memo(&quote.memo)];
    legs.extend(note.map(memo));
    let bytes = sim.world.sign(&legs, &[party]).await;
    let wire = json!([STANDARD.encode(&bytes), { "encoding": "base64", "skipPreflight": true }]);
    sim.world.rpc("sendTransaction", wire).await;
    let signature = framefair_chain::signature_of(&bytes).unwrap();
    while status(sim, &signature).await.is_null() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    signature
}

async fn status(sim: &Sim, of: &TxSignature) -> Value {
    sim.world.rpc("getSignatureStatuses", json!([[of]])).await["value"][0].clone()
}

async fn call(sim: &Sim, quote: &Quote, paid: &TxSignature) {
    for _ in 0..3 {
        let ask = || sim.world.pay(quote.job, paid);
        match sim.insist(TRIES, ask).await {
            Some(Err(Refusal::PaymentUnseen)) => {}
            // What is wrong with it comes to light in the end.
            _ => return,
        }
    }
}

async fn take_back(sim: &Sim, story: &mut Story, paid: TxSignature) {
    let Ok(gone) = sim.world.try_rpc("localnetDropTransaction", json!([paid])).await else {
        // It is final: there is no way back.
        return;
    };
    assert_eq!(gone, json!([paid]), "nothing else hangs on it");
    story.landed.clear();
    story.vanished = Some(paid);
}

async fn cancel(sim: &Sim, party: &Party, quote: &Quote) {
    sim.nap(1, 500).await;
    let ask = || {
        let nonce = format!("nonce-{:08}-{:08}", sim.below(u32::MAX), sim.below(u32::MAX));
        let once = Once { timestamp: sim.world.now(), nonce };
        let cancel = cancel_of(party, quote.job, once);
        async { market::cancel(&sim.world.ctx, &sim.world.call(), cancel).await }
    };
    match sim.insist(TRIES, ask).await {
        None | Some(Ok(_) | Err(Refusal::NotReady(_))) => {}
        Some(Err(other)) => panic!("a cancel was refused: {other:?}"),
    }
}

/// Looks at the job now and then for a while, like somebody who waits for a picture.
async fn watch(sim: &Sim, quote: &Quote) {
    for _ in 0..10 {
        sim.nap(1_500, 2_500).await;
        let job = sim.world.ctx.store.get::<MarketJob>(&keys::job(quote.job)).await;
        let at_rest = |job: &MarketJob| job.state.is_final() && job.due.is_none();
        if job.is_ok_and(|job| job.is_some_and(|job| at_rest(&job))) {
            return;
        }
    }
}
