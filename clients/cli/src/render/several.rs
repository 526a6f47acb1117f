//! Several scenes in one command: priced one after the other, agreed to once, then paid and followed at
//! the same time. One that fails stops no other.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{Errand, Run, Scene, Stand, total};
use crate::exit::Failure;
use crate::follow;
use crate::hub::said::Job;
use crate::record::Record;
use crate::screen::{Report, Screen};

/// A scene's job at its end.
type Ended = Result<(Record, Job), Failure>;

pub(super) async fn render(
    run: &Run<'_>,
    scenes: Vec<Scene>,
    screen: &Screen,
) -> Result<Report, Failure> {
    let errands: Vec<Errand> = scenes
        .into_iter()
        .map(|scene| Errand { screen: screen.labelled(&scene.name), scene })
        .collect();
    let mut stands = Vec::with_capacity(errands.len());
    for errand in &errands {
        let stand = run.stand(errand).await;
        stands.push(stand.inspect_err(|failure| tell(errand, failure)));
    }
    agree(run, &stands, screen).await?;
    write_together(&mut stands);
    let jobs = errands.iter().zip(stands).map(|(errand, stand)| async move {
        let ended = run.carry_out(stand?, errand).await;
        match &ended {
            Ok((record, _)) => errand.screen.tell(
                "done",
                &format!("{} frames are in {}.", record.files.len(), run.args.out.display()),
                json!({ "job": record.job, "files": record.files_text() }),
            ),
            Err(failure) => tell(errand, failure),
        }
        ended
    });
    let ended = join_all(jobs).await;
    report(&errands, &ended)
}

fn tell(errand: &Errand, failure: &Failure) {
    errand.screen.tell("failed", &failure.to_string(), failure.to_json());
}

async fn agree(
    run: &Run<'_>,
    stands: &[Result<Stand, Failure>],
    screen: &Screen,
) -> Result<(), Failure> {
    let offered: Vec<&Record> = stands
        .iter()
        .filter_map(|stand| match stand {
            Ok(Stand::Offered(record)) => Some(record.as_ref()),
            _ => None,
        })
        .collect();
    if offered.is_empty() {
        return Ok(());
    }
    let sum = total(&offered)?;
    screen.tell(
        "sum",
        &format!("{} of {} scenes are to be paid, {sum} in all.", offered.len(), stands.len()),
        json!({
            "jobs": offered.iter().map(|record| record.job).collect::<Vec<_>>(),
            "price": sum.to_sol(),
            "lamports": sum.0.to_string(),
        }),
    );
    run.agree(&offered).await
}

/// Notes in each new record which jobs belong to this command, so that the same command after an
/// interruption does not order again what is done.
fn write_together(stands: &mut [Result<Stand, Failure>]) {
    let job = |stand: &Result<Stand, Failure>| match stand {
        Ok(Stand::Offered(record) | Stand::Paid(record)) => Some(record.job),
        Err(_) => None,
    };
    let jobs: Vec<_> = stands.iter().filter_map(job).collect();
    for stand in stands {
        if let Ok(Stand::Offered(record) | Stand::Paid(record)) = stand {
            record.together.clone_from(&jobs);
        }
    }
}

fn report(errands: &[Errand], ended: &[Ended]) -> Result<Report, Failure> {
    let document = |(errand, ended): (&Errand, &Ended)| -> Value {
        let mut document = match ended {
            Ok((record, job)) => follow::document(record, job),
            Err(failure) => failure.to_json(),
        };
        document["scene"] = json!(errand.scene.path);
        document
    };
    let jobs: Vec<Value> = errands.iter().zip(ended).map(document).collect();
    let files: Vec<String> =
        ended.iter().flatten().flat_map(|(record, _)| record.files_text()).collect();
    let files = files.join("\n");
    let failed: Vec<(&Errand, &Failure)> = errands
        .iter()
        .zip(ended)
        .filter_map(|(errand, ended)| Some((errand, ended.as_ref().err()?)))
        .collect();
    let Some((_, first)) = failed.first() else {
        return Ok(Report::new(files, &json!({ "ok": true, "jobs": jobs })));
    };
    let names: Vec<&str> = failed.iter().map(|(errand, _)| errand.scene.name.as_str()).collect();
    let why = format!("{} of {} failed: {}", failed.len(), errands.len(), names.join(", "));
    Err(Failure::new(first.exit, "not every scene was rendered", why)
        .hint("Why stands above, with each. Name only these again: whatever is done would be rendered and paid anew.")
        .value("jobs", Value::Array(jobs))
        .showing(files))
}
