//! `framefair render`: the order of events from scenes on disk to frames on disk. Each step lives in a
//! file of its own.

mod ask;
mod order;
mod pay;
mod quote;
mod scene;
mod several;

use framefair_chain::Signer;
use framefair_domain::money::Lamports;
use serde_json::json;
use tokio::sync::OnceCell;

use self::scene::Scene;
use crate::args::Render;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::follow::{self, Pace};
use crate::hub::said::Job;
use crate::hub::{Hub, HubError, Offer};
use crate::place::{RpcUrl, rpc_beside};
use crate::purse::{self, Purse};
use crate::record::{Next, Record, Records, Stage, VERSION};
use crate::screen::{Report, Screen};
use crate::settings::Settings;

/// What every step needs.
struct Run<'a> {
    args: &'a Render,
    hub: Hub,
    rpc: RpcUrl,
    purse: OnceCell<Purse>,
    signer: Signer,
    records: Records,
    settings: Settings,
    pace: Pace,
}

/// One scene of the command, and where its news are shown.
struct Errand {
    scene: Scene,
    screen: Screen,
}

/// How far a scene is before this run pays for anything.
enum Stand {
    /// Its price is known.
    Offered(Box<Record>),
    /// An earlier run paid for it, and may have received it.
    Paid(Box<Record>),
}

pub(crate) async fn run(args: &Render, screen: &Screen) -> Result<Report, Failure> {
    let paths = args.scenes.clone();
    let looked = tokio::task::spawn_blocking(move || scene::look_at_all(&paths)).await;
    let scenes = looked
        .map_err(|error| Failure::new(Exit::Files, "the scenes could not be read", error))??;
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
    let together = u32::try_from(scenes.len()).unwrap_or(u32::MAX);
    let pace = Pace { patience: args.patience.time(), together };
    let hub = Hub::new(args.hub.hub.clone())?;
    let run = Run { args, hub, rpc, purse: OnceCell::new(), signer, records, settings, pace };
    if run.hub.url.is_open_to_others() {
        screen.note("Warning: the hub is reached without encryption; anyone on the way can change what it says.");
    }
    match <[Scene; 1]>::try_from(scenes) {
        Ok([scene]) => run.one(&Errand { scene, screen: screen.clone() }).await,
        Err(scenes) => several::render(&run, scenes, screen).await,
    }
}

impl Run<'_> {
    async fn one(&self, errand: &Errand) -> Result<Report, Failure> {
        let stand = self.stand(errand).await?;
        if let Stand::Offered(record) = &stand {
            self.agree(&[record]).await.map_err(|failure| failure.member("job", record.job))?;
        }
        let (record, job) = self.carry_out(stand, errand).await?;
        Ok(Report::new(record.files_text().join("\n"), &follow::document(&record, &job)))
    }

    /// Goes on with an earlier run's job of the same scene, or asks for the price of a new one.
    async fn stand(&self, errand: &Errand) -> Result<Stand, Failure> {
        if let Some(record) = self.unfinished(errand).await? {
            return Ok(Stand::Paid(Box::new(record)));
        }
        // A chain that is away is said before a gigabyte is sent.
        self.purse().await?;
        let offer = order::place(self, errand).await?;
        let of_job = |failure: Failure| failure.member("job", offer.job_id);
        let sound = quote::check(&offer, &self.signer.wallet(), clock::now());
        let lamports = sound.map_err(|unsound| of_job(unsound.failure()))?;
        if self.args.private && offer.access_token.is_none() {
            return Err(of_job(not_private()));
        }
        ask::show(&self.hub, &offer, &errand.screen).await;
        quote::within(lamports, self.args.max_price).map_err(of_job)?;
        Ok(Stand::Offered(Box::new(self.record(&errand.scene, &offer, lamports))))
    }

    /// The job of an earlier run of the same command, once its payment is certain.
    async fn unfinished(&self, errand: &Errand) -> Result<Option<Record>, Failure> {
        if self.args.new {
            return Ok(None);
        }
        let (hub, wallet) = (self.hub.url.to_string(), self.signer.wallet());
        let same = |r: &Record| {
            r.is_same(&hub, &wallet, &errand.scene.sha256, &self.settings)
                && r.name == errand.scene.name
                && (!self.args.private || r.access_token.is_some())
        };
        let open = self.records.find_open(same);
        let Some(mut record) = open.or_else(|| self.records.find_half_done(same)) else {
            return Ok(None);
        };
        let said = match self.hub.job(record.job, record.token_for(&self.hub)).await {
            Ok((job, _)) => Some(job.status),
            Err(HubError::Refused { status: 404, .. }) => None,
            Err(error) => {
                let failure =
                    error.failure("an unfinished job could not be looked up", &self.hub.url);
                return Err(failure.member("job", record.job));
            }
        };
        errand.screen.tell(
            "resumed",
            &format!("Going on with job {} of an earlier run.", record.job),
            json!({ "job": record.job }),
        );
        if record.is_here() {
            return Ok(Some(record));
        }
        match record.next(said.as_ref()) {
            Next::Watch => Ok(Some(record)),
            Next::Forget => Ok(None),
            Next::SeePaymentThrough => {
                let purse = self.purse().await?;
                let through =
                    pay::see_through(&self.hub, purse, &mut record, &self.records, &errand.screen);
                Ok(through.await?.then_some(record))
            }
        }
    }

    /// Makes sure that the wallet can pay all of these, and that its owner wants it.
    async fn agree(&self, offered: &[&Record]) -> Result<(), Failure> {
        let sum = total(offered)?;
        let wallet_file = self.args.wallet.wallet.display().to_string();
        let purse = self.purse().await?;
        pay::afford(purse, &self.signer, sum, offered.len() as u64, &wallet_file).await?;
        if self.args.yes {
            return Ok(());
        }
        ask::consent(sum, offered.len())
            .await
            .map_err(|failure| failure.member("lamports", sum.0).member("price", sum.to_sol()))
    }

    /// Pays what is not paid, and brings the frames.
    async fn carry_out(&self, stand: Stand, errand: &Errand) -> Result<(Record, Job), Failure> {
        let screen = &errand.screen;
        let record = match stand {
            Stand::Paid(record) => *record,
            Stand::Offered(mut record) => {
                let purse = self.purse().await?;
                pay::pay(&self.hub, purse, &self.signer, &mut record, &self.records, screen)
                    .await?;
                *record
            }
        };
        follow::home(&self.hub, &self.records, record, &self.args.out, self.pace, screen).await
    }

    async fn purse(&self) -> Result<&Purse, Failure> {
        self.purse.get_or_try_init(|| Purse::open(&self.rpc)).await
    }

    fn record(&self, scene: &Scene, offer: &Offer, lamports: Lamports) -> Record {
        Record {
            version: VERSION,
            stage: Stage::Offered,
            job: offer.job_id,
            hub: self.hub.url.to_string(),
            wallet: self.signer.wallet(),
            scene: scene.path.clone(),
            scene_sha256: scene.sha256.clone(),
            name: scene.name.clone(),
            settings: self.settings,
            frames: scene.frames(&self.settings),
            pay_to: offer.pay_to,
            lamports,
            memo: offer.memo.clone(),
            expires_at: offer.expires_at,
            access_token: offer.access_token.clone(),
            payment: None,
            together: Vec::new(),
            files: Vec::new(),
        }
    }
}

fn total(offered: &[&Record]) -> Result<Lamports, Failure> {
    let sum = offered.iter().try_fold(Lamports::ZERO, |sum, r| sum.checked_add(r.lamports));
    sum.ok_or_else(|| Failure::new(Exit::Payment, "the prices add up to more than there is", ""))
}

fn not_private() -> Failure {
    Failure::new(
        Exit::Refused,
        "the job would not be private",
        "the hub gave no token for it, so it would show the job to everybody who has its id",
    )
    .hint("Nothing was paid. Use another hub, or leave --private out.")
}
