//! A creator's render: the frame that the scene begins with, as a PNG. Their contract has no words for more.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use framefair_blend::{Format, HEAD_BYTES, inspect};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::transfer::Transfers;
use super::work::{Wanted, bring};
use crate::limits::Limits;
use crate::machine::Machine;
use crate::order::{Order, OutputFormat};
use crate::render;
use crate::runners::{Fault, Outcome, PayloadReason};

/// The `job_type` that asks for it.
pub(super) const WORD: &str = "render";
const SCENE_BYTES_MAX: u64 = 2 << 30;
const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1080;
const EVENTS_MAX: usize = 256;

pub(super) async fn render(
    machine: &Machine,
    transfers: &Transfers,
    wanted: &Wanted,
    work: &Path,
    left: Duration,
    stop: CancellationToken,
) -> Result<Outcome, Fault> {
    let bad = |why: String| Fault::payload(PayloadReason::Invalid, why);
    let name = match &wanted.input_name {
        Some(name) => name.as_str(),
        // Of an address, without what follows its path.
        None => wanted.payload.split(['?', '#']).next().unwrap_or_default(),
    };
    let format = Format::of_file_name(name).map_err(|refused| bad(refused.to_string()))?;
    let suffix = format.to_string();
    let path = work.join(format!("scene{suffix}"));
    bring(transfers, wanted, &path, SCENE_BYTES_MAX).await?;
    let lost = |error: std::io::Error| Fault::machine("the scene could not be read", error);
    let mut head = Vec::new();
    let file = std::fs::File::open(&path).map_err(lost)?;
    let bytes = file.metadata().map_err(lost)?.len();
    file.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(lost)?;
    let scene = inspect(name, &head, bytes).map_err(|refused| bad(refused.to_string()))?;
    let order = Order {
        scene: path,
        format: suffix,
        frames: vec![scene.frames.map_or(1, |frames| frames.start)],
        width: WIDTH,
        height: HEIGHT,
        engine: None,
        samples: None,
        output: OutputFormat::Png,
        seed: 0,
        threads: None,
    };
    let limits =
        Limits::for_machine(machine.cores, machine.memory_bytes).until(left, machine.cores);
    let (events, mut heard) = mpsc::channel(EVENTS_MAX);
    let rendering = render::render(machine, &order, work, &limits, events, stop);
    let listening = async { while heard.recv().await.is_some() {} };
    let (rendered, ()) = tokio::join!(rendering, listening);
    let rendered = rendered.map_err(|fault| {
        let why = format!("{}: {}", fault.code(), fault.message());
        if fault.is_scene() { bad(why) } else { Fault::machine("the render failed", why) }
    })?;
    let file = rendered.frames.into_iter().next().map(|(_, file)| file);
    let file = file.ok_or_else(|| Fault::machine("the render failed", "it made no frame"))?;
    Ok(Outcome { content_type: "image/png", file })
}
