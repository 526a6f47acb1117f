//! `framefair render`: the order of events from a scene on disk to frames on disk. Each step lives
//! in a file of its own.

mod ask;
mod pay;
mod quote;
mod scene;
mod watch;

use std::time::Duration;

use framefair_chain::Signer;
use framefair_domain::money::Lamports;
use framefair_domain::quote::Size;
use serde_json::json;
use tokio::time::sleep;

use self::scene::Scene;
use crate::args::Render;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::hub::said::Job;
use crate::hub::{Hub, HubError, Offer, Order, Sent};
use crate::place::{RpcUrl, rpc_beside};
use crate::providers::asks;
use crate::purse::{self, Purse};
use crate::record::{Next, Record, Records, Stage, VERSION};
use crate::result::{Target, bring};
use crate::screen::{Report, Screen};
use crate::settings::Settings;

const LOOK: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_secs(2);
/// An upload that breaks off is begun again so often; the idempotency key makes it one job.
const UPLOADS_MAX: u32 = 3;

/// What every step needs.
struct Run<'a> {
    args: &'a Render,
    screen: &'a Screen,
    hub: Hub,
    rpc: RpcUrl,
    signer: Signer,
    records: Records,
    scene: Scene,
    settings: Settings,
}

pub(crate) async fn run(args: &Render, screen: &Screen) -> Result<Report, Failure> {
    let path = args.scene.clone();
    let looked = tokio::task::spawn_blocking(move || scene::look(&path)).await;
    let scene = looked
        .map_err(|error| Failure::new(Exit::Files, "the scene could not be read", error))??;
    let rpc = rpc_beside(Some(&args.hub.hub), args.chain.rpc.as_ref())?;
    let signer = purse::load(&args.wallet.wallet)?;
    let records = Records::of(&args.out);
    records.prepare()?;
    let settings = Settings {
        resolution: args.size,
        frames: args.frames,
        engine: args.engine,
        samples: args.samples,
        output_format: args.format,
    };
    let hub = Hub::new(args.hub.hub.clone())?;
    let run = Run { args, screen, hub, rpc, signer, records, scene, settings };
    if run.hub.url.is_open_to_others() {
        screen.note("Warning: the hub is reached without encryption; anyone on the way can change what it says.");
    }
    let mut record = match run.unfinished().await? {
        Some(record) => record,
        None => run.buy().await?,
    };
    let patience = Duration::from_secs(args.timeout);
    let job = match watch::until_done(&run.hub, &record, patience, screen).await {
        Ok(job) => job,
        Err(failure) => {
            if matches!(failure.exit, Exit::JobFailed | Exit::Payment) {
                record.stage = Stage::Over;
                // Why the job ended matters more than that it could not be written down.
                drop(run.records.save(&record));
            }
            return Err(failure);
        }
    };
    run.receive(record, &job, patience).await
}

impl Run<'_> {
    /// The job of an earlier run of the same command, once its payment is certain.
    async fn unfinished(&self) -> Result<Option<Record>, Failure> {
        if self.args.new {
            return Ok(None);
        }
        let (hub, wallet) = (self.hub.url.to_string(), self.signer.wallet());
        let same = |r: &Record| r.is_same(&hub, &wallet, &self.scene.sha256, &self.settings);
        let Some(mut record) = self.records.find_open(same) else { return Ok(None) };
        let said = match self.hub.job(record.job, record.access_token.as_deref()).await {
            Ok((job, _)) => Some(job.status),
            Err(HubError::Refused { status: 404, .. }) => None,
            Err(error) => {
                let failure =
                    error.failure("an unfinished job could not be looked up", &self.hub.url);
                return Err(failure.member("job", record.job));
            }
        };
        self.screen.tell(
            "resumed",
            &format!("Going on with job {} of an earlier run.", record.job),
            json!({ "job": record.job }),
        );
        match record.next(said.as_ref()) {
            Next::Watch => Ok(Some(record)),
            Next::Forget => Ok(None),
            Next::SeePaymentThrough => {
                let purse = Purse::open(&self.rpc).await?;
                let through =
                    pay::see_through(&self.hub, &purse, &mut record, &self.records, self.screen)
                        .await?;
                Ok(through.then_some(record))
            }
        }
    }

    /// Sends the scene, shows the price, and pays it.
    async fn buy(&self) -> Result<Record, Failure> {
        // A chain that is away is said before a gigabyte is sent.
        let purse = Purse::open(&self.rpc).await?;
        let offer = self.order().await?;
        let own = self.signer.wallet();
        let sound = quote::check(&offer, &own, clock::now());
        let lamports = sound.map_err(|unsound| unsound.failure().member("job", offer.job_id))?;
        ask::show(&self.hub, &offer, self.screen).await;
        quote::within(lamports, self.args.max_price)
            .map_err(|failure| failure.member("job", offer.job_id))?;
        let mut record = self.record(&offer, lamports);
        let wallet_file = self.args.wallet.wallet.display().to_string();
        pay::afford(&purse, &self.signer, &record, &wallet_file).await?;
        if !self.args.yes {
            ask::consent(lamports).await.map_err(|failure| {
                failure
                    .member("job", offer.job_id)
                    .member("lamports", lamports.0)
                    .member("price", lamports.to_sol())
            })?;
        }
        pay::pay(&self.hub, &purse, &self.signer, &mut record, &self.records, self.screen).await?;
        Ok(record)
    }

    async fn order(&self) -> Result<Offer, Failure> {
        let key = uuid::Uuid::now_v7().to_string();
        let order = Order {
            scene: &self.scene.path,
            file_name: &self.scene.file_name,
            bytes: self.scene.bytes,
            settings: &self.settings,
            provider: self.args.provider,
            max_price: self.args.max_price,
            idempotency_key: &key,
        };
        let mut tries = 1;
        loop {
            match self.upload(&order).await {
                Ok(offer) => return Ok(offer),
                Err(error @ HubError::Unreachable(_)) if tries < UPLOADS_MAX => {
                    self.screen.note(&format!("The upload broke off ({error}); trying again."));
                    tries += 1;
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(self.refused(&error).await),
            }
        }
    }

    async fn upload(&self, order: &Order<'_>) -> Result<Offer, HubError> {
        let sent = Sent::default();
        let wallet = self.signer.wallet();
        let mut bar = self.screen.bytes("upload", Some(self.scene.bytes));
        let asking = self.hub.order(order, &wallet, &sent);
        tokio::pin!(asking);
        let offer = loop {
            tokio::select! {
                offer = &mut asking => break offer,
                () = sleep(LOOK) => bar.at(sent.bytes()),
            }
        };
        bar.at(sent.bytes());
        bar.end();
        offer
    }

    async fn refused(&self, error: &HubError) -> Failure {
        if let (Some(503), Some(max)) = (error.status(), self.args.max_price)
            // The hub looks only at providers within the limit; whether others are there, the list tells.
            && let Some(cheapest) = self.cheapest().await
            && let Err(failure) = quote::within(cheapest, Some(max))
        {
            return failure;
        }
        let failure = error.failure("the hub made no offer", &self.hub.url);
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
    async fn cheapest(&self) -> Option<Lamports> {
        let size =
            Size { bytes: self.scene.bytes, frames: self.scene.frames(&self.settings).count() };
        let (list, _) = self.hub.providers(Some("online")).await.ok()?;
        list.providers.iter().filter_map(|provider| asks(&provider.pricing, size)).min()
    }

    fn record(&self, offer: &Offer, lamports: Lamports) -> Record {
        Record {
            version: VERSION,
            stage: Stage::Offered,
            job: offer.job_id,
            hub: self.hub.url.to_string(),
            wallet: self.signer.wallet(),
            scene: self.scene.path.clone(),
            scene_sha256: self.scene.sha256.clone(),
            name: self.scene.name.clone(),
            settings: self.settings,
            frames: self.scene.frames(&self.settings),
            pay_to: offer.pay_to,
            lamports,
            memo: offer.memo.clone(),
            expires_at: offer.expires_at,
            access_token: offer.access_token.clone(),
            payment: None,
            files: Vec::new(),
        }
    }

    /// Downloads what was paid for.
    async fn receive(
        &self,
        mut record: Record,
        job: &Job,
        patience: Duration,
    ) -> Result<Report, Failure> {
        let target = Target {
            out: self.args.out.clone(),
            scratch: self.records.folder().to_owned(),
            name: record.name.clone(),
            frames: record.frames,
            picture: record.settings.output_format,
        };
        let token = record.access_token.clone();
        let files =
            bring(&self.hub, record.job, token.as_deref(), target, patience, self.screen).await?;
        record.stage = Stage::Done;
        record.files = files;
        self.records.save(&record)?;
        Ok(report(&record, job))
    }
}

fn report(record: &Record, job: &Job) -> Report {
    let files: Vec<String> = record.files.iter().map(|file| file.display().to_string()).collect();
    let payment = record.payment.and_then(|attempt| attempt.signature);
    let document = json!({
        "ok": true,
        "job": record.job,
        "status": job.status.word(),
        "files": files,
        "price": record.lamports.to_sol(),
        "lamports": record.lamports.0.to_string(),
        "paymentTx": payment,
        "provider": job.provider_id,
        "renderTime": job.render_time,
    });
    Report::new(files.join("\n"), &document)
}
