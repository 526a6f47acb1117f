//! The README is the product's face: what it tells people to type works, as typed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use framefair_tests::{free_ports, program};

/// Lines that a reader types, in order, without their comments.
fn typed() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let mut commands: Vec<String> = Vec::new();
    let (mut console, mut goes_on) = (false, false);
    for line in readme.lines() {
        match line {
            "```console" => console = true,
            "```" => console = false,
            _ if !console => {}
            _ => {
                let text = match line.strip_prefix("$ ") {
                    Some(text) => text,
                    None if goes_on => line.trim(),
                    None => continue,
                };
                let text = text.split("  #").next().unwrap_or(text).trim_end();
                let (text, more) = match text.strip_suffix('\\') {
                    Some(text) => (text.trim_end(), true),
                    None => (text, false),
                };
                match commands.last_mut().filter(|_| goes_on) {
                    Some(last) => last.extend([" ", text]),
                    None => commands.push(text.to_owned()),
                }
                goes_on = more;
            }
        }
    }
    commands
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests has a parent").to_owned()
}

struct Running(Child);

impl Running {
    /// Waits until its output says so. It may not end before.
    fn says(&mut self, output: &Path, words: &str, log: &Path) {
        until(words, || {
            let ended = self.0.try_wait().expect("a child can be asked");
            let said = std::fs::read_to_string(output).is_ok_and(|text| text.contains(words));
            let log = || std::fs::read_to_string(log).unwrap_or_default();
            assert!(said || ended.is_none(), "it ended before it said {words:?}:\n{}", log());
            said
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_two_commands_are_targets_of_make() {
    let typed = typed();
    for command in ["make demo", "make up"] {
        assert!(typed.iter().any(|line| line == command), "the README does not say `{command}`");
        let planned = Command::new("make").args(["-n", &command[5..]]).current_dir(root()).output();
        assert!(planned.expect("make is installed").status.success(), "{command}");
    }
}

/// Everything a reader types for `framefair`, in one shell, against a hub of this test's own.
#[test]
fn what_the_readme_types_for_the_command_line_works() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    let [port, rpc_port, _, aws_port] = free_ports().map(|port| port.to_string());
    let log = |name: &str| std::fs::File::create(here.join(name)).expect("a log");
    let hub = Command::new(program("framefair-local"))
        .args(["--data", ".framefair", "--slot-ms", "100", "--anchor-after-ms", "500"])
        .args(["--port", &port, "--rpc-port", &rpc_port, "--aws-port", &aws_port])
        .current_dir(here)
        .stdout(log("hub.txt"))
        .stderr(log("hub.log"))
        .spawn();
    let mut hub = Running(hub.expect("it starts"));
    hub.says(&here.join("hub.txt"), "ready", &here.join("hub.log"));

    let writer = root().join("tests/scenes/make_scenes.py");
    let scenes = Command::new("blender")
        .args(["-b", "--factory-startup", "-noaudio", "-P"])
        .arg(writer)
        .args(["--", ".", "--only", "animation"])
        .current_dir(here)
        .stdout(Stdio::null())
        .status();
    assert!(scenes.expect("make test installs blender").success());
    std::fs::rename(here.join("animation.blend"), here.join("scene.blend")).expect("a scene");

    let programs = program("framefair").parent().expect("a folder").to_owned();
    let shell = |command: &str| {
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(command).current_dir(here);
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", programs.display()));
        shell.env("FRAMEFAIR_HUB", format!("http://127.0.0.1:{port}"));
        shell.env("FRAMEFAIR_PASSWORD", "correct horse").env("HOME", here);
        shell.env("FRAMEFAIR_RPC", format!("http://127.0.0.1:{rpc_port}"));
        shell
    };
    let mut nodes = Vec::new();
    let mut ran = 0;
    for command in typed().iter().filter(|line| line.starts_with("framefair ")) {
        ran += 1;
        if command.contains("node run") {
            let node = shell(&format!("exec {command}")).stderr(log("node.log")).spawn();
            let mut node = Running(node.expect("a node"));
            node.says(&here.join("node.log"), "online", &here.join("node.log"));
            nodes.push(node);
            continue;
        }
        // As a reader would at the prompt, but small and with the answer given.
        let command = match command.contains(" render ") {
            true => format!("{command} --size 64x36 --samples 1 --yes"),
            false => command.clone(),
        };
        let output = shell(&command).output().expect("bash");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{command}` failed: {said}");
    }
    assert!(ran >= 6, "the README shows only {ran} commands of framefair");
    let first = here.join("frames/scene_0001.png");
    assert!(first.exists(), "the README promises {}", first.display());

    let wallet = shell("framefair wallet balance --wallet me.json --json").output().expect("bash");
    let wallet: serde_json::Value = serde_json::from_slice(&wallet.stdout).expect("JSON");
    let curl = typed().into_iter().find(|line| line.contains("/render -F"));
    let curl = curl.expect("the README shows a quote by curl");
    let curl = curl.replace("127.0.0.1:8000", &format!("127.0.0.1:{port}"));
    let quote = shell(&curl).env("WALLET", wallet["wallet"].as_str().expect("a wallet")).output();
    let quote = quote.expect("curl");
    let quote: serde_json::Value = serde_json::from_slice(&quote.stdout).expect("a JSON answer");
    assert_eq!(quote["error"], "Payment Required", "{quote}");
    assert!(quote["payment"]["memo"].as_str().is_some_and(|memo| memo.starts_with("rayment:")));

    let accounts: Vec<String> = typed()
        .into_iter()
        .filter(|line| {
            line.contains("$FRAMEFAIR_HUB/") || line.starts_with("framefair-local admin")
        })
        .collect();
    assert!(accounts.len() >= 4, "the README shows only {accounts:?} for accounts");
    let mut said = String::new();
    for command in accounts {
        let output = shell(&format!("set -o pipefail; {command}")).output().expect("bash");
        assert!(output.status.success(), "`{command}` failed");
        said = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    let history: serde_json::Value = serde_json::from_str(&said).expect("a JSON answer");
    assert_eq!(history["entries"][0]["balance_after"], "97.5000", "{history}");

    let verify = format!("framefair ledger verify {} --json", history["entries"][0]["entry_id"]);
    until("the entry's proof", || shell(&verify).output().expect("bash").status.success());
    let audit = shell("framefair ledger audit --entries").output().expect("bash");
    let said = String::from_utf8_lossy(&audit.stdout);
    assert!(audit.status.success() && said.contains("a chain of roots"), "{said}");

    let audit = shell("framefair-local audit --data .framefair").output().expect("bash");
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}
