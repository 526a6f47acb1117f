//! The jobs of one registered node, as its socket remembers them, and what each frame about one means.

use std::collections::HashMap;

use framefair_app::delivery::{self, Order, Session, Work};
use framefair_app::jobs::{self, Delivery};
use framefair_app::{Call, Ctx, Refusal};
use framefair_domain::id::JobId;
use framefair_wire::fleet::{Fault, FromNode, Status, Task, ToNode, Word};

pub(crate) struct Tasks<'a> {
    ctx: &'a Ctx,
    session: Session,
    told: HashMap<JobId, Told>,
}

/// An attempt that was handed out over this socket.
#[derive(Clone, Copy)]
struct Told {
    attempt: u32,
    said: Said,
}

/// What the node has said of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Begun,
    Over,
}

type Answers = Vec<ToNode>;

impl<'a> Tasks<'a> {
    pub(crate) fn new(ctx: &'a Ctx, session: Session) -> Tasks<'a> {
        Tasks { ctx, session, told: HashMap::new() }
    }

    /// What the node holds already, when its socket comes.
    pub(crate) async fn held(&mut self) -> Answers {
        let held = match delivery::held(self.ctx, self.session).await {
            Ok(held) => held,
            Err(refusal) => {
                tracing::warn!(node = %self.session.node, %refusal, "A node's work could not be read");
                Vec::new()
            }
        };
        let mut answers = Vec::new();
        for job in held {
            answers.extend(self.look(job).await);
        }
        answers
    }

    /// Something about the job changed: work to hand out, or an end.
    pub(crate) async fn look(&mut self, job: JobId) -> Answers {
        let order = match delivery::assignment(self.ctx, job).await {
            Ok(order) => order,
            Err(refusal) => {
                tracing::warn!(%job, %refusal, "A job could not be read");
                return Vec::new();
            }
        };
        let ours = order.filter(|order| order.lease.node == self.session.node);
        let current = ours.as_ref().map(|order| order.epoch);
        let mut answers = Vec::new();
        if let Some(told) = self.told.get(&job).copied()
            && Some(told.attempt) != current
        {
            self.told.remove(&job);
            let cancel = ToNode::JobCancel { job_id: job, attempt: told.attempt };
            answers.extend((told.said != Said::Over).then_some(cancel));
        }
        // A socket hands an attempt out once; what is handed in waits for its verdict.
        let fresh = ours
            .filter(|order| !self.told.contains_key(&job) && order.lease.handed_in_ms.is_none());
        if let Some(order) = fresh {
            answers.extend(self.hand_out(job, order).await);
        }
        answers
    }

    async fn hand_out(&mut self, job: JobId, order: Order) -> Answers {
        let Work::Payload(payload) = order.work else {
            self.give_back(job, order.epoch).await;
            return Vec::new();
        };
        self.told.insert(job, Told { attempt: order.epoch, said: Said::Nothing });
        let task = Box::new(Task {
            job_id: job,
            job_type: payload.job.deal.kind,
            input_name: payload.job.deal.input.map(|input| input.name),
            payload_ref: payload.text,
            attempt: order.epoch,
            input_url: payload.input_url,
            upload_url: payload.upload_url,
            result_ref: payload.result_ref,
            deadline: order.lease.until.to_rfc3339(),
        });
        let timestamp = order.lease.since.to_rfc3339();
        vec![ToNode::JobDispatch(task.clone()), ToNode::job_assign(task, timestamp)]
    }

    /// A wallet's work has no words in this dialect: whoever else can do it gets it at once.
    async fn give_back(&self, job: JobId, epoch: u32) {
        let call = Call::live();
        if let Err(refusal) = delivery::decline(self.ctx, &call, self.session, job, epoch).await {
            tracing::warn!(%job, %refusal, "A task could not be given back");
        }
    }

    /// A frame of the node. What it may not say is dropped.
    pub(crate) async fn take(&mut self, frame: FromNode) -> Answers {
        let (job, followed) = match frame {
            FromNode::HeartbeatPong | FromNode::Unknown => return Vec::new(),
            FromNode::JobAck { job_id, accepted: true, .. } => (job_id, Ok(())),
            FromNode::JobAck { job_id, accepted: false, attempt } => {
                (job_id, self.declined(job_id, attempt).await)
            }
            FromNode::JobStatus(mut status) => {
                // In this dialect the result has a frame of its own, which follows.
                let says_where = status.result_ref.is_some() || status.detail.is_some();
                if status.status == Word::Completed && !says_where {
                    status.status = Word::Running;
                }
                (status.job_id, self.status(status).await)
            }
            FromNode::StatusUpdate(status) | FromNode::JobResult(status) => {
                (status.job_id, self.status(status).await)
            }
        };
        match followed {
            Ok(()) => {}
            Err(Refusal::StaleLease) => {
                tracing::info!(%job, node = %self.session.node, "Dropped a report under no lease");
            }
            Err(refusal) => {
                tracing::warn!(%job, %refusal, "A node's frame could not be followed");
                // Nobody says it again: the next reminder hands the attempt out anew.
                self.told.remove(&job);
            }
        }
        Vec::new()
    }

    /// What a node said was more than anybody reads: whatever it has not said the end of failed with that.
    pub(crate) async fn said_too_much(&mut self) {
        let begun = self.told.iter().filter(|(_, told)| told.said != Said::Over);
        let begun: Vec<(JobId, u32)> = begun.map(|(job, told)| (*job, told.attempt)).collect();
        for (job, epoch) in begun {
            self.note(job, Said::Over);
            let (call, why) = (Call::live(), "the node sent a frame that is too long");
            let failed = delivery::failed(self.ctx, &call, self.session, job, epoch, false, why);
            if let Err(refusal) = failed.await {
                tracing::warn!(%job, %refusal, "A failure was not recorded");
            }
        }
    }

    async fn declined(&mut self, job: JobId, attempt: Option<u32>) -> Result<(), Refusal> {
        let epoch = self.attempt(job, attempt)?;
        self.note(job, Said::Over);
        delivery::decline(self.ctx, &Call::live(), self.session, job, epoch).await.map(drop)
    }

    async fn status(&mut self, status: Status) -> Result<(), Refusal> {
        let job = status.job_id;
        let epoch = self.attempt(job, status.attempt)?;
        let (call, session) = (Call::live(), self.session);
        match status.status {
            // Some say it again and again.
            Word::Running if self.has_begun(job, epoch) => Ok(()),
            Word::Running => {
                jobs::started(self.ctx, &call, session, job, epoch).await?;
                self.note(job, Said::Begun);
                Ok(())
            }
            Word::Completed => {
                let delivery = match (&status.result_ref, &status.detail) {
                    (Some(reference), _) => Delivery::At(reference),
                    (None, Some(detail)) => Delivery::Said(detail),
                    (None, None) => Delivery::Nothing,
                };
                self.note(job, Said::Over);
                jobs::deliver(self.ctx, &call, session, job, epoch, delivery).await
            }
            Word::Failed => {
                let why = status.error.or(status.detail).unwrap_or_default();
                let why = if why.is_empty() { "the node gave no reason" } else { &why };
                self.note(job, Said::Over);
                let scene = status.fault == Some(Fault::Payload);
                delivery::failed(self.ctx, &call, session, job, epoch, scene, why).await.map(drop)
            }
            Word::Unknown => Ok(()),
        }
    }

    /// The attempt that the node speaks of: the one that it names, or else the one that it was told.
    fn attempt(&self, job: JobId, named: Option<u32>) -> Result<u32, Refusal> {
        named.or(self.told.get(&job).map(|told| told.attempt)).ok_or(Refusal::StaleLease)
    }

    fn has_begun(&self, job: JobId, epoch: u32) -> bool {
        let told = self.told.get(&job);
        told.is_some_and(|told| told.attempt == epoch && told.said == Said::Begun)
    }

    fn note(&mut self, job: JobId, said: Said) {
        if let Some(told) = self.told.get_mut(&job) {
            told.said = said;
        }
    }
}
