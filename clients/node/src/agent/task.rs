//! One attempt from the scene's fetch to the last frame's upload. Runs whether the hub can be
//! reached or not, and ends when it is dropped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use framefair_domain::time::Timestamp;
use framefair_wire::market::{Assignment, Attempt, Fault as WireFault, FromProvider, Progress};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::News;
use super::api::now;
use super::folder::Folder;
use super::transfer::{self, Stored, Transfers};
use super::work::{self, Tools, Wanted};
use crate::fault::{Fault, NodeReason};
use crate::limits::Limits;
use crate::machine::Machine;
use crate::order::{Engine, Order, OutputFormat};
use crate::render::{Event, render};

/// What every task of this node shares.
pub(crate) struct TaskContext {
    pub(crate) machine: Machine,
    pub(crate) work: PathBuf,
    pub(crate) tools: Tools,
    pub(crate) outgoing: mpsc::Sender<FromProvider>,
    pub(crate) news: Box<dyn Fn(News) + Send + Sync>,
}

/// Where the hub wants a frame.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) frame: i32,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// A task in work; dropping it stops the render and removes its files.
pub(crate) struct Running {
    cancel: CancellationToken,
    grants: mpsc::Sender<Grant>,
}

const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// A hub takes a node that shows no sign of work for five minutes for lost.
const ALIVE_EVERY: Duration = Duration::from_secs(20);
/// The first sign, after which the job shows as rendering: a scene may be loaded for minutes before its first sample.
const ALIVE_FIRST: Duration = Duration::from_secs(3);
const EVENTS_MAX: usize = 256;
const GRANTS_MAX: usize = 64;
/// A frame whose upload was not granted in this time is asked for again.
const GRANT_WITHIN: Duration = Duration::from_secs(20);
const UPLOAD_TRIES: u32 = 8;

fn signs_of_life() -> tokio::time::Interval {
    tokio::time::interval_at(tokio::time::Instant::now() + ALIVE_FIRST, ALIVE_EVERY)
}

impl Running {
    pub(crate) fn start(context: Arc<TaskContext>, assignment: Assignment) -> Running {
        let attempt = assignment.attempt;
        Running::of(context, attempt, move |task| task.run(assignment))
    }

    /// The same for work that is no rendering of frames.
    pub(crate) fn perform(context: Arc<TaskContext>, wanted: Wanted) -> Running {
        let attempt = wanted.attempt;
        Running::of(context, attempt, move |task| task.perform(wanted))
    }

    fn of<F: Future<Output = ()> + Send + 'static>(
        context: Arc<TaskContext>,
        attempt: Attempt,
        run: impl FnOnce(Task) -> F + Send + 'static,
    ) -> Running {
        let cancel = CancellationToken::new();
        let (grants, granted) = mpsc::channel(GRANTS_MAX);
        let stop = cancel.clone();
        tokio::spawn(async move {
            let outgoing = context.outgoing.clone();
            let task = Task { context, attempt, granted, cancel: stop.clone() };
            let work = tokio::spawn(async move {
                let _ = stop.run_until_cancelled(run(task)).await;
            });
            // A fault of ours must not keep the hub waiting for this task.
            if let Err(error) = work.await {
                let (fault, error) = (WireFault::Node, format!("the agent failed: {error}"));
                drop(outgoing.send(FromProvider::Failed { attempt, fault, error }).await);
            }
        });
        Running { cancel, grants }
    }

    pub(crate) fn grant(&self, grant: Grant) {
        drop(self.grants.try_send(grant));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

struct Task {
    context: Arc<TaskContext>,
    attempt: Attempt,
    granted: mpsc::Receiver<Grant>,
    cancel: CancellationToken,
}

impl Task {
    async fn run(mut self, assignment: Assignment) {
        let job = self.attempt.job_id.to_string();
        (self.context.news)(News::Started { job: job.clone(), frames: assignment.frames.len() });
        let report = match self.carry_out(&assignment).await {
            Ok(render_ms) => {
                (self.context.news)(News::Delivered { job });
                FromProvider::Done { attempt: self.attempt, render_ms }
            }
            Err(fault) => {
                let error = format!("{}: {}", fault.code(), fault.message());
                (self.context.news)(News::Failed { job, why: error.clone() });
                let fault = if fault.is_scene() { WireFault::Scene } else { WireFault::Node };
                FromProvider::Failed { attempt: self.attempt, fault, error }
            }
        };
        drop(self.context.outgoing.send(report).await);
    }

    async fn perform(self, wanted: Wanted) {
        let job = self.attempt.job_id.to_string();
        (self.context.news)(News::Started { job: job.clone(), frames: 0 });
        let alive = self.say_alive(0);
        let begun = Instant::now();
        let done = work::carry_out(&self.context.tools, &wanted, self.cancel.clone()).await;
        drop(alive);
        let report = match done {
            Ok(()) => {
                (self.context.news)(News::Delivered { job });
                let render_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                FromProvider::Done { attempt: self.attempt, render_ms }
            }
            Err(fault) => {
                let error = format!("{}: {}", fault.code(), fault.message());
                (self.context.news)(News::Failed { job, why: error.clone() });
                let fault = if fault.is_payload() { WireFault::Scene } else { WireFault::Node };
                FromProvider::Failed { attempt: self.attempt, fault, error }
            }
        };
        drop(self.context.outgoing.send(report).await);
    }

    async fn carry_out(&mut self, assignment: &Assignment) -> Result<u64, Fault> {
        let alive = self.say_alive(count(assignment.frames.len()));
        let machine_fault = |what: &str, why: &dyn std::fmt::Display| {
            Fault::node(NodeReason::Machine, format!("{what}: {why}"))
        };
        let (mut work, mut stored) = Folder::open(&self.context.work, &self.attempt)
            .map_err(|error| machine_fault("the task's folder could not be made", &error))?;
        stored.retain(|frame| assignment.frames.contains(frame));
        if stored.len() == assignment.frames.len() {
            return Ok(0);
        }
        let transfers =
            Transfers::new().map_err(|error| machine_fault("no HTTP client", &error))?;
        let mut order = order(assignment, work.path())?;
        order.frames.retain(|frame| !stored.contains(frame));
        if !transfer::is_there(&assignment.scene, &order.scene).await {
            transfers
                .fetch(&assignment.scene, &order.scene)
                .await
                .map_err(|why| machine_fault("the scene could not be fetched", &why))?;
        }

        drop(alive);
        let (machine, cancel) = (self.context.machine.clone(), self.cancel.clone());
        let left_ms = u64::try_from(Timestamp(assignment.until).since_ms(now())).unwrap_or(0);
        let limits = Limits::for_machine(machine.cores, machine.memory_bytes)
            .until(Duration::from_millis(left_ms), machine.cores);
        let (events, mut heard) = mpsc::channel(EVENTS_MAX);
        let folder = work.path().to_owned();
        let rendering = tokio::spawn(async move {
            render(&machine, &order, &folder, &limits, events, cancel).await
        });
        let mut progress = Progress {
            frames_total: count(assignment.frames.len()),
            frames_done: count(stored.len()),
            ..Progress::default()
        };
        let mut told = Instant::now();
        let mut upload_failed = None;
        let mut signs = signs_of_life();
        loop {
            let event = tokio::select! {
                event = heard.recv() => match event {
                    Some(event) => event,
                    None => break,
                },
                _ = signs.tick() => {
                    let frame = FromProvider::Progress { attempt: self.attempt, progress };
                    drop(self.context.outgoing.try_send(frame));
                    continue;
                }
            };
            match event {
                Event::Preflight(_) => {}
                Event::Sample { frame, sample, samples } => {
                    progress = Progress { frame, sample, samples, ..progress };
                }
                Event::FrameSaved { frame, path } if upload_failed.is_none() => {
                    match self.upload(&transfers, frame, &path).await {
                        Ok(()) => {
                            stored.insert(frame);
                            // Rendered once more after a crash, at worst.
                            drop(work.has_stored(frame));
                            progress.frames_done = count(stored.len());
                            let job = self.attempt.job_id.to_string();
                            (self.context.news)(News::Frame { job, frame });
                        }
                        Err(why) => upload_failed = Some(why),
                    }
                }
                Event::FrameSaved { .. } => {}
            }
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                let frame = FromProvider::Progress { attempt: self.attempt, progress };
                drop(self.context.outgoing.try_send(frame));
            }
        }
        let rendered = rendering
            .await
            .map_err(|error| machine_fault("the render's thread ended", &error))??;
        if let Some(why) = upload_failed {
            return Err(machine_fault("a frame could not be uploaded", &why));
        }
        if let Some(frame) = assignment.frames.iter().find(|frame| !stored.contains(frame)) {
            return Err(machine_fault("a frame was not announced", frame));
        }
        Ok(milliseconds(rendered.seconds))
    }

    /// Says every while that the work goes on, also where there is nothing else to say.
    fn say_alive(&self, frames_total: u32) -> tokio_util::task::AbortOnDropHandle<()> {
        let (attempt, outgoing) = (self.attempt, self.context.outgoing.clone());
        let progress = Progress { frames_total, ..Progress::default() };
        tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            let mut signs = signs_of_life();
            loop {
                signs.tick().await;
                let fetching = FromProvider::Progress { attempt, progress };
                drop(outgoing.send(fetching).await);
            }
        }))
    }

    /// Asks for a place, and puts the frame there; both again while they fail.
    async fn upload(
        &mut self,
        transfers: &Transfers,
        frame: i32,
        path: &Path,
    ) -> Result<(), String> {
        let file = transfer::measure(path).await.map_err(|error| error.to_string())?;
        let mut why = String::new();
        for attempt in 0..UPLOAD_TRIES {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(500 << attempt.min(6))).await;
            }
            let Some(grant) = self.ask(frame, &file).await else {
                why = "the hub granted no place for it".to_owned();
                continue;
            };
            match transfers.put(&grant, path).await {
                Ok(()) => return Ok(()),
                Err(refused) => why = refused,
            }
        }
        Err(why)
    }

    async fn ask(&mut self, frame: i32, file: &Stored) -> Option<Grant> {
        let want = FromProvider::WantPut {
            attempt: self.attempt,
            frame,
            size: file.size,
            sha256: file.sha256.clone(),
        };
        self.context.outgoing.send(want).await.ok()?;
        let deadline = Instant::now() + GRANT_WITHIN;
        loop {
            let grant = tokio::time::timeout_at(deadline, self.granted.recv()).await.ok()??;
            // One for another frame answers an earlier question that was given up.
            if grant.frame == frame {
                return Some(grant);
            }
        }
    }
}

fn order(assignment: &Assignment, work: &Path) -> Result<Order, Fault> {
    let unknown = |what: &str| {
        Fault::node(
            NodeReason::Format,
            format!("the hub asked for {what}, which this node does not know"),
        )
    };
    let engine = match assignment.engine.as_deref() {
        None => None,
        Some("cycles") => Some(Engine::Cycles),
        Some("eevee") => Some(Engine::Eevee),
        Some(_) => return Err(unknown("an engine")),
    };
    let output = match assignment.output.as_str() {
        "PNG" => OutputFormat::Png,
        "JPEG" => OutputFormat::Jpeg,
        "EXR" => OutputFormat::Exr,
        _ => return Err(unknown("an output format")),
    };
    let known = assignment.scene.format.strip_prefix('.').is_some_and(|suffix| {
        (1..=8).contains(&suffix.len()) && suffix.bytes().all(|b| b.is_ascii_lowercase())
    });
    if !known {
        return Err(unknown("a file format"));
    }
    Ok(Order {
        scene: work.join(format!("scene{}", assignment.scene.format)),
        format: assignment.scene.format.clone(),
        frames: assignment.frames.clone(),
        width: assignment.width,
        height: assignment.height,
        engine,
        samples: assignment.samples,
        output,
        seed: 0,
        threads: None,
    })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a measured duration")]
fn milliseconds(seconds: f64) -> u64 {
    (seconds.clamp(0.0, 1e9) * 1_000.0) as u64
}
