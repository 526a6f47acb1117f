//! A scene comes in, a provider is chosen, and the price is fixed for fifteen minutes.

use framefair_domain::frames::FrameRange;
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::State;
use framefair_domain::money::Lamports;
use framefair_domain::quote::{Breakdown, QUOTE_TTL_MS};
use framefair_domain::scheduling::Need;
use framefair_domain::settlement::{Inflow, Outflow};
use framefair_domain::time::{MINUTE_MS, Timestamp};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::{MarketDeal, MarketJob, OutputFormat, SceneRow, Settings, Task};
use framefair_store::seam::over_again;
use framefair_store::{When, Write, WriteFailed};

use super::choice::{Offered, offered};
use super::scene::{Scene, Seen};
use super::view::token_hash;
use crate::idempotency::{Claim, Claiming, IdempotencyKey, Input};
use crate::uploads::{self, INLINE_BYTES_MAX};
use crate::{Call, Ctx, Refusal};

/// What the client asks for, as far as the edge could read it.
#[derive(Debug)]
pub struct Submission {
    pub client: Wallet,
    pub scene: Scene,
    pub provider: Option<ProviderId>,
    pub settings: WantedSettings,
    pub price_max: Option<Lamports>,
    /// Only who shows the quote's token may read the job.
    pub private: bool,
    pub key: Option<IdempotencyKey>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedSettings {
    pub resolution: Option<(u32, u32)>,
    pub frames: Option<FrameRange>,
    /// Lower case.
    pub engine: Option<String>,
    pub samples: Option<u32>,
    pub output: OutputFormat,
}

/// When the sweeper looks at a new job for the first time.
const FIRST_LOOK_MS: i64 = MINUTE_MS;
const RESOLUTION_DEFAULT: (u32, u32) = (1920, 1080);

/// There is no free job on the market: the good answer is a price.
#[derive(Debug)]
pub enum Offer {
    PaymentDue(Box<Quote>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    pub job: JobId,
    pub price: Breakdown,
    pub pay_to: Wallet,
    pub expires: Timestamp,
    pub memo: String,
    /// What opens a private job; shown here and to who repeats the request.
    pub access_token: Option<String>,
}

/// Prices a scene and keeps it for as long as the price stands. One number runs through it: an
/// upload's is the job's, and a repeated request finds its first one's, so whatever is doubled or
/// cut off ends in one job.
///
/// Two round trips to the table: everything that is read, and the job.
pub async fn request(ctx: &Ctx, call: &mut Call, submission: Submission) -> Result<Offer, Refusal> {
    ctx.refuse_escrow_as_party(&submission.client)?;
    let fresh = submission.scene.id().unwrap_or_else(|| JobId::new(call.now, call.entropy()));
    let claiming = submission.claiming();
    // The claim waits for nothing: what is refused beside it may be sent again.
    let claim = async {
        match &claiming {
            None => Ok(Claim::Ours),
            Some(claiming) => claiming.claim(ctx, call, &fresh.to_string()).await,
        }
    };
    let wallet = submission.client.to_string();
    // Only what was uploaded can be large.
    let room = uploads::room(ctx, submission.scene.id().map(|_| wallet));
    // Boxed: side by side these are large for a stack.
    let (seen, offered, room, claim) = tokio::try_join!(
        Box::pin(submission.scene.look(ctx, call)),
        Box::pin(offered(ctx, submission.provider)),
        Box::pin(room),
        Box::pin(claim)
    )?;
    let first = claim == Claim::Ours;
    let id = match (claim, &claiming) {
        (Claim::Made(made), Some(claiming)) => {
            match Box::pin(earlier(ctx, call, claiming, &made, fresh)).await? {
                Earlier::Job(job) => return answer(ctx, &submission.scene, *job).await,
                Earlier::Unmade(id) => id,
            }
        }
        _ => fresh,
    };
    let job = quoted(ctx, call, id, &submission, &seen, offered)?;
    let large = job.deal.scene.bytes > INLINE_BYTES_MAX;
    let entry = uploads::Entry {
        name: id.to_string(),
        bytes: job.deal.scene.bytes,
        until: job.deal.expires.plus_ms(2 * uploads::SCENE_AFTER_QUOTE_MS),
    };
    let reserve = async { if large { room.reserve(ctx, call, &entry).await } else { Ok(()) } };
    // Before the scene: until it is there nobody knows the job, and the sweeper knows what to
    // remove whatever happens.
    let put = ctx.store.write(Write::put(&job, When::Absent));
    let writes = Box::pin(async { tokio::join!(put, Box::pin(reserve)) });
    let (written, reserved) = if first { writes.await } else { over_again(writes).await };
    reserved?;
    match written {
        Ok(()) => {
            let lamports = job.deal.price.total.0;
            tracing::info!(job = %id, provider = %job.deal.provider, lamports, "Quoted a job");
            answer(ctx, &submission.scene, job).await
        }
        // The same request a moment before, or an upload that is a job already.
        Err(WriteFailed::Condition) => {
            let job = over_again(ctx.market_job(id)).await?;
            let job = job.ok_or(Refusal::Busy)?;
            if claiming.is_none() {
                return Err(Refusal::invalid("this upload is another job's scene already"));
            }
            answer(ctx, &submission.scene, job).await
        }
        Err(other) => Err(other.into()),
    }
}

impl Submission {
    /// The client's name for this request, with what makes it the same request.
    fn claiming(&self) -> Option<Claiming> {
        let key = self.key.as_ref()?;
        let account = self.client.to_string();
        let settings = &self.settings;
        let frames = settings.frames.map(|frames| (frames.start, frames.end));
        let wanted = format!(
            "{:?} {:?} {frames:?} {:?} {:?} {:?} {:?} {}",
            self.provider,
            settings.resolution,
            settings.engine,
            settings.samples,
            settings.output,
            self.price_max,
            self.private,
        );
        let input = Input::default().with(wanted).with(self.scene.identity());
        Some(Claiming::new(key, "POST /render", &account, input))
    }
}

/// What an earlier request of the same name has come to.
enum Earlier {
    Job(Box<MarketJob>),
    /// It was cut off, or is under way: this one may make the job, under that number.
    Unmade(JobId),
}

async fn earlier(
    ctx: &Ctx,
    call: &Call,
    claiming: &Claiming,
    made: &str,
    fresh: JobId,
) -> Result<Earlier, Refusal> {
    let mut made = made.to_owned();
    // The first job may be over, and somebody may just have renewed it.
    for _ in 0..2 {
        let id: JobId = made.parse().map_err(|_| Refusal::Busy)?;
        let job = ctx.market_job(id).await?;
        let Some(job) = job else { return Ok(Earlier::Unmade(id)) };
        let over = job.deal.payment.is_none() && job.deal.expires <= call.now;
        if !over {
            return Ok(Earlier::Job(Box::new(job)));
        }
        match over_again(claiming.renew(ctx, call, &made, &fresh.to_string())).await? {
            Claim::Ours => return Ok(Earlier::Unmade(fresh)),
            Claim::Made(other) => made = other,
        }
    }
    Err(Refusal::Busy)
}

/// The job as it will be, if somebody can render the scene.
fn quoted(
    ctx: &Ctx,
    call: &mut Call,
    id: JobId,
    submission: &Submission,
    seen: &Seen,
    offered: Offered,
) -> Result<MarketJob, Refusal> {
    let settings = &submission.settings;
    let file_start = seen.scene.frames.as_ref().map_or(1, |frames| frames.start);
    let frames = settings.frames.unwrap_or(FrameRange::single(file_start));
    let within = |range: &framefair_blend::FrameRange| {
        range.start <= frames.start && frames.end <= range.end
    };
    let own_range = frames.count() > 1 && seen.scene.frames.as_ref().is_some_and(within);
    let blender = seen.scene.blender.as_ref().map(|version| (version.major, version.minor));
    let need = Need {
        format: seen.scene.format.to_string(),
        blender,
        engine: settings.engine.clone(),
        bytes: seen.bytes,
        frames: frames.count(),
    };
    let (provider, price) = offered.choose(call, &need, submission.price_max)?;
    let direct = ctx.platform.direct;
    if direct && provider.wallet == submission.client {
        return Err(Refusal::invalid(
            "clientWallet: nobody can buy from itself here; clients pay their providers directly",
        ));
    }
    let (width, height) = settings.resolution.unwrap_or(RESOLUTION_DEFAULT);
    let token = submission.private.then(|| reader_token(ctx, id)).transpose()?;
    Ok(MarketJob {
        id,
        rev: 1,
        state: State::AwaitingPayment,
        created: call.now,
        task: Task::default(),
        started: None,
        ended: None,
        result: None,
        error: None,
        // Soon, in case a hint is lost; a small job is done by then.
        due: Some(call.now.plus_ms(FIRST_LOOK_MS)),
        deal: MarketDeal {
            client: submission.client,
            provider: provider.id,
            pay_to: if direct { provider.wallet } else { ctx.platform.escrow },
            direct,
            expires: call.now.plus_ms(QUOTE_TTL_MS),
            scene: SceneRow {
                name: framefair_blend::safe_file_name(&seen.name),
                bytes: seen.bytes,
                sha256: seen.sha256.clone(),
                tree: seen.tree.clone(),
                blender,
            },
            settings: Settings {
                width,
                height,
                frames,
                engine: settings.engine.clone(),
                samples: settings.samples,
                output: settings.output,
                own_range,
            },
            price,
            payment: None,
            waiting: None,
            inflow: Inflow::None,
            outflow: Outflow::Nothing,
            plan: None,
            out_tx: None,
            kept: Vec::new(),
            out_used: 0,
            reader: token.as_deref().map(token_hash),
        },
    })
}

/// The quote, once the scene is where the job expects it. A repeated request puts it again, since
/// the first one may have been cut off in between.
async fn answer(ctx: &Ctx, scene: &Scene, job: MarketJob) -> Result<Offer, Refusal> {
    if job.state == State::AwaitingPayment {
        Box::pin(scene.keep(ctx, &job)).await?;
    }
    let private = job.deal.reader.is_some();
    Ok(Offer::PaymentDue(Box::new(Quote {
        access_token: private.then(|| reader_token(ctx, job.id)).transpose()?,
        job: job.id,
        price: job.deal.price,
        pay_to: job.deal.pay_to,
        expires: job.deal.expires,
        memo: job.terms().memo(),
    })))
}

/// What opens a private job. It follows from the job, so that a repeated request is told the same.
fn reader_token(ctx: &Ctx, id: JobId) -> Result<String, Refusal> {
    Ok(ctx.upload_secret()?.reader_token(id))
}
