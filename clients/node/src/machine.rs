//! What this machine is and what its Blender can do, found out by asking, never assumed.
//!
//! Knows nothing of the hub: how a machine is announced is somebody else's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;
use crate::limits::Limits;
use crate::order::{Engine, Order, OutputFormat};
use crate::preflight::{self, Said};
use crate::process::{self, Bounds, Ended};
use crate::render;
use crate::sandbox::{Room, Sandbox};
use crate::verdict::Heard;

const ANSWER_MAX: Duration = Duration::from_secs(30);
const ABILITIES_MAX: Duration = Duration::from_secs(60);
const EEVEE_TRIAL_MAX: Duration = Duration::from_secs(120);

/// How many threads this machine runs at once.
pub fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

/// One Blender of a machine, and what both can do together.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    pub blender: Blender,
    /// Never empty; the first is the preferred one.
    pub engines: Vec<Engine>,
    /// Suffixes with their dot: `.blend`, `.obj`.
    pub formats: Vec<String>,
    pub gpus: Vec<Gpu>,
    /// What Cycles renders on here.
    pub device: Device,
    pub cores: u32,
    pub memory_bytes: u64,
    pub sandbox: Sandbox,
    /// Whether this Blender can denoise; without it scenes are rendered as if they did not ask.
    pub denoiser: bool,
}

impl Machine {
    /// A line for its owner.
    pub fn summary(&self) -> String {
        let (major, minor, patch) = self.blender.version;
        let engines: Vec<_> = self.engines.iter().map(|engine| engine.word()).collect();
        format!(
            "Blender {major}.{minor}.{patch}, {} on {}, {} cores, reads {}",
            engines.join(" and "),
            self.device.word(),
            self.cores,
            self.formats.join(" "),
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blender {
    pub path: PathBuf,
    pub version: (u16, u16, u16),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    pub name: String,
    pub vram_gb: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Cpu,
    Gpu,
}

impl Device {
    pub fn word(self) -> &'static str {
        match self {
            Device::Cpu => "CPU",
            Device::Gpu => "GPU",
        }
    }
}

/// Whether EEVEE is offered. Without a GPU a frame of it takes half a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eevee {
    /// Tried only where there is a GPU.
    IfGpu,
    /// Tried everywhere.
    Try,
    Never,
}

/// What the owner said about his machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Empty: the `blender` of the PATH.
    pub blenders: Vec<PathBuf>,
    pub sandbox: Sandbox,
    pub eevee: Eevee,
    /// Render Cycles on the GPU where there is one.
    pub gpu: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum NoMachine {
    #[error(
        "no Blender: {0} is not on the PATH; install it (on Debian: apt-get install blender) or name it with --blender PATH"
    )]
    Absent(&'static str),
    #[error("{path} does not answer like a Blender: {why}")]
    Blender { path: PathBuf, why: String },
}

/// One machine for each Blender, in the order given; never empty.
pub async fn detect(options: &Options) -> Result<Vec<Machine>, NoMachine> {
    let mut blenders = options.blenders.clone();
    if blenders.is_empty() {
        blenders.push(on_path("blender").ok_or(NoMachine::Absent("blender"))?);
    }
    let gpus = gpus().await;
    let mut machines = Vec::new();
    for path in blenders {
        let bad = |why: String| NoMachine::Blender { path: path.clone(), why };
        let real = std::fs::canonicalize(&path).map_err(|error| bad(error.to_string()))?;
        let version = version(&real).await.map_err(bad)?;
        let mut machine = Machine {
            blender: Blender { path: real, version },
            engines: vec![Engine::Cycles],
            formats: vec![".blend".into()],
            device: if options.gpu && !gpus.is_empty() { Device::Gpu } else { Device::Cpu },
            gpus: gpus.clone(),
            cores: cores(),
            memory_bytes: memory(),
            sandbox: options.sandbox.clone(),
            denoiser: false,
        };
        (machine.formats, machine.denoiser) = abilities(&machine).await.map_err(bad)?;
        let try_eevee = match options.eevee {
            Eevee::Never => false,
            Eevee::Try => true,
            Eevee::IfGpu => !gpus.is_empty(),
        };
        if try_eevee && renders_eevee(&machine).await {
            machine.engines.push(Engine::Eevee);
        }
        machines.push(machine);
    }
    Ok(machines)
}

/// Bytes that an unprivileged process may still write where `path` lies.
pub fn free_disk(path: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The memory of the machine or of the container that the agent runs in, whichever is smaller; 0 when
/// the system does not tell.
fn memory() -> u64 {
    let Ok(mut system) = sysinfo::System::new() else { return 0 };
    system.refresh_memory();
    let whole = system.total_memory();
    system.cgroup_limits().map_or(whole, |limits| limits.total_memory.min(whole))
}

async fn answer(command: Command) -> Result<String, String> {
    let mut command = tokio::process::Command::from(command);
    match tokio::time::timeout(ANSWER_MAX, command.kill_on_drop(true).output()).await {
        Ok(Ok(output)) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(Ok(output)) => Err(format!("{}", output.status)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer within 30 seconds".into()),
    }
}

async fn version(blender: &Path) -> Result<(u16, u16, u16), String> {
    let mut command = Command::new(blender);
    command.arg("--version");
    let text = answer(command).await?;
    parse_version(&text).ok_or_else(|| "its --version names none".to_owned())
}

/// `Blender 3.4.1`, `Blender 4.2.3 LTS`; some print warnings before.
fn parse_version(text: &str) -> Option<(u16, u16, u16)> {
    let named = text.lines().find_map(|line| line.trim().strip_prefix("Blender "))?;
    let mut parts = named.split_whitespace().next()?.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
}

async fn gpus() -> Vec<Gpu> {
    let mut command = Command::new("nvidia-smi");
    command.args(["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]);
    answer(command).await.map(|text| parse_gpus(&text)).unwrap_or_default()
}

/// A GPU a line: `NVIDIA L4, 23034`, the memory in MiB.
fn parse_gpus(text: &str) -> Vec<Gpu> {
    let gpu = |line: &str| {
        let (name, mib) = line.rsplit_once(',')?;
        let mib: u32 = mib.trim().parse().ok()?;
        Some(Gpu { name: name.trim().to_owned(), vram_gb: mib.saturating_add(512) / 1024 })
    };
    text.lines().filter_map(gpu).collect()
}

/// Asks this Blender, in the sandbox that it will work in; so this is also the sandbox's trial.
async fn abilities(machine: &Machine) -> Result<(Vec<String>, bool), String> {
    let machine = machine.clone();
    let stop = CancellationToken::new();
    process::on_own_thread(&stop.clone(), move || async move {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        render::write_scripts(folder.path()).map_err(|error| error.to_string())?;
        let room = Room {
            program: &machine.blender.path,
            with_folder: true,
            scripts: Some(folder.path()),
            scene: None,
            out: None,
            gpu: false,
        };
        let limits = Limits::for_machine(machine.cores, machine.memory_bytes);
        let command = render::blender(&machine.sandbox, &room, &limits, "abilities.py", "1");
        let bounds = Bounds { wall: ABILITIES_MAX, cancel: stop, output: None };
        let (mut found, mut heard) = (None, Heard::default());
        let ended =
            process::run(command, &bounds, async |line: &str| match preflight::said(line) {
                Some(Said::Abilities { formats, denoiser }) => found = Some((formats, denoiser)),
                _ => heard.tail.push(line),
            })
            .await
            .map_err(|error| error.to_string())?;
        match (ended, found) {
            (Ended::Exited(status), Some(found)) if status.success() => Ok(found),
            (ended, _) => Err(format!("{ended:?}\n{}", heard.tail.text())),
        }
    })
    .await
    .map_err(|error| error.to_string())?
}

const TRIAL: &str = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";

/// Renders a tiny frame with EEVEE: whether it finds what to draw with shows only then.
async fn renders_eevee(machine: &Machine) -> bool {
    let trial = async {
        let folder = tempfile::tempdir()?;
        let scene = folder.path().join("trial.obj");
        std::fs::write(&scene, TRIAL)?;
        let machine = Machine { engines: vec![Engine::Eevee], ..machine.clone() };
        let order = Order {
            scene,
            format: ".obj".into(),
            frames: vec![1],
            width: 16,
            height: 16,
            engine: Some(Engine::Eevee),
            samples: Some(1),
            output: OutputFormat::Png,
            seed: 0,
            threads: None,
        };
        let mut limits = Limits::for_machine(machine.cores, machine.memory_bytes);
        limits.wall = EEVEE_TRIAL_MAX;
        let (events, _) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let rendered =
            render::render(&machine, &order, folder.path(), &limits, events, cancel).await;
        Ok::<_, std::io::Error>(rendered.map_err(|fault: Fault| {
            tracing::info!(reason = fault.code(), "EEVEE is not offered: {fault}");
        }))
    };
    matches!(trial.await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_blenders_print() {
        assert_eq!(parse_version("Blender 3.4.1\n\tbuild date: x"), Some((3, 4, 1)));
        assert_eq!(parse_version("warning: x\nBlender 4.2.3 LTS"), Some((4, 2, 3)));
        assert_eq!(parse_version("Blender 5.0"), Some((5, 0, 0)));
        assert_eq!(parse_version("GIMP 3.0.2"), None);
        assert_eq!(parse_version("Blender next"), None);
    }

    #[test]
    fn gpus_are_read_with_their_memory_in_gigabytes() {
        let text = "NVIDIA H100 80GB HBM3, 81559\nodd line\nNVIDIA T4, 15360\n";
        let gpu = |name: &str, vram_gb| Gpu { name: name.into(), vram_gb };
        assert_eq!(parse_gpus(text), [gpu("NVIDIA H100 80GB HBM3", 80), gpu("NVIDIA T4", 15)]);
        assert_eq!(parse_gpus("No devices were found"), []);
    }
}
