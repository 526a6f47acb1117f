//! What one node works on, as its connection remembers it, and what each frame about it means.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use framefair_app::delivery::{self, Connected, Order, Put, Session, Work};
use framefair_app::jobs::{self, Delivery};
use framefair_app::uploads::PART_BYTES;
use framefair_app::verification;
use framefair_app::{Call, Ctx, JobState, Refusal, Report};
use framefair_domain::id::JobId;
use framefair_domain::time::Timestamp;
use framefair_wire::market::{
    Assignment, Attempt, Fault, FromProvider, Outcome, Progress, Scene, Task, ToProvider, Tree,
};

/// Progress is written at most this often, and not for tasks that are done sooner.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
const PROGRESS_AFTER: Duration = Duration::from_secs(2);
/// A delivery that had no verdict for this long is looked at again when the node repeats itself.
const VERIFY_AGAIN_AFTER: Duration = Duration::from_secs(60);

struct Known {
    assignment: Option<ToProvider>,
    accepted: bool,
    /// When the node reported it done; it waits for the verdict.
    reported: Option<Instant>,
    since: Instant,
    started: Timestamp,
    written: Option<Instant>,
}

pub(crate) struct Attempts<'a> {
    ctx: &'a Ctx,
    session: Session,
    /// Whether work is handed out over this socket; else only what the contract documents is said.
    works: bool,
    known: HashMap<Attempt, Known>,
}

type Answers = Vec<ToProvider>;

impl<'a> Attempts<'a> {
    pub(crate) fn new(ctx: &'a Ctx, connected: Connected) -> Attempts<'a> {
        let Connected { session, relay: works } = connected;
        Attempts { ctx, session, works, known: HashMap::new() }
    }

    /// A frame of the node.
    pub(crate) async fn take(&mut self, frame: FromProvider) -> Answers {
        let (about, answered) = match frame {
            FromProvider::Ready { slots } => return self.ready(slots).await,
            FromProvider::Accepted(attempt) => (attempt, self.accepted(attempt).await),
            FromProvider::Progress { attempt, progress } => {
                (attempt, self.progress(attempt, progress).await)
            }
            FromProvider::Declined { attempt, reason } => {
                tracing::info!(job = %attempt.job_id, reason, "A node declined a task");
                (attempt, self.declined(attempt).await)
            }
            FromProvider::WantPut { attempt, frame, size, sha256 } => {
                (attempt, self.want_put(attempt, frame, size, &sha256).await)
            }
            FromProvider::Done { attempt, render_ms, .. } => {
                (attempt, self.done(attempt, render_ms).await)
            }
            FromProvider::Failed { attempt, fault, error } => {
                (attempt, self.failed(attempt, fault, &error).await)
            }
            FromProvider::Auth { .. } | FromProvider::Heartbeat | FromProvider::Unknown => {
                return Vec::new();
            }
        };
        match answered {
            Ok(answers) => answers,
            Err(Refusal::StaleLease) => {
                self.known.remove(&about);
                vec![ToProvider::Stop(about)]
            }
            Err(refusal) => {
                tracing::warn!(job = %about.job_id, %refusal, "A node's frame could not be followed");
                vec![ToProvider::Error { error: refusal.to_string() }]
            }
        }
    }

    /// The node takes work now; what it holds from before is sent to it again.
    async fn ready(&mut self, slots: u32) -> Answers {
        match delivery::ready(self.ctx, &Call::live(), self.session, slots).await {
            Ok(held) => {
                let mut answers = Vec::new();
                for job in held {
                    answers.extend(self.look(job).await);
                }
                answers
            }
            Err(refusal) => {
                tracing::warn!(%refusal, "A node's readiness was not recorded");
                Vec::new()
            }
        }
    }

    /// Something about the job changed: work to hand out, a verdict, or an end.
    pub(crate) async fn look(&mut self, job: JobId) -> Answers {
        let order = match delivery::assignment(self.ctx, job).await {
            Ok(order) => order,
            Err(refusal) => {
                tracing::warn!(%job, %refusal, "A job could not be read");
                return Vec::new();
            }
        };
        let ours = order.filter(|order| order.lease.node == self.session.node);
        let current = ours.as_ref().map(|o| Attempt { job_id: job, epoch: o.epoch });
        let mut answers = self.settle_others(job, current).await;
        let (Some(order), Some(attempt)) = (ours, current) else { return answers };
        if !self.works {
            answers.extend(self.tell_paid(attempt, &order));
            return answers;
        }
        let known = self.know(attempt);
        if known.assignment.is_none() && !known.accepted {
            let assign = assignment(attempt, &order);
            known.assignment = Some(assign.clone());
            answers.extend(paid(attempt, &order));
            answers.push(assign);
        }
        answers
    }

    /// A provider that gets its tasks at its endpoint hears here that one is on its way, once.
    fn tell_paid(&mut self, attempt: Attempt, order: &Order) -> Option<ToProvider> {
        if self.known.contains_key(&attempt) {
            return None;
        }
        self.know(attempt);
        paid(attempt, order)
    }

    /// Ends what this connection remembers of the job under any other lease than `current`.
    async fn settle_others(&mut self, job: JobId, current: Option<Attempt>) -> Answers {
        let over: Vec<Attempt> = self
            .known
            .keys()
            .filter(|attempt| attempt.job_id == job && Some(**attempt) != current)
            .copied()
            .collect();
        let mut answers = Vec::new();
        for attempt in over {
            let reported =
                self.known.remove(&attempt).is_some_and(|known| known.reported.is_some());
            match verification::outcome(self.ctx, job, attempt.epoch).await {
                Ok(Some(state)) if reported => answers.push(settled(attempt, state)),
                Ok(Some(JobState::Cancelled)) => {
                    answers.push(ToProvider::JobCancelled { job_id: job });
                    answers.extend(self.works.then_some(ToProvider::Stop(attempt)));
                }
                _ if !self.works => {}
                _ => answers.push(ToProvider::Stop(attempt)),
            }
        }
        answers
    }

    /// Work that the node has not answered yet.
    pub(crate) fn unaccepted(&self) -> Answers {
        let waiting =
            self.known.values().filter(|known| !known.accepted && known.reported.is_none());
        waiting.filter_map(|known| known.assignment.clone()).collect()
    }

    async fn accepted(&mut self, attempt: Attempt) -> Result<Answers, Refusal> {
        let Some(known) = self.known.get_mut(&attempt) else { return Ok(Vec::new()) };
        known.accepted = true;
        if let Some(ToProvider::Perform(_)) = known.assignment {
            let (job, epoch) = (attempt.job_id, attempt.epoch);
            jobs::started(self.ctx, &Call::live(), self.session, job, epoch).await?;
        }
        Ok(Vec::new())
    }

    async fn declined(&mut self, attempt: Attempt) -> Result<Answers, Refusal> {
        let (job, epoch) = (attempt.job_id, attempt.epoch);
        self.known.remove(&attempt);
        delivery::decline(self.ctx, &Call::live(), self.session, job, epoch).await?;
        Ok(Vec::new())
    }

    async fn progress(&mut self, attempt: Attempt, progress: Progress) -> Result<Answers, Refusal> {
        // Only what was handed out over this socket is remembered.
        let Some(known) = self.known.get_mut(&attempt) else { return Ok(Vec::new()) };
        known.accepted = true;
        let early = known.since.elapsed() < PROGRESS_AFTER;
        if early || known.written.is_some_and(|at| at.elapsed() < PROGRESS_EVERY) {
            return Ok(Vec::new());
        }
        known.written = Some(Instant::now());
        let row = delivery::ProgressRow {
            job: attempt.job_id,
            epoch: attempt.epoch,
            frames_done: progress.frames_done,
            frames_total: progress.frames_total,
            frame: progress.frame,
            sample: progress.sample,
            samples: progress.samples,
            started: known.started,
            at: Call::live().now,
        };
        delivery::progress(self.ctx, self.session, row).await?;
        Ok(Vec::new())
    }

    async fn want_put(
        &mut self,
        attempt: Attempt,
        frame: i32,
        size: u64,
        sha256: &str,
    ) -> Result<Answers, Refusal> {
        let sha256 = hex::decode(sha256).ok().and_then(|bytes| bytes.try_into().ok());
        let sha256 = sha256.ok_or_else(|| Refusal::invalid("sha256: 64 hex digits"))?;
        let put = Put { frame, size, sha256 };
        let (job, epoch) = (attempt.job_id, attempt.epoch);
        let granted = delivery::want_put(self.ctx, self.session, job, epoch, put).await?;
        let (url, headers) = (granted.url, granted.headers);
        Ok(vec![ToProvider::GrantPut { attempt, frame, url, headers }])
    }

    async fn done(&mut self, attempt: Attempt, render_ms: u64) -> Result<Answers, Refusal> {
        // A repeated report is not verified again before the first had its time.
        let waiting = self.known.get(&attempt).and_then(|known| known.reported);
        if waiting.is_some_and(|at| at.elapsed() < VERIFY_AGAIN_AFTER) {
            return Ok(Vec::new());
        }
        match self.report(attempt, render_ms).await {
            Ok(()) => {
                self.know(attempt).reported = Some(Instant::now());
                Ok(Vec::new())
            }
            // Repeated after the verdict: the answer was lost, so give it again.
            Err(Refusal::StaleLease) => {
                let state = verification::outcome(self.ctx, attempt.job_id, attempt.epoch).await?;
                self.known.remove(&attempt);
                Ok(state.map(|state| settled(attempt, state)).into_iter().collect())
            }
            Err(refusal) => Err(refusal),
        }
    }

    async fn report(&self, attempt: Attempt, render_ms: u64) -> Result<(), Refusal> {
        let (job, epoch) = (attempt.job_id, attempt.epoch);
        let known = self.known.get(&attempt).and_then(|known| known.assignment.as_ref());
        if let Some(ToProvider::Perform(task)) = known {
            let delivery = Delivery::At(&task.result_ref);
            return jobs::deliver(self.ctx, &Call::live(), self.session, job, epoch, delivery)
                .await;
        }
        let report = Report { epoch, render_ms };
        delivery::done(self.ctx, self.session, job, report).await.map(drop)
    }

    async fn failed(
        &mut self,
        attempt: Attempt,
        fault: Fault,
        error: &str,
    ) -> Result<Answers, Refusal> {
        let (job, epoch) = (attempt.job_id, attempt.epoch);
        let scene = fault == Fault::Scene;
        self.known.remove(&attempt);
        let call = Call::live();
        let outcome =
            match delivery::failed(self.ctx, &call, self.session, job, epoch, scene, error).await {
                Ok(_) => Outcome::Recorded,
                Err(Refusal::StaleLease) => Outcome::Stale,
                Err(refusal) => return Err(refusal),
            };
        Ok(vec![ToProvider::Settled { attempt, outcome }])
    }

    fn know(&mut self, attempt: Attempt) -> &mut Known {
        self.known.entry(attempt).or_insert_with(|| Known {
            assignment: None,
            accepted: false,
            reported: None,
            since: Instant::now(),
            started: Call::live().now,
            written: None,
        })
    }
}

fn settled(attempt: Attempt, state: JobState) -> ToProvider {
    let outcome = match state {
        JobState::Completed => Outcome::Completed,
        _ => Outcome::Rejected,
    };
    ToProvider::Settled { attempt, outcome }
}

/// Who renders for a wallet hears of its payment, with the first lease.
fn paid(attempt: Attempt, order: &Order) -> Option<ToProvider> {
    if attempt.epoch != 1 {
        return None;
    }
    let Work::Frames { job, .. } = &order.work else { return None };
    let tx_signature = job.deal.payment.as_ref()?.signature.to_string();
    Some(ToProvider::JobPaid { job_id: attempt.job_id, tx_signature })
}

fn assignment(attempt: Attempt, order: &Order) -> ToProvider {
    let until = order.lease.until.0;
    match &order.work {
        Work::Frames { job, scene_url } => {
            let (scene, settings) = (&job.deal.scene, &job.deal.settings);
            let tree = scene.tree.clone().map(|sha256| Tree { sha256, part_bytes: PART_BYTES });
            let scene = Scene {
                url: scene_url.clone(),
                name: scene.name.clone(),
                format: scene.format(),
                bytes: scene.bytes,
                sha256: scene.sha256.clone(),
                tree,
            };
            ToProvider::Assign(Box::new(Assignment {
                attempt,
                scene,
                frames: job.frames(),
                width: settings.width,
                height: settings.height,
                engine: settings.engine.clone(),
                samples: settings.samples,
                output: delivery::output_word(settings.output).to_owned(),
                until,
            }))
        }
        Work::Payload(payload) => ToProvider::Perform(Box::new(Task {
            attempt,
            job_type: payload.job.deal.kind.clone(),
            payload: payload.text.clone(),
            input_url: payload.input_url.clone(),
            input_name: payload.job.deal.input.as_ref().map(|input| input.name.clone()),
            upload_url: payload.upload_url.clone(),
            result_ref: payload.result_ref.clone(),
            until,
        })),
    }
}
