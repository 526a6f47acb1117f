//! The totals in Prometheus' text format. Units are seconds and whole credits, as its readers expect.

use framefair_app::fleet::Census;
use framefair_app::metrics::{Answered, BOUNDS_MS, Jobs, Readings};
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Encoder, TextEncoder};

const US_PER_S: f64 = 1e6;
const MS_PER_S: f64 = 1e3;
const PARTS_PER_CREDIT: f64 = 1e4;

/// Every family of the contract; one without any sample is left out.
pub(crate) fn exposition(readings: &Readings) -> Vec<u8> {
    let jobs = |of: fn(&Jobs) -> u64, labels: &[(&str, &str)]| -> Vec<Metric> {
        let each = readings.jobs.iter();
        each.map(|(kind, jobs)| count(&[&[("job_type", *kind)], labels].concat(), float(of(jobs))))
            .collect()
    };
    let mut ended = jobs(|jobs| jobs.completed, &[("status", "completed")]);
    ended.extend(jobs(|jobs| jobs.failed, &[("status", "failed")]));
    let consumed = float(u64::try_from(readings.consumed.0).unwrap_or(0)) / PARTS_PER_CREDIT;
    let Census { healthy, unhealthy, offline } = readings.nodes;
    let nodes = [("healthy", healthy), ("unhealthy", unhealthy), ("offline", offline)].into_iter();
    let families = [
        family("http_requests_total", "Answers, by route.", MetricType::COUNTER, answers(readings)),
        family(
            "http_request_duration_seconds",
            "How long answers took.",
            MetricType::HISTOGRAM,
            readings.answered.iter().map(|(route, answered)| times(route, answered)).collect(),
        ),
        family(
            "jobs_dispatched_total",
            "Attempts that were given to a node.",
            MetricType::COUNTER,
            jobs(|jobs| jobs.dispatched, &[]),
        ),
        family("jobs_completed_total", "Jobs that have ended.", MetricType::COUNTER, ended),
        family(
            "credits_consumed_total",
            "Credits that were spent for good.",
            MetricType::COUNTER,
            vec![count(&[], consumed)],
        ),
        family(
            "fleet_nodes_total",
            "Registered nodes, by how they do.",
            MetricType::GAUGE,
            nodes.map(|(status, n)| level(&[("status", status)], float(n))).collect(),
        ),
        family(
            "active_websocket_connections",
            "Sockets that stand at relays.",
            MetricType::GAUGE,
            vec![level(&[], float(readings.sockets))],
        ),
    ];
    let families: Vec<_> = families.into_iter().filter(|it| !it.get_metric().is_empty()).collect();
    let mut text = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
        tracing::error!(%error, "Totals could not be written down");
    }
    text
}

fn answers(readings: &Readings) -> Vec<Metric> {
    let each = readings.answered.iter().flat_map(|((method, endpoint), answered)| {
        answered.by_status.iter().map(move |(status, n)| {
            let status = status.to_string();
            let labels = [("method", method.as_str()), ("endpoint", endpoint)];
            count(&[&labels[..], &[("status_code", &status)]].concat(), float(*n))
        })
    });
    each.collect()
}

fn times((method, endpoint): &(String, String), answered: &Answered) -> Metric {
    let mut cumulative = 0;
    let buckets = BOUNDS_MS.iter().zip(answered.within).map(|(bound, n)| {
        cumulative += n;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(float(*bound) / MS_PER_S);
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(answered.within.iter().sum());
    histogram.set_sample_sum(float(answered.took_us) / US_PER_S);
    let mut metric = labelled(&[("method", method), ("endpoint", endpoint)]);
    metric.set_histogram(histogram);
    metric
}

/// Prometheus knows no other numbers. Beyond 2^53 the last digits go, and nobody misses them.
#[allow(clippy::cast_precision_loss, reason = "the format has floats alone")]
fn float(n: u64) -> f64 {
    n as f64
}

fn count(labels: &[(&str, &str)], n: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(n);
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

fn level(labels: &[(&str, &str)], n: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(n);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut metric = Metric::default();
    metric.set_label(labels.iter().map(pair).collect());
    metric
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use framefair_domain::credits::Credits;

    use super::*;

    #[test]
    fn totals_read_as_prometheus_expects() {
        let mut within = [0; BOUNDS_MS.len() + 1];
        (within[0], within[2], within[11]) = (3, 1, 1);
        let answered = Answered {
            by_status: BTreeMap::from([(200, 4), (404, 1)]),
            within,
            took_us: 12_500_000,
        };
        let route = ("GET".to_owned(), "/render/{jobId}".to_owned());
        let jobs = Jobs { dispatched: 3, completed: 2, failed: 1 };
        let readings = Readings {
            answered: BTreeMap::from([(route, answered)]),
            jobs: BTreeMap::from([("render", jobs)]),
            consumed: Credits(25_001),
            sockets: 7,
            nodes: Census { healthy: 5, unhealthy: 0, offline: 2 },
        };
        let text = String::from_utf8(exposition(&readings)).expect("text");
        let route = r#"method="GET",endpoint="/render/{jobId}""#;
        for line in [
            "# TYPE http_requests_total counter".to_owned(),
            format!("http_requests_total{{{route},status_code=\"200\"}} 4"),
            "# TYPE http_request_duration_seconds histogram".to_owned(),
            format!("http_request_duration_seconds_bucket{{{route},le=\"0.005\"}} 3"),
            format!("http_request_duration_seconds_bucket{{{route},le=\"0.025\"}} 4"),
            format!("http_request_duration_seconds_bucket{{{route},le=\"10\"}} 4"),
            format!("http_request_duration_seconds_bucket{{{route},le=\"+Inf\"}} 5"),
            format!("http_request_duration_seconds_sum{{{route}}} 12.5"),
            format!("http_request_duration_seconds_count{{{route}}} 5"),
            r#"jobs_dispatched_total{job_type="render"} 3"#.to_owned(),
            r#"jobs_completed_total{job_type="render",status="completed"} 2"#.to_owned(),
            r#"jobs_completed_total{job_type="render",status="failed"} 1"#.to_owned(),
            "credits_consumed_total 2.5001".to_owned(),
            "active_websocket_connections 7".to_owned(),
            "# TYPE fleet_nodes_total gauge".to_owned(),
            r#"fleet_nodes_total{status="healthy"} 5"#.to_owned(),
            r#"fleet_nodes_total{status="unhealthy"} 0"#.to_owned(),
            r#"fleet_nodes_total{status="offline"} 2"#.to_owned(),
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }
}
