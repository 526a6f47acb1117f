//! The creator's node socket, for a machine that does not render: jobs come over it one by one, and what came of
//! each is said. A job that the hub hands out again is not done again: its last word is repeated.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use framefair_domain::id::JobId;
use framefair_domain::time::{SECOND_MS, Timestamp};
use framefair_wire::close;
use framefair_wire::fleet::{FRAME_BYTES_MAX, Fault, FromNode, Status, Task, ToNode, Word};
use framefair_wire::market::Attempt;
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::api::{Hub, now};
use super::fleet::{self, Member};
use super::work::{self, Tools, Wanted};
use super::{AgentConfig, AgentError, FIRST_WAIT, News, next_wait, persist};
use crate::machine;
use crate::runners::Fault as JobFault;

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// A hub that does not read what it is told is no hub any more.
pub(super) const SEND_WITHIN: Duration = Duration::from_secs(20);
/// Three of the hub's pings.
const SILENCE_MAX: Duration = Duration::from_secs(100);
const ENDED_MAX: usize = 64;
/// So many last words are remembered.
const SAID_MAX: usize = 256;
/// Where the hub names no time, a task ends after this.
const TASK_MAX_MS: i64 = 3_600 * SECOND_MS;

/// Why a socket ended.
enum End {
    Stopped,
    Replaced,
    /// The token is not good any more.
    Stranger,
    Lost(String),
}

struct Crew {
    tools: Arc<Tools>,
    slots: usize,
    running: HashMap<Attempt, DropGuard>,
    ended: mpsc::Receiver<(Attempt, Status)>,
    tell: mpsc::Sender<(Attempt, Status)>,
    /// What came of the latest attempts, the newest last. Whether the hub has heard it only the hub knows.
    said: VecDeque<(Attempt, Status)>,
    news: Arc<dyn Fn(News) + Send + Sync>,
}

/// Takes creators' jobs until `stop`.
pub(crate) async fn work(
    hub: &Hub,
    config: AgentConfig,
    tools: Tools,
    mut member: Member,
    stop: &CancellationToken,
    news: impl Fn(News) + Send + Sync + 'static,
) -> Result<(), AgentError> {
    let (tell, ended) = mpsc::channel(ENDED_MAX);
    let news: Arc<dyn Fn(News) + Send + Sync> = Arc::new(news);
    let (running, said) = (HashMap::new(), VecDeque::new());
    let (tools, slots) = (Arc::new(tools), config.slots as usize);
    let mut crew = Crew { tools, slots, running, ended, tell, said, news: news.clone() };
    let mut wait = FIRST_WAIT;
    loop {
        let begun = Instant::now();
        match crew.hold(hub, &member, stop).await {
            End::Stopped => return Ok(()),
            End::Replaced => return Err(AgentError::Replaced),
            End::Stranger => {
                let join = async || fleet::join(hub, &config, machine::cores(), None).await;
                match persist(join, stop, &|told| news(told)).await? {
                    Some(joined) => member = joined,
                    None => return Ok(()),
                }
            }
            End::Lost(why) => news(News::Offline(why)),
        }
        wait = next_wait(wait, begun.elapsed());
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return Ok(());
        }
    }
}

impl Crew {
    async fn hold(&mut self, hub: &Hub, member: &Member, stop: &CancellationToken) -> End {
        let connecting = timeout(CONNECT_WITHIN, connect(hub, member));
        let mut socket = match stop.run_until_cancelled(connecting).await {
            None => return End::Stopped,
            Some(Err(_)) => return End::Lost("the hub did not answer in time".into()),
            Some(Ok(Err(why))) => return End::Lost(why),
            Some(Ok(Ok(socket))) => socket,
        };
        (self.news)(News::Online);
        let end = match self.converse(&mut socket, stop).await {
            Ok(()) => {
                self.give_back(&mut socket).await;
                End::Stopped
            }
            Err(end) => end,
        };
        drop(timeout(Duration::from_secs(2), socket.close(None)).await);
        end
    }

    /// Until it is stopped, or the socket ends.
    async fn converse(&mut self, socket: &mut Socket, stop: &CancellationToken) -> Result<(), End> {
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                frame = socket.next() => {
                    heard = Instant::now();
                    if let Some(frame) = read(frame)? {
                        self.take(socket, frame).await?;
                    }
                }
                Some((attempt, status)) = self.ended.recv() => {
                    if self.running.remove(&attempt).is_some() {
                        self.said.push_back((attempt, status.clone()));
                        if self.said.len() > SAID_MAX {
                            self.said.pop_front();
                        }
                        send(socket, &FromNode::JobResult(status)).await?;
                    }
                }
                () = sleep_until(heard + SILENCE_MAX) => {
                    return Err(End::Lost("the hub fell silent".into()));
                }
            }
        }
    }

    async fn take(&mut self, socket: &mut Socket, frame: ToNode) -> Result<(), End> {
        match frame {
            ToNode::HeartbeatPing { .. } => send(socket, &FromNode::HeartbeatPong).await,
            ToNode::JobDispatch(task) => self.begin(socket, *task).await,
            // The same work in other words.
            ToNode::JobAssign { .. } => Ok(()),
            ToNode::JobCancel { job_id, attempt } => {
                self.running.remove(&Attempt { job_id, epoch: attempt });
                Ok(())
            }
        }
    }

    async fn begin(&mut self, socket: &mut Socket, task: Task) -> Result<(), End> {
        let attempt = Attempt { job_id: task.job_id, epoch: task.attempt };
        if self.running.contains_key(&attempt) {
            return Ok(());
        }
        if let Some((_, status)) = self.said.iter().find(|(said, _)| *said == attempt) {
            return send(socket, &FromNode::JobResult(status.clone())).await;
        }
        if self.running.len() >= self.slots {
            return send(socket, &decline(attempt)).await;
        }
        let until = Timestamp::from_rfc3339(&task.deadline);
        let wanted = Wanted {
            attempt,
            job_type: task.job_type,
            payload: task.payload_ref,
            input_url: task.input_url,
            input_name: task.input_name,
            upload_url: task.upload_url,
            until: until.unwrap_or_else(|| now().plus_ms(TASK_MAX_MS)).0,
        };
        let (tools, tell, news) = (self.tools.clone(), self.tell.clone(), self.news.clone());
        let stop = CancellationToken::new();
        self.running.insert(attempt, stop.clone().drop_guard());
        tokio::spawn(async move {
            let job = attempt.job_id.to_string();
            news(News::Started { job: job.clone(), frames: 0 });
            // A place is not lost with what panics in it.
            let carried = AssertUnwindSafe(work::carry_out(&tools, &wanted, stop.clone()));
            let Some(done) = stop.run_until_cancelled(carried.catch_unwind()).await else { return };
            let done = done.unwrap_or_else(|_| Err(broken()));
            let mut status = of(attempt, Word::Completed);
            match done {
                Ok(()) => {
                    news(News::Delivered { job });
                    status.result_ref = Some(task.result_ref);
                }
                Err(fault) => {
                    let why = format!("{}: {}", fault.code(), fault.message());
                    news(News::Failed { job, why: why.clone() });
                    status.status = Word::Failed;
                    status.error = Some(why);
                    let whose = if fault.is_payload() { Fault::Payload } else { Fault::Node };
                    status.fault = Some(whose);
                }
            }
            drop(tell.send((attempt, status)).await);
        });
        send(socket, &FromNode::JobStatus(of(attempt, Word::Running))).await
    }

    /// Unfinished work goes back to the hub, which gives it to another node at once.
    async fn give_back(&mut self, socket: &mut Socket) {
        let held: Vec<Attempt> = self.running.drain().map(|(attempt, _)| attempt).collect();
        for attempt in held {
            drop(send(socket, &decline(attempt)).await);
        }
    }
}

fn broken() -> JobFault {
    JobFault::machine("the agent could not carry it out", "it panicked, and its log says where")
}

fn decline(Attempt { job_id, epoch }: Attempt) -> FromNode {
    FromNode::JobAck { job_id, accepted: false, attempt: Some(epoch) }
}

fn of(attempt: Attempt, word: Word) -> Status {
    let job_id: JobId = attempt.job_id;
    let (result_ref, detail, error, fault) = (None, None, None, None);
    Status { job_id, status: word, attempt: Some(attempt.epoch), result_ref, detail, error, fault }
}

async fn connect(hub: &Hub, member: &Member) -> Result<Socket, String> {
    let url = hub.crew_socket(&member.node_id);
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    // Not in the address, which ends up in logs.
    let bearer = format!("Bearer {}", member.token).parse();
    request.headers_mut().insert("authorization", bearer.map_err(|_| "a token is no header")?);
    let limits = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let connected = connect_async_with_config(request, Some(limits), true).await;
    Ok(connected.map_err(|error| error.to_string())?.0)
}

async fn send(socket: &mut Socket, frame: &FromNode) -> Result<(), End> {
    let lost = |why: String| End::Lost(why);
    let text = serde_json::to_string(frame).map_err(|error| lost(error.to_string()))?;
    let sent = timeout(SEND_WITHIN, socket.send(Message::Text(text.into()))).await;
    let sent = sent.map_err(|_| lost("the hub does not read".to_owned()))?;
    sent.map_err(|error| lost(error.to_string()))
}

/// The next frame; none for one that carries no message, or one of a later version.
fn read(
    frame: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
) -> Result<Option<ToNode>, End> {
    match frame {
        Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).ok()),
        Some(Ok(Message::Close(why))) => {
            let code = why.as_ref().map_or(0, |why| u16::from(why.code));
            let said = why.map(|why| format!("{} {}", why.code, why.reason)).unwrap_or_default();
            Err(match code {
                close::REPLACED => End::Replaced,
                close::UNAUTHORIZED => End::Stranger,
                _ => End::Lost(format!("the hub closed the connection: {said}")),
            })
        }
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(End::Lost(error.to_string())),
        None => Err(End::Lost("the connection ended".into())),
    }
}
