//! A job of the market: its quote, its scene, and its settlement in lamports.

use framefair_domain::frames::FrameRange;
use framefair_domain::id::ProviderId;
use framefair_domain::money::Lamports;
use framefair_domain::payment::Terms;
use framefair_domain::quote::Breakdown;
use framefair_domain::settlement::{Inflow, LegKind, Outflow, Plan};
use framefair_domain::time::Timestamp;
use framefair_domain::wallet::{TxSignature, Wallet};
use serde::{Deserialize, Serialize};

use super::{Dealt, JobRow, is_zero};
use crate::keys;
use crate::rows::compact;

pub type MarketJob = JobRow<MarketDeal>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketDeal {
    #[serde(with = "compact")]
    pub client: Wallet,
    /// Who renders it: the quote's provider until escrow moves the job.
    #[serde(with = "compact")]
    pub provider: ProviderId,
    #[serde(with = "compact")]
    pub pay_to: Wallet,
    /// The client pays its provider, not escrow: nothing of that money is ever here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
    pub expires: Timestamp,
    pub scene: SceneRow,
    pub settings: Settings,
    pub price: Breakdown,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
    /// Until then a call waits for its payment to be seen; gone with the next write of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Timestamp>,
    pub inflow: Inflow,
    pub outflow: Outflow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The transaction that settled it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::option")]
    pub out_tx: Option<TxSignature>,
    /// Legs of the plan that became debts: too small for an empty wallet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<LegKind>,
    /// SHA-256 of the token without which nobody may read it, lower-case hex; anybody may where none is.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::option")]
    pub reader: Option<String>,
    /// Places of the way out that were used up before an operator put the payout back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub out_used: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SceneRow {
    /// Reduced to harmless characters.
    pub name: String,
    pub bytes: u64,
    /// Of the whole file, lower-case hex; none while nobody has read it as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::option")]
    pub sha256: Option<String>,
    /// Of the hashes of its parts, where it came in parts; lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::option")]
    pub tree: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blender: Option<(u16, u16)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputFormat {
    #[default]
    #[serde(rename = "PNG")]
    Png,
    #[serde(rename = "JPEG")]
    Jpeg,
    #[serde(rename = "EXR")]
    Exr,
}

impl OutputFormat {
    /// The largest picture that can be verified, and so be sold: one of EXR takes four times the memory of one
    /// of the others.
    pub const fn pixels_max(self) -> u64 {
        match self {
            OutputFormat::Png | OutputFormat::Jpeg => 64 << 20,
            OutputFormat::Exr => 32 << 20,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub width: u32,
    pub height: u32,
    pub frames: FrameRange,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    pub output: OutputFormat,
    /// These are several frames of the file's own range: they cannot all be alike if it has keyframes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_range: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    #[serde(with = "compact")]
    pub signature: TxSignature,
    pub slot: u64,
    pub lamports: Lamports,
    pub accepted: Timestamp,
}

/// A result that passed; its place and name follow from the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    pub bytes: u64,
    pub render_ms: u64,
    /// SHA-256 of the decoded pixels of a single frame, lower-case hex; several lie in an object beside the result.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::option")]
    pub pixels: Option<String>,
}

impl Dealt for MarketDeal {
    fn listed(&self) -> Option<(String, String)> {
        None
    }

    fn written(&mut self) {
        self.waiting = None;
    }
}

impl OutputFormat {
    pub const fn extension(self) -> &'static str {
        match self {
            OutputFormat::Png => "png",
            OutputFormat::Jpeg => "jpg",
            OutputFormat::Exr => "exr",
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            OutputFormat::Png => "image/png",
            OutputFormat::Jpeg => "image/jpeg",
            OutputFormat::Exr => "image/x-exr",
        }
    }
}

impl SceneRow {
    /// Extension with its dot, lower case.
    pub fn format(&self) -> String {
        let extension = self.name.rsplit_once('.').map_or("", |(_, extension)| extension);
        format!(".{}", extension.to_ascii_lowercase())
    }

    /// The file name without its extension.
    pub fn stem(&self) -> &str {
        self.name.rsplit_once('.').map_or(self.name.as_str(), |(stem, _)| stem)
    }
}

impl MarketJob {
    pub fn terms(&self) -> Terms {
        Terms {
            job: self.id,
            client: self.deal.client,
            pay_to: self.deal.pay_to,
            lamports: self.deal.price.total,
            created: self.created,
            expires: self.deal.expires,
        }
    }

    pub fn scene_object(&self) -> String {
        keys::object::scene(self.id, &self.deal.scene.name)
    }

    /// The name of one frame's file.
    pub fn frame_name(&self, frame: i32) -> String {
        let sign = if frame < 0 { "-" } else { "" };
        let (stem, extension) = (self.deal.scene.stem(), self.deal.settings.output.extension());
        format!("{stem}_{sign}{:04}.{extension}", frame.unsigned_abs())
    }

    /// The name of the file that the client gets: the one picture, or a zip of all.
    pub fn result_name(&self) -> String {
        match self.deal.settings.frames.count() {
            1 => self.frame_name(self.deal.settings.frames.start),
            _ => format!("{}.zip", self.deal.scene.stem()),
        }
    }

    pub fn result_type(&self) -> &'static str {
        match self.deal.settings.frames.count() {
            1 => self.deal.settings.output.content_type(),
            _ => "application/zip",
        }
    }

    /// What is served, under the lease that delivered it: a finished job is leased no more.
    pub fn result_object(&self) -> String {
        keys::object::result(self.id, self.task.epoch, &self.result_name())
    }

    /// The frames that its one task renders.
    pub fn frames(&self) -> Vec<i32> {
        self.deal.settings.frames.list()
    }
}
