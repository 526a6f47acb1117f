//! A scene comes in, a provider is chosen, and the price is fixed for fifteen minutes.

use std::path::PathBuf;

use framefair_domain::frames::FrameRange;
use framefair_domain::id::{JobId, ProviderId};
use framefair_domain::job::State;
use framefair_domain::money::Lamports;
use framefair_domain::quote::{self, Breakdown, QUOTE_TTL_MS};
use framefair_domain::scheduling::{Candidate, Need, choose};
use framefair_domain::settlement::{Inflow, Outflow};
use framefair_domain::time::{MINUTE_MS, Timestamp};
use framefair_domain::wallet::Wallet;
use framefair_store::rows::{JobRow, OutputFormat, ProviderRow, SceneRow, Settings, Status, Task};
use framefair_store::{When, Write, keys};

use super::view::token_hash;
use crate::provider::Listed;
use crate::{Call, Ctx, Refusal, provider};

/// What the client asks for, as far as the edge could read it.
#[derive(Debug)]
pub struct Submission {
    pub client: Wallet,
    pub scene: SpooledScene,
    pub provider: Option<ProviderId>,
    pub settings: WantedSettings,
    pub price_max: Option<Lamports>,
    /// Only who shows the quote's token may read the job.
    pub private: bool,
}

/// A scene file that the edge has written to disk while it came in.
#[derive(Debug)]
pub struct SpooledScene {
    pub path: PathBuf,
    /// The client's name for it; hostile.
    pub name: String,
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
    /// Its first bytes, up to `framefair_blend::HEAD_BYTES`.
    pub head: Vec<u8>,
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
    /// What opens a private job; shown here and never again.
    pub access_token: Option<String>,
}

pub async fn request(ctx: &Ctx, call: &mut Call, submission: Submission) -> Result<Offer, Refusal> {
    let Submission { client, scene, provider: named, settings, price_max, private } = submission;
    ctx.refuse_escrow_as_party(&client)?;
    if scene.bytes > ctx.platform.scene_bytes_max {
        let max = ctx.platform.scene_bytes_max >> 20;
        return Err(Refusal::Invalid(format!("the scene is larger than {max} MiB")));
    }
    let seen = framefair_blend::inspect(&scene.name, &scene.head, scene.bytes)?;
    let file_start = seen.frames.as_ref().map_or(1, |frames| frames.start);
    let frames = settings.frames.unwrap_or(FrameRange::single(file_start));
    let blender = seen.blender.as_ref().map(|version| (version.major, version.minor));
    let within = |range: &framefair_blend::FrameRange| {
        range.start <= frames.start && frames.end <= range.end
    };
    let own_range = frames.count() > 1 && seen.frames.as_ref().is_some_and(within);
    let need = Need {
        format: seen.format.to_string(),
        blender,
        engine: settings.engine.clone(),
        bytes: scene.bytes,
        frames: frames.count(),
    };

    let (provider, price) = match named {
        Some(id) => named_provider(ctx, id, &need, price_max).await?,
        None => cheapest_provider(ctx, call, &need, price_max).await?,
    };

    let (width, height) = settings.resolution.unwrap_or(RESOLUTION_DEFAULT);
    let id = JobId::new(call.now, call.entropy());
    let expires = call.now.plus_ms(QUOTE_TTL_MS);
    let token = private.then(|| hex::encode(call.entropy::<32>()));
    let job = JobRow {
        id,
        rev: 1,
        state: State::AwaitingPayment,
        client,
        provider: provider.id,
        pay_to: ctx.platform.escrow,
        created: call.now,
        expires,
        scene: SceneRow {
            name: framefair_blend::safe_file_name(&scene.name),
            bytes: scene.bytes,
            sha256: scene.sha256,
            blender,
        },
        settings: Settings {
            width,
            height,
            frames,
            engine: settings.engine,
            samples: settings.samples,
            output: settings.output,
            own_range,
        },
        price,
        payment: None,
        task: Task::default(),
        started: None,
        ended: None,
        result: None,
        error: None,
        inflow: Inflow::None,
        outflow: Outflow::Nothing,
        plan: None,
        out_tx: None,
        kept: Vec::new(),
        out_used: 0,
        reader: token.as_deref().map(token_hash),
        // Soon, in case a hint is lost; a small job is done by then.
        due: Some(call.now.plus_ms(FIRST_LOOK_MS)),
    };
    // The scene first: a job without its scene could be paid for and never rendered.
    ctx.store
        .objects()
        .put_file(&job.scene_object(), &scene.path, "application/octet-stream", false)
        .await?;
    ctx.store.write(Write::put(&job, When::Absent)).await?;
    tracing::info!(job = %id, provider = %provider.id, lamports = price.total.0, "Quoted a job");
    Ok(Offer::PaymentDue(Box::new(Quote {
        job: id,
        price,
        pay_to: job.pay_to,
        expires,
        memo: job.terms().memo(),
        access_token: token,
    })))
}

/// The provider that the client named: it may be busy, but it must be there and able.
async fn named_provider(
    ctx: &Ctx,
    id: ProviderId,
    need: &Need,
    price_max: Option<Lamports>,
) -> Result<(ProviderRow, Breakdown), Refusal> {
    let provider =
        ctx.store.get::<ProviderRow>(&keys::provider(id)).await?.ok_or(Refusal::NotFound)?;
    if !matches!(provider.status(), Status::Online | Status::Busy) {
        let status = provider.status().word();
        return Err(Refusal::NoProvider(format!(
            "No providers available: the provider you named is {status}; name another one, or none to let the hub choose"
        )));
    }
    if let Err(unable) = provider.abilities.can(need) {
        return Err(Refusal::Invalid(format!(
            "the provider you named cannot render this scene: it {unable}"
        )));
    }
    let price = price_of(need, &provider)?;
    if price_max.is_some_and(|max| price.total > max) {
        return Err(Refusal::NoProvider(format!(
            "No providers available: the provider you named asks {}, above your maxPrice",
            price.total
        )));
    }
    Ok((provider, price))
}

/// The cheapest of those that are online and able.
async fn cheapest_provider(
    ctx: &Ctx,
    call: &mut Call,
    need: &Need,
    price_max: Option<Lamports>,
) -> Result<(ProviderRow, Breakdown), Refusal> {
    let online = provider::with_status(ctx, Status::Online).await?;
    if online.is_empty() {
        return Err(Refusal::NoProvider("No providers available: none is online right now".into()));
    }
    let mut why_not = None;
    let mut able = Vec::new();
    for listed in &online {
        match listed.provider.abilities.can(need) {
            Ok(()) => able.push((listed, price_of(need, &listed.provider)?)),
            Err(unable) => why_not = Some(unable),
        }
    }
    if let (true, Some(unable)) = (able.is_empty(), why_not) {
        return Err(Refusal::NoProvider(format!(
            "No providers available: none of the {} online can render this scene; the last one asked {unable}",
            online.len()
        )));
    }
    let candidates: Vec<Candidate> = able.iter().map(|(l, price)| candidate(l, price)).collect();
    let chosen = choose(&candidates, call.lot()).ok_or(Refusal::Busy)?;
    if price_max.is_some_and(|max| chosen.total > max) {
        return Err(Refusal::NoProvider(format!(
            "No providers available: the cheapest asks {}, above your maxPrice",
            chosen.total
        )));
    }
    able.into_iter()
        .find(|(listed, _)| listed.provider.id == chosen.provider)
        .map(|(listed, price)| (listed.provider.clone(), price))
        .ok_or(Refusal::Busy)
}

pub(crate) fn candidate(listed: &Listed, price: &Breakdown) -> Candidate {
    Candidate {
        provider: listed.provider.id,
        total: price.total,
        rating_tenths: listed.rating_tenths,
        open: listed.open,
    }
}

pub(crate) fn price_of(need: &Need, provider: &ProviderRow) -> Result<Breakdown, Refusal> {
    let size = quote::Size { bytes: need.bytes, frames: need.frames };
    Ok(quote::price(size, &provider.tariff)?)
}
