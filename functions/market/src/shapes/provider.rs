//! Providers as the contract shows and takes them.

use framefair_app::Refusal;
use framefair_app::provider::Listed;
use framefair_domain::id::ProviderId;
use framefair_domain::money::Lamports;
use framefair_domain::quote::{PRICE_MAX, Tariff};
use framefair_domain::scheduling::{Abilities, blender_version};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::Wallet;
use framefair_http::{Whole, strict_json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Sol, Tenths};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProviderView {
    id: ProviderId,
    name: String,
    wallet: Wallet,
    endpoint: String,
    spec: Box<RawValue>,
    pricing: Pricing,
    status: &'static str,
    rating: Tenths,
    completed_jobs: u64,
    registered_at: Timestamp,
    last_seen: Timestamp,
}

impl From<Listed> for ProviderView {
    fn from(listed: Listed) -> ProviderView {
        let status = listed.provider.status().word();
        let row = listed.provider;
        let spec = RawValue::from_string(row.spec).unwrap_or_default();
        ProviderView {
            id: row.id,
            name: row.name,
            wallet: row.wallet,
            endpoint: row.endpoint,
            spec,
            pricing: row.tariff.into(),
            status,
            rating: Tenths(listed.rating_tenths),
            completed_jobs: listed.completed,
            registered_at: row.registered,
            last_seen: row.seen,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pricing {
    price_per_frame: Sol,
    price_per_second: Sol,
    price_per_gb: Sol,
    minimum_price: Sol,
    currency: &'static str,
}

impl From<Tariff> for Pricing {
    fn from(tariff: Tariff) -> Pricing {
        Pricing {
            price_per_frame: Sol(tariff.frame),
            price_per_second: Sol(tariff.second),
            price_per_gb: Sol(tariff.gb),
            minimum_price: Sol(tariff.minimum),
            currency: "SOL",
        }
    }
}

/// `pricing` as received: its raw text is what a provider signs.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct RawPricing(pub Box<RawValue>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenPricing<'a> {
    #[serde(borrow)]
    price_per_frame: &'a RawValue,
    #[serde(borrow)]
    price_per_second: &'a RawValue,
    #[serde(borrow)]
    price_per_gb: &'a RawValue,
    #[serde(borrow)]
    minimum_price: &'a RawValue,
    currency: String,
}

impl RawPricing {
    pub(crate) fn text(&self) -> &str {
        self.0.get()
    }

    pub(crate) fn tariff(&self) -> Result<Tariff, Refusal> {
        let given: GivenPricing<'_> = serde_json::from_str(self.text())
            .map_err(|error| Refusal::Invalid(format!("pricing does not fit: {error}")))?;
        if given.currency != "SOL" {
            return Err(Refusal::invalid("pricing.currency: only `SOL`"));
        }
        let price = |name: &str, raw: &RawValue| {
            let read = Lamports::from_sol_rounded(raw.get());
            let read = read.map_err(|why| Refusal::Invalid(format!("pricing.{name}: {why}")))?;
            let fits = Some(read).filter(|price| *price <= PRICE_MAX);
            fits.ok_or_else(|| Refusal::Invalid(format!("pricing.{name}: at most 1000 SOL")))
        };
        Ok(Tariff {
            frame: price("pricePerFrame", given.price_per_frame)?,
            second: price("pricePerSecond", given.price_per_second)?,
            gb: price("pricePerGb", given.price_per_gb)?,
            minimum: price("minimumPrice", given.minimum_price)?,
        })
    }
}

/// `spec` as received.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Spec(Box<RawValue>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenSpec {
    gpus: Vec<GivenGpu>,
    gpu_count: Whole<u32>,
    total_vram: f64,
    max_file_size: f64,
    supported_formats: Vec<String>,
    blender_version: String,
    render_engines: Vec<String>,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Deserialize)]
struct GivenGpu {
    name: String,
    vram: f64,
}

const SPEC_BYTES_MAX: usize = 16 << 10;
const GPUS_MAX: usize = 64;
const WORDS_MAX: usize = 64;
const WORD_CHARS_MAX: usize = 100;
/// A provider's files are bounded by ours anyway.
const FILE_MB_MAX: f64 = 1_048_576.0;

impl Spec {
    pub(crate) fn text(&self) -> String {
        self.0.get().to_owned()
    }

    /// What of it decides who can render what.
    pub(crate) fn abilities(&self) -> Result<Abilities, Refusal> {
        if self.0.get().len() > SPEC_BYTES_MAX {
            return Err(Refusal::invalid("spec: at most 16 KiB"));
        }
        let given: GivenSpec = strict_json("it", self.0.get().as_bytes())
            .map_err(|refusal| Refusal::Invalid(format!("spec: {refusal}")))?;
        let words = |list: &[String]| {
            list.len() <= WORDS_MAX
                && list.iter().all(|word| word.chars().count() <= WORD_CHARS_MAX)
        };
        let lists = [&given.supported_formats, &given.render_engines, &given.features];
        let gpus = given.gpus.iter().all(|gpu| gpu.vram >= 0.0 && gpu.name.len() <= WORD_CHARS_MAX);
        if !lists.into_iter().all(|list| words(list))
            || !gpus
            || given.gpus.len() > GPUS_MAX
            || given.gpu_count.0 > 10_000
            || given.total_vram < 0.0
            || given.blender_version.len() > WORD_CHARS_MAX
        {
            return Err(Refusal::invalid("spec: a member is out of range, or a list too long"));
        }
        if !(0.0..=FILE_MB_MAX).contains(&given.max_file_size) {
            return Err(Refusal::invalid("spec.maxFileSize: 0 to 1048576 MB"));
        }
        let dotted = |format: &String| {
            let lower = format.to_ascii_lowercase();
            if lower.starts_with('.') { lower } else { format!(".{lower}") }
        };
        let has = |feature: &str| given.features.iter().any(|given| given == feature);
        Ok(Abilities {
            formats: given.supported_formats.iter().map(dotted).collect(),
            blender: blender_version(&given.blender_version),
            engines: given.render_engines.iter().map(|e| e.to_ascii_lowercase()).collect(),
            bytes_max: megabytes(given.max_file_size),
            frames: has("frames"),
            relay: has("relay"),
        })
    }
}

/// Whole bytes of a size that the contract gives in (possibly fractional) MB of 1,048,576.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
fn megabytes(mb: f64) -> u64 {
    (mb * 1_048_576.0) as u64
}
