//! What this machine has: Blender, its sandbox, devices, room. All of it is the node's own detection.

use std::path::Path;

use framefair_node::machine::{self, Device, Eevee, Machine, NoMachine, Options};
use framefair_node::sandbox::Sandbox;

use super::Check;
use crate::args::Doctor;

const GIB: u64 = 1 << 30;
/// Hardly any job fits into less.
const ROOM_MIN: u64 = GIB / 4;
/// A scene has up to 2 GiB, and its frames need room beside it.
const ROOM_GOOD: u64 = 10 * GIB;

pub(super) async fn look(args: &Doctor) -> Vec<Check> {
    let sandbox = Sandbox::detect().await;
    let options = Options {
        blenders: args.blender.iter().cloned().collect(),
        // Nothing of a stranger is opened, so that a Blender can be asked without one too.
        sandbox: sandbox.clone().unwrap_or(Sandbox::None),
        eevee: Eevee::IfGpu,
        gpu: true,
    };
    let found = machine::detect(&options).await.map(|mut machines| machines.remove(0));
    let mut checks = vec![blender(&found)];
    checks.push(match (&sandbox, &found) {
        (Ok(_), _) => Check::ok("sandbox", "bubblewrap works"),
        // Who has no Blender runs no node, and misses nothing.
        (Err(why), Err(_)) => Check::warning("sandbox", why, "Only a node needs it."),
        (Err(why), Ok(_)) => Check::problem(
            "sandbox",
            why,
            "A node refuses to render without it; ordering renders works all the same.",
        ),
    });
    checks.extend(found.as_ref().ok().map(devices));
    let work = args.work.clone().unwrap_or_else(std::env::temp_dir);
    checks.push(room("disk", &work, "Make room, or give the node another folder with --work."));
    checks.push(room("disk here", Path::new("."), "Make room for the frames that arrive here."));
    checks
}

fn blender(found: &Result<Machine, NoMachine>) -> Check {
    match found {
        Ok(machine) => {
            let denoises = if machine.denoiser { "denoises" } else { "cannot denoise" };
            Check::ok("blender", format!("{}, {denoises}", machine.summary()))
        }
        Err(error @ NoMachine::Absent(_)) => {
            Check::warning("blender", error, "Only a node needs it; others can render for you.")
        }
        Err(error) => Check::problem(
            "blender",
            error,
            "Install it anew, or name another with --blender PATH.",
        ),
    }
}

fn devices(machine: &Machine) -> Check {
    let memory = match machine.memory_bytes / GIB {
        0 => String::new(),
        gib => format!(", {gib} GiB of memory"),
    };
    let gpus: Vec<String> =
        machine.gpus.iter().map(|gpu| format!("{} ({} GB)", gpu.name, gpu.vram_gb)).collect();
    let gpus = match (machine.device, gpus.as_slice()) {
        (_, []) => "no GPU, Cycles renders on the processor".to_owned(),
        (Device::Gpu, _) => gpus.join(", "),
        (Device::Cpu, _) => format!("{}, not used", gpus.join(", ")),
    };
    Check::ok("devices", format!("{} cores{memory}, {gpus}", machine.cores))
}

fn room(check: &'static str, folder: &Path, todo: &str) -> Check {
    let free = match machine::free_disk(folder) {
        Ok(free) => free,
        Err(error) => {
            return Check::problem(check, format!("{}: {error}", folder.display()), todo);
        }
    };
    let text = format!("{} MiB are free in {}", free >> 20, folder.display());
    match free {
        ROOM_GOOD.. => Check::ok(check, text),
        ROOM_MIN.. => Check::warning(check, text, todo),
        _ => Check::problem(check, text, todo),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_a_problem_and_one_that_is_tells_its_room() {
        let folder = tempfile::tempdir().unwrap();
        let missing = room("disk", &folder.path().join("absent"), "Make it.");
        assert_eq!((missing.state, missing.todo.as_str()), (State::Problem, "Make it."));
        let there = room("disk", folder.path(), "");
        let free = machine::free_disk(folder.path()).unwrap();
        assert_eq!(there.state == State::Ok, free >= ROOM_GOOD, "{there:?}");
    }
}
