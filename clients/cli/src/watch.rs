//! `framefair watch`: follows a job that was ordered earlier, here or elsewhere. Pays nothing.

use serde_json::json;

use crate::args::Watch;
use crate::exit::Failure;
use crate::follow::{self, Pace};
use crate::hub::Hub;
use crate::record::Records;
use crate::screen::{Report, Screen};

pub(crate) async fn run(args: &Watch, screen: &Screen) -> Result<Report, Failure> {
    let hub = Hub::new(args.hub.hub.clone())?;
    let records = Records::of(&args.out);
    let pace = Pace { patience: args.patience.time(), together: 1 };
    if let Some(record) = records.load(args.job) {
        let (record, job) = follow::home(&hub, &records, record, &args.out, pace, screen).await?;
        return Ok(Report::new(record.files_text().join("\n"), &follow::document(&record, &job)));
    }
    let job = follow::until_done(&hub, args.job, None, 0, pace, screen).await?;
    let url = hub.result_url(args.job);
    screen.note("The job is completed. This folder knows nothing of it, so the result stays at the hub; --out with the folder that was given to `framefair render` brings the frames.");
    let document = json!({
        "ok": true,
        "job": args.job,
        "status": job.status.word(),
        "files": [],
        "result": url.as_str(),
        "provider": job.provider_id,
        "renderTime": job.render_time,
    });
    Ok(Report::new(url.as_str(), &document))
}
