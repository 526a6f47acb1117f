//! The room without doors in which a stranger's scene is opened: bubblewrap, and limits around it.
//!
//! Knows how to build the command, not what is done in it. There is no network, no other process, no
//! file of the host but `/usr`, the scene and the output folder; nothing can be gained by taking Blender
//! over. What else runs strangers' instructions stands in the same room. Without bubblewrap the agent refuses to work, unless its owner says `--no-sandbox` himself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::limits::Limits;

/// Where things lie inside.
const ROOM: &str = "/job";
const SPACE_IN_TMP: u64 = 1 << 30;
const DETECTION_MAX: Duration = Duration::from_secs(10);

/// How strangers' scenes are kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sandbox {
    Bubblewrap,
    /// Only ever by the owner's explicit choice: a scene that exploits Blender then owns his account.
    None,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "no sandbox: {0}. Install bubblewrap (on Debian: apt-get install bubblewrap) and allow user \
     namespaces, or accept the risk with --no-sandbox"
)]
pub struct NoSandbox(String);

/// What one Blender, or one runner, gets to see.
pub(crate) struct Room<'a> {
    pub program: &'a Path,
    /// Whether the program brings libraries and scripts in its own folder, as an unpacked Blender does.
    pub with_folder: bool,
    /// Read only: the scripts and the order.
    pub scripts: Option<&'a Path>,
    /// Read only, and its name inside.
    pub scene: Option<(&'a Path, String)>,
    /// The one folder that can be written.
    pub out: Option<&'a Path>,
    pub gpu: bool,
}

/// The same places as Blender will see them.
pub(crate) struct Seen {
    pub scripts: PathBuf,
    pub scene: PathBuf,
    pub out: PathBuf,
}

impl Sandbox {
    /// Bubblewrap, proved by running something in it with everything that a render uses.
    pub async fn detect() -> Result<Sandbox, NoSandbox> {
        let mut command = Command::new("bwrap");
        command.args(walls()).args(system()).args(["--", "/usr/bin/true"]);
        let mut command = tokio::process::Command::from(command);
        let run = command.kill_on_drop(true).output();
        match tokio::time::timeout(DETECTION_MAX, run).await {
            Ok(Ok(output)) if output.status.success() => Ok(Sandbox::Bubblewrap),
            Ok(Ok(output)) => {
                let said: String =
                    String::from_utf8_lossy(&output.stderr).chars().take(300).collect();
                Err(NoSandbox(format!("bwrap cannot build one here ({})", said.trim())))
            }
            Ok(Err(error)) => Err(NoSandbox(format!("bwrap cannot be started ({error})"))),
            Err(_) => Err(NoSandbox("bwrap did not answer within 10 seconds".into())),
        }
    }

    pub(crate) fn seen(&self, room: &Room<'_>) -> Seen {
        let scene = room.scene.as_ref();
        match self {
            Sandbox::Bubblewrap => Seen {
                scripts: Path::new(ROOM).join("scripts"),
                scene: Path::new(ROOM).join(scene.map_or("", |(_, name)| name.as_str())),
                out: Path::new(ROOM).join("out"),
            },
            Sandbox::None => Seen {
                scripts: room.scripts.unwrap_or(Path::new("")).to_owned(),
                scene: scene.map_or_else(PathBuf::new, |(path, _)| path.to_path_buf()),
                out: room.out.unwrap_or(Path::new("")).to_owned(),
            },
        }
    }

    /// The whole command: limits, walls, then the program with `args`.
    pub(crate) fn command(&self, room: &Room<'_>, limits: &Limits, args: &[OsString]) -> Command {
        // prlimit replaces itself with what follows, so the child's id is the sandbox's.
        let mut command = Command::new("prlimit");
        command.args(rlimits(limits, room.gpu)).arg("--");
        match self {
            Sandbox::Bubblewrap => {
                command.arg("bwrap").args(walls()).args(system()).args(doors(room));
                // The root and /dev are file systems in memory; written to, they would pass every limit.
                command.args([
                    "--remount-ro",
                    "/",
                    "--remount-ro",
                    "/dev",
                    "--chdir",
                    "/tmp",
                    "--",
                ]);
            }
            Sandbox::None => {
                // Not a sandbox: only so that Blender dies with the agent and inherits no secrets.
                command.args(["setpriv", "--pdeathsig", "KILL", "--"]);
                let home = room.out.or(room.scripts).unwrap_or(Path::new("/"));
                command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
                command.env("HOME", home).env("TMPDIR", home).current_dir(home);
            }
        }
        command.arg(room.program).args(args);
        command
    }
}

fn rlimits(limits: &Limits, gpu: bool) -> Vec<String> {
    let cpu = limits.cpu_seconds.max(1);
    let mut all = vec![
        // First a signal of its own (SIGXCPU), five seconds later the one that nobody survives.
        format!("--cpu={cpu}:{}", cpu.saturating_add(5)),
        format!("--fsize={}", limits.file_bytes),
        "--nofile=1024".into(),
        "--core=0".into(),
    ];
    if !gpu {
        all.push(format!("--as={}", limits.memory_bytes));
    }
    all
}

/// Namespaces, privileges, environment.
fn walls() -> impl Iterator<Item = OsString> {
    "--unshare-all --unshare-user --disable-userns --die-with-parent --new-session --clearenv \
     --cap-drop ALL --uid 65534 --gid 65534 --hostname render \
     --setenv PATH /usr/bin --setenv HOME /tmp --setenv TMPDIR /tmp --setenv LC_ALL C.UTF-8"
        .split_whitespace()
        .map(OsString::from)
}

/// The read-only system: programs, and the two things of `/etc` by which the loader finds libraries
/// (Debian chooses its BLAS through /etc/alternatives).
fn system() -> Vec<OsString> {
    let mut all: Vec<OsString> = ["--ro-bind", "/usr", "/usr"].map(OsString::from).into();
    for folder in ["/lib", "/lib64"] {
        match std::fs::read_link(folder) {
            Ok(target) => all.extend(["--symlink".into(), target.into(), folder.into()]),
            Err(_) => all.extend(["--ro-bind-try", folder, folder].map(OsString::from)),
        }
    }
    for path in ["/etc/ld.so.cache", "/etc/alternatives"] {
        all.extend(["--ro-bind-try", path, path].map(OsString::from));
    }
    all.extend(["--size".into(), SPACE_IN_TMP.to_string().into()]);
    all.extend(["--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc"].map(OsString::from));
    all
}

/// What this one render may see besides.
fn doors(room: &Room<'_>) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    let mut open = |how: &str, host: &Path, inside: &Path| {
        all.extend([how.into(), host.into(), inside.into()]);
    };
    if !room.program.starts_with("/usr") {
        let folder = room.program.parent().filter(|_| room.with_folder);
        let whole = folder.unwrap_or(room.program);
        open("--ro-bind", whole, whole);
    }
    if let Some(scripts) = room.scripts {
        open("--ro-bind", scripts, &Path::new(ROOM).join("scripts"));
    }
    if let Some((scene, name)) = &room.scene {
        open("--ro-bind", scene, &Path::new(ROOM).join(name));
    }
    if let Some(out) = room.out {
        open("--bind", out, &Path::new(ROOM).join("out"));
    }
    if room.gpu {
        for name in ["nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "dri"] {
            let device = Path::new("/dev").join(name);
            open("--dev-bind-try", &device, &device);
        }
        open("--ro-bind-try", Path::new("/sys"), Path::new("/sys"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell in the sandbox prints; it stands for a Blender that a scene took over.
    fn inside(script: &str, limits: &Limits) -> String {
        let folder = tempfile::tempdir().unwrap();
        let [scripts, out] = ["scripts", "out"].map(|name| folder.path().join(name));
        std::fs::create_dir(&scripts).unwrap();
        std::fs::create_dir(&out).unwrap();
        let scene = folder.path().join("any");
        std::fs::write(&scene, "scene").unwrap();
        let room = Room {
            program: Path::new("/usr/bin/sh"),
            with_folder: false,
            scripts: Some(&scripts),
            scene: Some((&scene, "scene.blend".into())),
            out: Some(&out),
            gpu: false,
        };
        let args = ["-c", script].map(OsString::from);
        let mut command = Sandbox::Bubblewrap.command(&room, limits, &args);
        command.env("SECRET_OF_THE_AGENT", "x");
        let output = command.output().expect("apt-get install bubblewrap util-linux");
        assert_eq!(std::fs::read(&scene).unwrap(), b"scene");
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    fn limits() -> Limits {
        Limits { file_bytes: 1 << 20, ..Limits::for_machine(2, 4 << 30) }
    }

    #[test]
    fn inside_there_is_no_network_no_host_file_no_other_process_and_no_secret() {
        let seen = inside("cd /; echo *; ls /etc", &limits());
        assert_eq!(seen, "dev etc job lib lib64 proc tmp usr\nalternatives\nld.so.cache\n");
        let network = inside("tail -n +3 /proc/net/dev | cut -d: -f1", &limits());
        assert_eq!(network.trim(), "lo");
        let processes = inside("echo /proc/[0-9]*", &limits());
        assert!(processes.split_whitespace().count() <= 3, "{processes}");
        let environment = inside("env | cut -d= -f1 | sort | tr '\\n' ' '", &limits());
        assert_eq!(environment.trim(), "HOME LC_ALL PATH PWD TMPDIR");
        assert_eq!(inside("id -u; hostname", &limits()), "65534\nrender\n");
    }

    #[test]
    fn only_the_output_folder_and_a_bounded_tmp_can_be_written() {
        let script = "for at in / /usr /etc /job /job/scripts /job/scene.blend /dev /dev/shm /proc /job/out /tmp; do \
                      (echo x > $at/x || echo x >> $at) 2>/dev/null && echo $at; done";
        let written = inside(script, &limits());
        assert_eq!(written, "/job/out\n/tmp\n");
    }

    #[test]
    fn limits_hold_inside() {
        let limits = Limits { memory_bytes: 1 << 30, cpu_seconds: 77, ..limits() };
        assert_eq!(inside("ulimit -v; ulimit -t; ulimit -c", &limits), "1048576\n77\n0\n");
        let grown =
            inside("head -c 3000000 /dev/zero > /job/out/big; wc -c < /job/out/big", &limits);
        assert!(grown.lines().any(|line| line == "1048576"), "{grown}");
        let nested = inside("unshare -U true && echo another", &limits);
        assert!(!nested.contains("another"), "{nested}");
    }
}
