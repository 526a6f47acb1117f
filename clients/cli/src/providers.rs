//! `framefair providers`: who renders, and for how much. Reads only.

use framefair_domain::money::Lamports;
use framefair_domain::quote::{Size, Tariff, price};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::Providers;
use crate::exit::{Failure, plain};
use crate::hub::Hub;
use crate::hub::said::{Pricing, Provider};
use crate::screen::Report;
use crate::table::columns;

/// What the price column is for: one frame of a scene of 10 MiB.
const SAMPLE: Size = Size { bytes: 10 << 20, frames: 1 };
const HEADS: [&str; 9] =
    ["NAME", "STATUS", "SOL", "RATING", "JOBS", "ENGINES", "BLENDER", "GPU", "ID"];

#[derive(Serialize)]
struct Document<'a> {
    ok: bool,
    /// The hub's own words, in its own digits.
    data: &'a RawValue,
}

pub(crate) async fn run(args: &Providers) -> Result<Report, Failure> {
    let hub = Hub::new(args.hub.hub.clone())?;
    let answer = hub.providers(args.status.map(|status| status.word())).await;
    let (list, raw) =
        answer.map_err(|error| error.failure("the providers could not be listed", &hub.url))?;
    let document = Document { ok: true, data: &raw };
    if list.providers.is_empty() {
        let text = "Nobody renders here at the moment. `framefair node run` makes this machine a provider.";
        return Ok(Report::new(text, &document));
    }
    let mut text = table(&list.providers);
    let more = list.total.saturating_sub(list.providers.len() as u64);
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    text.push_str("SOL is the price of one frame of a 10 MiB scene, fee included.");
    Ok(Report::new(text, &document))
}

fn table(providers: &[Provider]) -> String {
    columns(HEADS, providers.iter().map(row).collect())
}

fn row(provider: &Provider) -> [String; 9] {
    [
        plain(&provider.name, 24),
        plain(&provider.status, 12),
        asks(&provider.pricing, SAMPLE).map_or_else(|| "?".to_owned(), Lamports::to_sol),
        plain(provider.rating.get(), 5),
        provider.completed_jobs.to_string(),
        plain(&provider.spec.render_engines.join(","), 24),
        plain(&provider.spec.blender_version, 10),
        gpus(provider),
        provider.id.to_string(),
    ]
}

fn gpus(provider: &Provider) -> String {
    match provider.spec.gpus.as_slice() {
        [] => "-".to_owned(),
        [one] => plain(&one.name, 24),
        [first, rest @ ..] => format!("{} +{}", plain(&first.name, 20), rest.len()),
    }
}

/// What a job of this size costs with a provider, fee included; None where a price is not written
/// as one.
pub(crate) fn asks(pricing: &Pricing, size: Size) -> Option<Lamports> {
    let sol = |raw: &RawValue| Lamports::from_sol_rounded(raw.get()).ok();
    let tariff = Tariff {
        frame: sol(&pricing.price_per_frame)?,
        second: sol(&pricing.price_per_second)?,
        gb: sol(&pricing.price_per_gb)?,
        minimum: sol(&pricing.minimum_price)?,
    };
    price(size, &tariff).ok().map(|breakdown| breakdown.total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, per_frame: &str) -> Provider {
        let text = format!(
            r#"{{"id":"0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001","name":{},"wallet":"x","endpoint":"http://h","status":"online",
            "spec":{{"gpus":[{{"name":"RTX 4090","vram":24}},{{"name":"RTX 4090","vram":24}}],"gpuCount":2,"totalVram":48,
            "maxFileSize":500,"supportedFormats":[".blend"],"blenderVersion":"4.5","renderEngines":["cycles","eevee"]}},
            "pricing":{{"pricePerFrame":{per_frame},"pricePerSecond":0.0001,"pricePerGb":0.01,"minimumPrice":0.005,"currency":"SOL"}},
            "rating":4.5,"completedJobs":3}}"#,
            serde_json::to_string(name).unwrap()
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_table_shows_what_a_sample_job_costs() {
        let text = table(&[provider("attic", "0.001"), provider("a longer name", "0.01")]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("NAME           STATUS  SOL"), "{text}");
        // max(10 MiB / 1 GiB x 0.01 + 0.001 + 60 x 0.0001, 0.005) x 1.05, to six decimals
        assert!(lines[1].contains("0.007453") && lines[1].contains("RTX 4090 +1"), "{text}");
        assert!(lines[2].contains("0.016903"), "{text}");
    }

    #[test]
    fn a_price_that_is_no_number_spoils_only_its_own_row() {
        let text = table(&[provider("odd", "-1"), provider("attic\u{1b}[2J", "0.001")]);
        assert!(text.lines().nth(1).unwrap().contains(" ? "), "{text}");
        assert!(text.contains("attic [2J"), "{text}");
    }
}
