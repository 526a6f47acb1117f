//! One journey's own market: a hub, its folder and ports, nodes, clients with wallets. Ends with both audits.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use framefair_domain::money::Lamports;
use framefair_tests::{free_ports, program};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::process::{PATIENCE, Process, wait_until};
use crate::scenes::{Scenes, Turn, scenes};

/// A quick chain: a payment is final after a second and a half.
const SLOT_MS: &str = "40";
pub(crate) const WIDTH: u32 = 96;
pub(crate) const HEIGHT: u32 = 54;
/// What a client has to spend.
const PURSE_SOL: &str = "1";

pub(crate) struct Place {
    // Fields are dropped in this order: processes first, then their folder, then the turn.
    hub: Option<Process>,
    pub(crate) runtime: Runtime,
    folder: tempfile::TempDir,
    /// Of the hub, the chain, its WebSocket and the cloud.
    ports: [u16; 4],
    pub(crate) scenes: &'static Scenes,
    /// How long a lost node may take to come back.
    grace_ms: u32,
    /// Whether providers may listen on this machine, and how long they may be silent.
    legacy_silence_ms: Option<u32>,
    /// Whether clients pay their provider and not escrow.
    direct: bool,
    _turn: Turn,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    /// The one document on stdout.
    pub(crate) said: Value,
    pub(crate) progress: String,
}

impl Answer {
    pub(crate) fn ok(self) -> Answer {
        assert_eq!(self.code, 0, "{}\n{}", self.said, self.progress);
        self
    }

    pub(crate) fn text(&self, member: &str) -> String {
        let found = self.said[member].as_str();
        found.unwrap_or_else(|| panic!("no {member} in {}", self.said)).to_owned()
    }

    /// The first event of that name on stderr.
    pub(crate) fn event(&self, name: &str) -> Value {
        let events = self.progress.lines().filter_map(|line| serde_json::from_str(line).ok());
        let found = events.into_iter().find(|event: &Value| event["event"] == name);
        found.unwrap_or_else(|| panic!("no event {name} in {}", self.progress))
    }

    /// What a provider gets for the job.
    pub(crate) fn base_price(&self) -> u64 {
        let price = self.event("quote")["basePrice"].as_str().expect("a price").to_owned();
        Lamports::from_sol(&price).expect("a price in SOL").0
    }

    pub(crate) fn lamports(&self) -> u64 {
        self.event("quote")["lamports"].as_str().and_then(|n| n.parse().ok()).expect("a price")
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = self.said["files"].as_array().unwrap_or_else(|| panic!("{}", self.said));
        files.iter().map(|file| PathBuf::from(file.as_str().expect("a path"))).collect()
    }
}

/// A `framefair render` or `watch` under way.
pub(crate) struct Rendering {
    process: Process,
    out: PathBuf,
}

impl Rendering {
    pub(crate) fn finish(mut self) -> Answer {
        let code = self.process.end_within(2 * PATIENCE).code().unwrap_or(-1);
        let out = std::fs::read_to_string(&self.out).expect("its output");
        let progress = self.process.log();
        let said = serde_json::from_str(&out)
            .unwrap_or_else(|error| panic!("{error}: {out:?}, {progress}"));
        Answer { code, said, progress }
    }

    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        self.process.wait_for(words)
    }
}

impl Place {
    pub(crate) fn open() -> Place {
        Place::with_grace(30_000)
    }

    pub(crate) fn with_grace(grace_ms: u32) -> Place {
        Place::with(grace_ms, None, false)
    }

    /// Without escrow.
    pub(crate) fn direct() -> Place {
        Place::with(30_000, None, true)
    }

    /// With a hub that dials this machine.
    pub(crate) fn with_legacy_providers(silence_ms: u32) -> Place {
        Place::with(1_000, Some(silence_ms), false)
    }

    fn with(grace_ms: u32, legacy_silence_ms: Option<u32>, direct: bool) -> Place {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            let provider = rustls::crypto::ring::default_provider();
            provider.install_default().expect("nobody else installs one");
        });
        let turn = Turn::wait();
        let scenes = scenes();
        let mut place = Place {
            hub: None,
            runtime: Runtime::new().expect("threads"),
            folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder"),
            ports: free_ports(),
            scenes,
            grace_ms,
            legacy_silence_ms,
            direct,
            _turn: turn,
        };
        place.start_hub();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn hub_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    pub(crate) fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    /// A command with nothing of this test's own environment but the way to Blender.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("FRAMEFAIR_PASSWORD", "correct horse").current_dir(self.folder.path());
        command
    }

    pub(crate) fn hub_command(&self) -> Command {
        let mut hub = self.command("framefair-local");
        let [port, rpc, _, aws] = self.ports.map(|port| port.to_string());
        hub.arg("--data").arg(self.path("data"));
        hub.args(["--port", &port, "--rpc-port", &rpc, "--aws-port", &aws]);
        hub.args(["--slot-ms", SLOT_MS, "--no-rate-limits"]);
        hub.env("FRAMEFAIR_RECONNECT_GRACE_MS", self.grace_ms.to_string());
        if let Some(silence_ms) = self.legacy_silence_ms {
            hub.arg("--allow-loopback-providers").env("FRAMEFAIR_PROBE_EVERY_MS", "300");
            hub.env("FRAMEFAIR_PROVIDER_SILENCE_MS", silence_ms.to_string());
        }
        if self.direct {
            hub.args(["--settlement", "direct"]);
        }
        hub
    }

    pub(crate) fn start_hub(&mut self) {
        assert!(self.hub.is_none(), "one hub at a time");
        let log = self.path("hub.log");
        let from = std::fs::metadata(&log).map_or(0, |log| log.len());
        let mut hub = Process::start("the hub", &mut self.hub_command(), log, None);
        hub.wait_for_after(usize::try_from(from).expect("a short log"), "ready   Ctrl-C");
        self.hub = Some(hub);
    }

    pub(crate) fn hub(&mut self) -> &mut Process {
        self.hub.as_mut().expect("the hub runs")
    }

    /// Stops it as Ctrl-C and a service manager do.
    pub(crate) fn stop_hub(&mut self) {
        let mut hub = self.hub.take().expect("the hub runs");
        hub.signal("TERM");
        let status = hub.end();
        assert!(status.success(), "the hub ended with {status}\n{}", hub.log());
    }

    pub(crate) fn kill_hub(&mut self) {
        self.hub.take().expect("the hub runs").kill();
    }

    /// Starts a node, or starts it again; its wallet, folder and log have its name.
    pub(crate) fn node(&self, name: &str, more: &[&str]) -> Process {
        let wallet = self.wallet(name);
        let mut node = self.command("framefair");
        node.args(["node", "run", "--name", name, "--hub", &self.hub_url(), "--wallet"]);
        node.arg(wallet).arg("--work").arg(self.path(&format!("{name}-work"))).args(more);
        let log = self.path(&format!("{name}.log"));
        let from = std::fs::metadata(&log).map_or(0, |log| log.len());
        let mut node = Process::start(name, &mut node, log, None);
        node.wait_for_after(usize::try_from(from).expect("a short log"), "online ");
        node
    }

    /// The id under which a node of that name registered.
    pub(crate) fn provider_id(&self, name: &str) -> String {
        let listed = self.framefair(&["providers", "--hub", &self.hub_url()]).ok();
        let providers = listed.said["data"]["providers"].as_array().expect("a list").clone();
        let found = providers.iter().find(|provider| provider["name"] == name);
        found.and_then(|it| it["id"].as_str()).expect("it is listed").to_owned()
    }

    /// The file of a wallet of that name, made when it is missing.
    pub(crate) fn wallet(&self, name: &str) -> PathBuf {
        let file = self.path(&format!("{name}.json"));
        if !file.exists() {
            self.framefair(&["wallet", "new", text(&file)]).ok();
        }
        file
    }

    /// A wallet with something to spend.
    pub(crate) fn client(&self, name: &str) -> PathBuf {
        let file = self.wallet(name);
        let rpc = self.rpc_url();
        self.framefair(&["wallet", "airdrop", PURSE_SOL, "--wallet", text(&file), "--rpc", &rpc])
            .ok();
        file
    }

    pub(crate) fn balance(&self, wallet: &str) -> u64 {
        let file = self.wallet(wallet);
        let rpc = self.rpc_url();
        let said = self.framefair(&["wallet", "balance", "--wallet", text(&file), "--rpc", &rpc]);
        said.ok().text("lamports").parse().expect("a number")
    }

    /// What an operator types, and what that prints.
    pub(crate) fn administer(&self, line: &[&str]) -> String {
        let mut admin = self.command("framefair-local");
        let admin = admin.arg("admin").args(line).arg("--data").arg(self.path("data"));
        let said = admin.output().expect("it starts");
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).expect("it prints text")
    }

    /// A command to its end, with `--json`.
    pub(crate) fn framefair(&self, line: &[&str]) -> Answer {
        let mut command = self.command("framefair");
        let output = command.arg("--json").args(line).output().expect("it starts");
        let progress = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        Answer { code: output.status.code().unwrap_or(-1), said, progress }
    }

    /// As people see it: exit code, output and errors.
    pub(crate) fn plain(&self, line: &[&str]) -> (i32, String, String) {
        let output = self.command("framefair").args(line).output().expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Starts a command that takes its time, with `--json`.
    pub(crate) fn begin(&self, what: &str, line: &[&str]) -> Rendering {
        let mut command = self.command("framefair");
        command.arg("--json").args(line);
        self.rendering(what, command)
    }

    fn rendering(&self, what: &str, mut command: Command) -> Rendering {
        let out = self.path(&format!("{what}.out"));
        let log = self.path(&format!("{what}-render.log"));
        for old in [&out, &log] {
            let _ = std::fs::remove_file(old);
        }
        let process = Process::start(what, &mut command, log, Some(&out));
        Rendering { process, out }
    }

    /// Renders for the client's wallet, which it fills first. `more` may set samples.
    pub(crate) fn begin_render(&self, client: &str, scene: &Path, more: &[&str]) -> Rendering {
        let wallet = self.wallet(client);
        let mut render = self.command("framefair");
        render.args(["--json", "render"]).arg(scene).arg("--wallet").arg(wallet);
        render.args(["--hub", &self.hub_url(), "--rpc", &self.rpc_url(), "--yes"]);
        render.arg("--out").arg(self.path(&format!("{client}-frames")));
        render.arg("--size").arg(format!("{WIDTH}x{HEIGHT}")).args(["--timeout", "100"]);
        if !more.contains(&"--samples") {
            render.args(["--samples", "4"]);
        }
        render.args(more);
        self.rendering(client, render)
    }

    pub(crate) fn render(&self, client: &str, scene: &Path, more: &[&str]) -> Answer {
        self.begin_render(client, scene, more).finish()
    }

    /// The job in the hub's own words.
    pub(crate) fn job(&self, id: &str) -> Value {
        self.framefair(&["status", id, "--hub", &self.hub_url()]).ok().said["job"].clone()
    }

    /// The network's fee for a transaction.
    pub(crate) fn fee(&self, signature: &str) -> u64 {
        let how = json!({ "maxSupportedTransactionVersion": 0, "commitment": "confirmed" });
        let transaction = self.ask_chain("getTransaction", json!([signature, how]));
        transaction["meta"]["fee"].as_u64().unwrap_or_else(|| panic!("{transaction}"))
    }

    fn ask_chain(&self, method: &str, params: Value) -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer: Value = self.runtime.block_on(async {
            let asked = http().post(self.rpc_url()).json(&call).send().await;
            asked.expect("the chain answers").json().await.expect("JSON")
        });
        answer["result"].take()
    }

    /// The audit's document; it must balance.
    pub(crate) fn audit(&self) -> Value {
        let mut audit = self.command("framefair-local");
        let audit = audit.args(["audit", "--json", "--data"]).arg(self.path("data")).output();
        let audit = audit.expect("it starts");
        assert!(audit.status.success(), "the audit does not balance: {audit:?}");
        serde_json::from_slice(&audit.stdout).unwrap_or_else(|error| panic!("{error}: {audit:?}"))
    }

    /// What an operator hears who puts back a settlement that is not parked.
    pub(crate) fn unpark(&self, settlement: &str) -> String {
        let mut unpark = self.command("framefair-local");
        unpark.args(["unpark", "--data"]).arg(self.path("data")).arg(settlement);
        let refused = unpark.output().expect("it starts");
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        String::from_utf8_lossy(&refused.stderr).into_owned()
    }

    /// Waits until nobody is owed anything of what was paid until now; every audit on the way balances.
    /// An audit knows only what is final, and a small job ends before its payment is.
    pub(crate) fn settle(&self) -> Value {
        let now = self.ask_chain("getSlot", json!([{ "commitment": "processed" }])).as_u64();
        wait_until("nothing is owed", || {
            let audit = self.audit();
            let is_past = audit["slot"].as_u64() >= now;
            (is_past && audit["open_obligations"].as_i64() == Some(0)).then_some(audit)
        })
    }

    /// The end of every journey: all is settled and balances, before and after the hub stops.
    pub(crate) fn close(mut self) {
        let running = self.settle();
        self.stop_hub();
        let stopped = self.audit();
        for sum in ["escrow", "payments_in", "paid_out", "fees", "open_obligations"] {
            assert_eq!(running[sum], stopped[sum], "{sum}: {running} {stopped}");
        }
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are plain")
}

/// A client that does not wait for ever.
pub(crate) fn http() -> reqwest::Client {
    let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(60));
    client.build().expect("a client")
}
