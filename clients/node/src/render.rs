//! Carries out one order: one sandboxed Blender, all frames, each handed over as soon as it is whole.
//!
//! Knows where files lie and who may touch them. A frame leaves the folder that the sandbox can write
//! before anyone is told of it, so what is uploaded is no longer in a stranger's hands.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::fault::{Fault, NodeReason, SceneReason};
use crate::limits::Limits;
use crate::machine::{Device, Machine};
use crate::order::Order;
use crate::picture;
use crate::preflight::{self, Report, Said};
use crate::process::{self, Bounds};
use crate::sandbox::{Room, Sandbox};
use crate::verdict::{self, Heard};

/// What the scripts inside Blender consist of.
const SCRIPTS: &[(&str, &str)] = &[
    ("abilities.py", include_str!("blender/abilities.py")),
    ("load.py", include_str!("blender/load.py")),
    ("preflight.py", include_str!("blender/preflight.py")),
    ("render.py", include_str!("blender/render.py")),
    ("settings.py", include_str!("blender/settings.py")),
    ("talk.py", include_str!("blender/talk.py")),
];

/// Told while Blender works. `Sample` is dropped when nobody keeps up; the others never are.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Preflight(Report),
    Sample { frame: i32, sample: u32, samples: u32 },
    FrameSaved { frame: i32, path: PathBuf },
}

/// Every ordered frame, in the order's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    pub frames: Vec<(i32, PathBuf)>,
    /// From the start of Blender to its end.
    pub seconds: f64,
}

/// Renders `order` in `work`, a folder of the task's own; frames end up in `work/frames`.
///
/// Dropping the future ends the render like `cancel`.
pub async fn render(
    machine: &Machine,
    order: &Order,
    work: &Path,
    limits: &Limits,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
) -> Result<Rendered, Fault> {
    order.check()?;
    if !machine.formats.contains(&order.format) {
        let text = format!("this node's Blender cannot read {} files", order.format);
        return Err(Fault::node(NodeReason::Format, text));
    }
    let stop = cancel.child_token();
    let (machine, order, limits) = (machine.clone(), order.clone(), limits.clone());
    let (work, inner) = (work.to_owned(), stop.clone());
    process::on_own_thread(&stop, move || async move {
        Task { machine, order, work, limits, events, cancel: inner }.run().await
    })
    .await
    .map_err(|error| Fault::machine("a thread could not be started", error))?
}

struct Task {
    machine: Machine,
    order: Order,
    work: PathBuf,
    limits: Limits,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
}

impl Task {
    async fn run(self) -> Result<Rendered, Fault> {
        self.refuse_foreign_versions()?;
        let (scripts, out) = (self.work.join("scripts"), self.work.join("out"));
        self.prepare(&scripts, &out)
            .map_err(|error| Fault::machine("the task's folder could not be prepared", error))?;
        let scene = fs::canonicalize(&self.order.scene)
            .map_err(|error| Fault::machine("the scene is not where it was put", error))?;
        let room = Room {
            program: &self.machine.blender.path,
            with_folder: true,
            scripts: Some(&scripts),
            scene: Some((&scene, format!("scene{}", self.order.format))),
            out: Some(&out),
            gpu: self.machine.device == Device::Gpu,
        };
        self.write_order(&room, &scripts)
            .map_err(|error| Fault::machine("the order could not be written down", error))?;
        let threads = self.threads().to_string();
        let command = blender(&self.machine.sandbox, &room, &self.limits, "render.py", &threads);
        let bounds = Bounds {
            wall: self.limits.wall,
            cancel: self.cancel.clone(),
            output: Some((vec![out.clone(), self.work.join("frames")], self.limits.output_bytes)),
        };

        let started = Instant::now();
        let mut heard = Heard::default();
        let mut frames = Frames { task: &self, out: &out, current: None, saved: Vec::new() };
        let ended = process::run(command, &bounds, async |line: &str| {
            frames.hear(line, &mut heard).await;
        })
        .await
        .map_err(|error| Fault::node(NodeReason::Sandbox, format!("no Blender: {error}")))?;
        let saved = frames.saved;
        if let Some(fault) = verdict::of(&ended, &heard, &self.limits) {
            return Err(fault);
        }
        let frames = saved
            .into_iter()
            .collect::<Result<Vec<_>, Fault>>()
            .map_err(|fault| fault.with_log(heard.tail.text()))?;
        if frames.iter().map(|(frame, _)| frame).ne(&self.order.frames) {
            let text = format!("{} of {} frames came", frames.len(), self.order.frames.len());
            return Err(Fault::node(NodeReason::Output, text).with_log(heard.tail.text()));
        }
        Ok(Rendered { frames, seconds: started.elapsed().as_secs_f64() })
    }

    /// Blender crashes on files of its future instead of refusing them, so they never reach it.
    fn refuse_foreign_versions(&self) -> Result<(), Fault> {
        let unread = |error| Fault::machine("the scene could not be read", error);
        let file = fs::File::open(&self.order.scene).map_err(unread)?;
        let size = file.metadata().map_err(unread)?.len();
        let mut head = Vec::new();
        file.take(framefair_blend::HEAD_BYTES as u64).read_to_end(&mut head).map_err(unread)?;
        let name = format!("scene{}", self.order.format);
        let scene = framefair_blend::inspect(&name, &head, size)
            .map_err(|refused| Fault::scene(SceneReason::Unreadable, refused.to_string()))?;
        let (major, minor, _) = self.machine.blender.version;
        match scene.blender {
            Some(version) if (version.major, version.minor) > (major, minor) => Err(Fault::scene(
                SceneReason::NewerVersion,
                format!(
                    "the file needs Blender {version} and is unreadable by Blender {major}.{minor}"
                ),
            )),
            _ => Ok(()),
        }
    }

    fn threads(&self) -> u32 {
        // Blender's own bound of threads is 1024.
        self.order.threads.unwrap_or(self.machine.cores).clamp(1, 1024)
    }

    /// Fresh folders: whatever an earlier attempt left in them is gone.
    fn prepare(&self, scripts: &Path, out: &Path) -> std::io::Result<()> {
        for folder in [scripts, out, &self.work.join("frames")] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => fs::create_dir_all(folder)?,
            }
        }
        write_scripts(scripts)
    }

    fn write_order(&self, room: &Room<'_>, scripts: &Path) -> std::io::Result<()> {
        let (order, seen) = (&self.order, self.machine.sandbox.seen(room));
        let text = json!({
            "scene": seen.scene,
            "format": order.format,
            "out": seen.out,
            "frames": order.frames,
            "width": order.width,
            "height": order.height,
            "engine": order.engine.map(|engine| engine.word()),
            "samples": order.samples,
            "output": order.output.word(),
            "seed": order.seed,
            "threads": self.threads(),
            "device": self.machine.device.word(),
            "offers": self.machine.engines.iter().map(|engine| engine.word()).collect::<Vec<_>>(),
        });
        fs::write(scripts.join("order.json"), text.to_string())
    }
}

/// The frames of a running task as Blender names them.
struct Frames<'a> {
    task: &'a Task,
    out: &'a Path,
    current: Option<i32>,
    saved: Vec<Result<(i32, PathBuf), Fault>>,
}

impl Frames<'_> {
    async fn hear(&mut self, line: &str, heard: &mut Heard) {
        let Some(said) = preflight::said(line) else {
            if let (Some(frame), Some((sample, samples))) = (self.current, preflight::samples(line))
            {
                // Full or closed: progress is a courtesy.
                let _ = self.task.events.try_send(Event::Sample { frame, sample, samples });
            } else if !line.trim_start().starts_with("Fra:") {
                heard.tail.push(line);
            }
            return;
        };
        match said {
            Said::Loading => heard.started = true,
            Said::Preflight { report } => self.tell(Event::Preflight(report)).await,
            Said::Frame { frame } => self.current = Some(frame),
            Said::Saved { frame } => self.take(frame).await,
            Said::Done => heard.done = true,
            Said::Fault { whose, reason, message } => {
                heard.fault.get_or_insert((whose, reason, message));
            }
            Said::Looking | Said::Abilities { .. } => {}
        }
    }

    /// Takes a finished frame out of the sandbox's reach. Only the next expected one counts, and its
    /// name is ours: nothing that was printed becomes a path.
    async fn take(&mut self, frame: i32) {
        let order = &self.task.order;
        if self.saved.iter().any(Result::is_err)
            || order.frames.get(self.saved.len()) != Some(&frame)
        {
            return;
        }
        let name = order.file_name(frame);
        let kept = self.task.work.join("frames").join(&name);
        let flaw = match fs::rename(self.out.join(&name), &kept) {
            Err(error) => Some(format!("is not there: {error}")),
            Ok(()) => picture::flaw(&kept, order.output, order.width, order.height),
        };
        if let Some(flaw) = flaw {
            let fault = Fault::node(NodeReason::Output, format!("frame {frame} {flaw}"));
            self.saved.push(Err(fault));
            return;
        }
        self.saved.push(Ok((frame, kept.clone())));
        self.tell(Event::FrameSaved { frame, path: kept }).await;
    }

    async fn tell(&self, event: Event) {
        // A caller who stopped listening still gets the result.
        let _ = self.task.events.send(event).await;
    }
}

pub(crate) fn write_scripts(folder: &Path) -> std::io::Result<()> {
    SCRIPTS.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
}

/// A Blender that starts one of our scripts and nothing else: no start file, no sound, no auto-run.
pub(crate) fn blender(
    sandbox: &Sandbox,
    room: &Room<'_>,
    limits: &Limits,
    script: &str,
    threads: &str,
) -> std::process::Command {
    let script = sandbox.seen(room).scripts.join(script).into_os_string();
    let mut args: Vec<OsString> =
        ["-b", "--factory-startup", "-noaudio", "-Y", "-t", threads].map(OsString::from).into();
    args.extend(["--python-exit-code".into(), "9".into(), "--python".into(), script]);
    sandbox.command(room, limits, &args)
}
