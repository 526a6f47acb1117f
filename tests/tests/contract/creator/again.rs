//! A result that the hub could not write down is asked for again; our node repeats what it said, and does not do
//! the work again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use framefair_app::{Hint, Queue};
use framefair_chain::Signer;
use framefair_store::seam::{Fault, Faults};

use super::jobs::{becomes, dispatch, show};
use super::people::Person;
use crate::stage::{Hub, until};

/// A node of ours that ends with its test.
struct Agent(Child);

impl Agent {
    fn start(hub: &Hub, folder: &Path) -> Agent {
        let wallet = folder.join("wallet.json");
        Signer::create(&wallet).expect("a key");
        let log = std::fs::File::create(folder.join("log")).expect("a file");
        let program = framefair_tests::program("framefair");
        let mut node = Command::new(program);
        node.args(["node", "run", "--no-blender", "--name", "again", "--hub", &hub.url("")]);
        node.arg("--wallet").arg(wallet).arg("--work").arg(folder.join("work"));
        node.stdout(log.try_clone().expect("a file")).stderr(log).stdin(Stdio::null());
        Agent(node.spawn().expect("make test builds framefair"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_was_not_written_down_is_said_again_and_not_made_again() {
    let hub = Hub::of("creator", false).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _agent = Agent::start(&hub, folder.path());
    let log = || std::fs::read_to_string(folder.path().join("log")).expect("text");
    let ada = Person::register(&hub, "ada@example.com").await;
    ada.is_given(&hub, 10).await;
    let placed = until("the node takes jobs", async || {
        let answer = dispatch(&hub, &ada, "cpu_benchmark", r#"{"seconds":10,"threads":1}"#).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    let id = placed["job_id"].as_str().expect("an id").to_owned();
    becomes(&hub, &ada, &id, "RUNNING").await;
    let (store, seam) = (&hub.machine.ctx.store, hub.machine.ctx.store.seam());
    seam.inject(Faults::seeded(1).often("PutItem", Fault::ErrorBefore, 1_000));
    until("the node is done", async || log().contains("delivered").then_some(())).await;
    // As long as the hub tries to write it down.
    tokio::time::sleep(Duration::from_secs(6)).await;
    seam.calm();
    assert_eq!(show(&hub, &ada, &id).await["status"], "RUNNING");
    // What the sweeper does each minute.
    let reminder = Hint::about(id.parse().expect("an id"));
    store.queues().send(Queue::Relay(0), &reminder, 0).await.expect("it is sent");
    becomes(&hub, &ada, &id, "COMPLETED").await;
    let log = log();
    assert_eq!(log.matches("started").count(), 1, "{log}");
    hub.stop().await;
}
