//! `framefair nodes`: what could be done at this moment, by type of job. Reads only.

use serde_json::json;

use super::session::LoggedIn;
use crate::args::Nodes;
use crate::exit::{Failure, plain};
use crate::hub::account::{Capacity, Fleet};
use crate::screen::Report;
use crate::table::columns;

const HEADS: [&str; 6] = ["JOB TYPE", "CREDITS", "NODES", "FREE", "WITH GPU", "WAITING"];

pub(crate) async fn run(args: &Nodes) -> Result<Report, Failure> {
    let mut here = LoggedIn::open(&args.session)?;
    let fleet: Fleet = here.ask("the nodes could not be asked for", &["nodes"]).await?;
    let document = json!({
        "ok": true, "job_types": fleet.job_types, "counted_up_to": fleet.counted_up_to,
    });
    Ok(Report::new(text(&fleet), &document))
}

fn text(fleet: &Fleet) -> String {
    let counted = |n: u64| match n >= fleet.counted_up_to {
        true => format!("{n}+"),
        false => n.to_string(),
    };
    let row = |of: &Capacity| {
        let gpu = match of.gpu_nodes {
            0 => "-".to_owned(),
            nodes => format!("{}, {} free", counted(nodes), counted(of.gpu_free)),
        };
        let price = plain(&of.price, 24);
        let [nodes, free, waiting] = [of.nodes, of.free, of.waiting].map(counted);
        [plain(&of.job_type, 24), price, nodes, free, gpu, waiting]
    };
    let mut text = columns(HEADS, fleet.job_types.iter().map(row).collect());
    text.push_str(match fleet.job_types.iter().any(|of| of.nodes > 0) {
        true => "A job waits where all nodes that could do it are busy.",
        false => "No node is there at the moment. `framefair node run` makes this machine one.",
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_counted_to_its_end_says_so() {
        let text = |nodes: u64, gpu_nodes: u64| {
            let row = json!({ "job_type": "render\u{1b}[2J", "price": "10.0000", "nodes": nodes, "free": 1,
                "gpu_nodes": gpu_nodes, "gpu_free": 0, "waiting": 3 });
            let fleet = json!({ "job_types": [row], "counted_up_to": 32 });
            super::text(&serde_json::from_value(fleet).unwrap())
        };
        let (many, none) = (text(32, 2), text(0, 0));
        let row = |text: &str| {
            text.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row(&many), "render [2J 10.0000 32+ 1 2, 0 free 3");
        assert_eq!(row(&none), "render [2J 10.0000 0 1 - 3");
        assert!(none.ends_with("makes this machine one."), "{none}");
    }
}
