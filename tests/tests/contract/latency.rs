//! How long an accepted payment takes to become a task at the node, beside what a bare socket takes for
//! an echo in the same run. Printed for whoever reads it and not judged: machines differ.
//! `FRAMEFAIR_BENCH_JOBS` says how many jobs.

use std::time::{Duration, Instant};

use framefair_wire::market::FromProvider;
use futures::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::people::{Seller, Socket, buyer, claim, picture, quote, transfer};
use crate::stage::Hub;

const JOBS: usize = 10;
/// As many as a socket may take at once.
const SLOTS: u32 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_becomes_a_task_at_the_node_soon() {
    let jobs = std::env::var("FRAMEFAIR_BENCH_JOBS").ok();
    let jobs = jobs.map_or(JOBS, |jobs| jobs.parse().expect("a number of jobs"));
    let hub = Hub::start().await;
    let client = buyer(&hub, 51).await;
    let seller = Seller::new(52).register(&hub, &["frames", "relay"]).await;
    seller.set(&hub, "online").await.is(200);
    let mut socket = seller.connect(&hub, "/ws").await;
    socket.say(&FromProvider::Ready { slots: SLOTS }).await;
    let (mut asked, mut accepted) = (Vec::new(), Vec::new());
    for _ in 0..jobs {
        let quote = quote(&hub, &client, &seller).await;
        let text = |name: &str| quote[name].as_str().expect("text").to_owned();
        let lamports = text("lamports").parse().expect("a number");
        let paid = transfer(&hub, &client, &text("payTo"), lamports, &text("memo")).await;
        let begun = Instant::now();
        let job = text("jobId");
        let claimed = async {
            claim(&hub, &job, &paid).await.is(200);
            Instant::now()
        };
        let (answered, arrived) = tokio::join!(claimed, arrives(&mut socket, &job));
        asked.push(arrived - begun);
        // A task may even come before the answer does.
        accepted.push(arrived.saturating_duration_since(answered));
        seller.complete(&hub, &job, &picture(5)).await.is(200);
    }
    let echoes = echoes(jobs).await;
    let whole = spread(asked);
    println!("bench: {:<34}{:>10}{:>10}", format!("{jobs} accepted payments"), "p50 ms", "p99 ms");
    line("call of /render/pay to the task", whole);
    line("its answer to the task", spread(accepted));
    line("echo of a bare socket", spread(echoes));
    assert!(whole.1 < Duration::from_secs(60), "a hint was lost, and the sweeper mended it");
    hub.stop().await;
}

async fn arrives(socket: &mut Socket, job: &str) -> Instant {
    let task = socket.assigned().await;
    let arrived = Instant::now();
    assert_eq!(task.attempt.job_id.to_string(), job);
    socket.say(&FromProvider::Accepted(task.attempt)).await;
    arrived
}

/// There and back, over a socket behind which there is nothing.
async fn echoes(count: usize) -> Vec<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a caller");
        let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a socket");
        while let Some(Ok(message)) = socket.next().await {
            socket.send(message).await.expect("the socket stands");
        }
    });
    let url = format!("ws://{address}");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("a socket");
    let mut found = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        socket.send(Message::text("there and back")).await.expect("the socket stands");
        socket.next().await.expect("the socket stands").expect("an echo");
        found.push(begun.elapsed());
    }
    found
}

/// Half of them took no longer than the first; of a hundred, one took longer than the second.
fn spread(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
    (at(50), at(99))
}

fn line(what: &str, (p50, p99): (Duration, Duration)) {
    let ms = |time: Duration| format!("{}.{:03}", time.as_millis(), time.as_micros() % 1_000);
    println!("bench: {what:<34}{:>10}{:>10}", ms(p50), ms(p99));
}
