//! The socket to the hub, and the tasks that outlive it. Reports are repeated until the hub has
//! dealt with them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use framefair_domain::id::ProviderId;
use framefair_domain::signing;
use framefair_wire::close;
use framefair_wire::market::{
    Attempt, FRAME_BYTES_MAX, FromProvider, HEARTBEAT_EVERY_MS, SILENCE_MAX_MS, Task, ToProvider,
};
use futures::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::sync::CancellationToken;

use super::api::{Hub, now};
use super::crew::SEND_WITHIN;
use super::task::{Grant, Running, TaskContext};
use super::work::{Tools, Wanted};
use super::{AgentConfig, News};
use crate::machine::Machine;

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

const CONNECT_WITHIN: Duration = Duration::from_secs(15);
const REPEAT_EVERY: Duration = Duration::from_secs(10);
/// How long unfinished reports may still go out when the agent leaves.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);
const OUTGOING_MAX: usize = 1_024;
const CLOSED: &str = "the hub closed the connection";
const REPLACED: &str = "another agent with this wallet took over";

pub(crate) struct Link {
    context: Arc<TaskContext>,
    config: AgentConfig,
    provider: ProviderId,
    outgoing: mpsc::Receiver<FromProvider>,
    running: HashMap<Attempt, Running>,
    /// Last words about attempts, until the hub has settled them.
    reports: HashMap<Attempt, FromProvider>,
    /// Another agent of the same wallet took over.
    replaced: bool,
}

impl Link {
    pub(crate) fn new(
        config: AgentConfig,
        machine: Machine,
        tools: Tools,
        provider: ProviderId,
        news: impl Fn(News) + Send + Sync + 'static,
    ) -> Link {
        let (sender, outgoing) = mpsc::channel(OUTGOING_MAX);
        let context = TaskContext {
            machine,
            work: config.work.clone(),
            tools,
            outgoing: sender,
            news: Box::new(news),
        };
        let (running, reports) = (HashMap::new(), HashMap::new());
        let context = Arc::new(context);
        Link { context, config, provider, outgoing, running, reports, replaced: false }
    }

    fn news(&self, news: News) {
        (self.context.news)(news);
    }

    /// Connects and serves the socket until it ends; says how long that lasted.
    pub(crate) async fn hold(&mut self, hub: &Hub, stop: &CancellationToken) -> Duration {
        let begun = Instant::now();
        let why = match timeout(CONNECT_WITHIN, self.connect(hub)).await {
            Err(_) => "the hub did not answer in time".to_owned(),
            Ok(Err(why)) => why,
            Ok(Ok(mut socket)) => {
                self.news(News::Online);
                let why = self.converse(&mut socket, stop).await;
                if stop.is_cancelled() {
                    self.give_back(&mut socket).await;
                }
                drop(timeout(SEND_WITHIN, socket.close(None)).await);
                why
            }
        };
        self.replaced = why.starts_with(REPLACED);
        self.news(News::Offline(why));
        begun.elapsed()
    }

    /// Whether this agent should not come back: two of one wallet would replace each other for ever.
    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced
    }

    async fn connect(&mut self, hub: &Hub) -> Result<Socket, String> {
        let limits = WebSocketConfig::default()
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        let (mut socket, _) = connect_async_with_config(hub.socket(), Some(limits), true)
            .await
            .map_err(|error| error.to_string())?;
        let timestamp = now();
        let text = signing::socket(self.provider, timestamp);
        let auth = FromProvider::Auth {
            provider_id: self.provider,
            timestamp: timestamp.0,
            signature: self.config.identity.sign(&text),
        };
        send(&mut socket, &auth).await?;
        match receive(&mut socket).await? {
            Some(ToProvider::Authenticated) => {}
            Some(ToProvider::Error { error }) => return Err(error),
            other => return Err(format!("the hub answered {other:?} to the authentication")),
        }
        hub.set_status(&self.config.identity, self.provider, "online")
            .await
            .map_err(|error| error.to_string())?;
        send(&mut socket, &FromProvider::Ready { slots: self.config.slots }).await?;
        for attempt in self.running.keys() {
            send(&mut socket, &FromProvider::Accepted(*attempt)).await?;
        }
        Ok(socket)
    }

    async fn converse(&mut self, socket: &mut Socket, stop: &CancellationToken) -> String {
        let mut heartbeat = interval(Duration::from_millis(HEARTBEAT_EVERY_MS));
        let mut repeat = interval(REPEAT_EVERY);
        repeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let silence = Duration::from_millis(SILENCE_MAX_MS);
        let mut heard = Instant::now();
        loop {
            let sent = tokio::select! {
                () = stop.cancelled() => return "stopped by its owner".to_owned(),
                frame = receive(socket) => {
                    heard = Instant::now();
                    match frame {
                        Ok(Some(frame)) => self.take(socket, frame).await,
                        Ok(None) => Ok(()),
                        Err(why) => Err(why),
                    }
                }
                Some(frame) = self.outgoing.recv() => self.pass_on(socket, frame).await,
                _ = heartbeat.tick() => send(socket, &FromProvider::Heartbeat).await,
                _ = repeat.tick() => self.repeat(socket).await,
                () = sleep_until(heard + silence) => Err("the hub fell silent".to_owned()),
            };
            if let Err(why) = sent {
                return why;
            }
        }
    }

    /// A task's frame goes out; its last word is kept until it is settled.
    async fn pass_on(&mut self, socket: &mut Socket, frame: FromProvider) -> Result<(), String> {
        if let FromProvider::Done { attempt, .. } | FromProvider::Failed { attempt, .. } = &frame {
            self.running.remove(attempt);
            self.reports.insert(*attempt, frame.clone());
        }
        send(socket, &frame).await
    }

    async fn repeat(&mut self, socket: &mut Socket) -> Result<(), String> {
        for report in self.reports.values() {
            send(socket, report).await?;
        }
        Ok(())
    }

    async fn take(&mut self, socket: &mut Socket, frame: ToProvider) -> Result<(), String> {
        match frame {
            ToProvider::Assign(assignment) => {
                let attempt = assignment.attempt;
                self.begin(socket, attempt, |context| Running::start(context, *assignment)).await
            }
            ToProvider::Perform(task) => {
                let Task { attempt, job_type, payload, upload_url, until, .. } = *task;
                let (input_url, input_name) = (task.input_url, task.input_name);
                let wanted =
                    Wanted { attempt, job_type, payload, input_url, input_name, upload_url, until };
                self.begin(socket, attempt, |context| Running::perform(context, wanted)).await
            }
            ToProvider::GrantPut { attempt, frame, url, headers } => {
                if let Some(running) = self.running.get(&attempt) {
                    running.grant(Grant { frame, url, headers });
                }
                Ok(())
            }
            ToProvider::Settled { attempt, outcome } => {
                if self.reports.remove(&attempt).is_some() {
                    let (job, outcome) = (attempt.job_id.to_string(), format!("{outcome:?}"));
                    self.news(News::Settled { job, outcome: outcome.to_lowercase() });
                }
                Ok(())
            }
            ToProvider::Stop(attempt) => {
                self.reports.remove(&attempt);
                self.running.remove(&attempt);
                Ok(())
            }
            ToProvider::JobCancelled { job_id } => {
                self.running.retain(|attempt, _| attempt.job_id != job_id);
                Ok(())
            }
            ToProvider::Error { error } => {
                tracing::warn!(error, "The hub complains");
                Ok(())
            }
            ToProvider::Authenticated | ToProvider::JobPaid { .. } | ToProvider::Unknown => Ok(()),
        }
    }

    /// Accepts an attempt, and begins it unless it runs or has ended already.
    async fn begin(
        &mut self,
        socket: &mut Socket,
        attempt: Attempt,
        start: impl FnOnce(Arc<TaskContext>) -> Running,
    ) -> Result<(), String> {
        if self.reports.contains_key(&attempt) {
            return Ok(());
        }
        if !self.running.contains_key(&attempt) {
            if self.running.len() >= self.config.slots as usize {
                let reason = "this node works on as many tasks as it takes".to_owned();
                return send(socket, &FromProvider::Declined { attempt, reason }).await;
            }
            self.running.insert(attempt, start(self.context.clone()));
        }
        send(socket, &FromProvider::Accepted(attempt)).await
    }

    /// Unfinished work goes back to the hub, which gives it to another node at once.
    async fn give_back(&mut self, socket: &mut Socket) {
        let held: Vec<Attempt> = self.running.drain().map(|(attempt, _)| attempt).collect();
        for attempt in held {
            let reason = "this node is being stopped".to_owned();
            drop(send(socket, &FromProvider::Declined { attempt, reason }).await);
        }
        drop(self.repeat(socket).await);
        let deadline = Instant::now() + LEAVE_WITHIN;
        while !self.reports.is_empty() {
            let frame = tokio::time::timeout_at(deadline, receive(socket)).await;
            let Ok(Ok(frame)) = frame else { return };
            if let Some(ToProvider::Settled { attempt, .. } | ToProvider::Stop(attempt)) = frame {
                self.reports.remove(&attempt);
            }
        }
    }

    /// Says goodbye: no new work comes here.
    pub(crate) async fn leave(&mut self, hub: &Hub) {
        let offline = hub.set_status(&self.config.identity, self.provider, "offline");
        if let Err(error) = offline.await {
            tracing::debug!(%error, "The hub was not told; it sees by itself that the socket is gone");
        }
    }
}

async fn send(socket: &mut Socket, frame: &FromProvider) -> Result<(), String> {
    let text = serde_json::to_string(frame).map_err(|error| error.to_string())?;
    let sent = timeout(SEND_WITHIN, socket.send(Message::Text(text.into()))).await;
    sent.map_err(|_| "the hub does not read".to_owned())?.map_err(|error| error.to_string())
}

/// The next frame; none for one that carries no message.
async fn receive(socket: &mut Socket) -> Result<Option<ToProvider>, String> {
    match socket.next().await {
        Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
            Ok(frame) => Ok(Some(frame)),
            Err(error) => Err(format!("the hub sent what this node does not understand: {error}")),
        },
        Some(Ok(Message::Close(why))) => {
            let replaced = why.as_ref().is_some_and(|why| u16::from(why.code) == close::REPLACED);
            let said = why.map(|why| format!("{} {}", why.code, why.reason)).unwrap_or_default();
            let what = if replaced { REPLACED } else { CLOSED };
            Err(format!("{what}: {said}"))
        }
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("the connection ended".to_owned()),
    }
}
