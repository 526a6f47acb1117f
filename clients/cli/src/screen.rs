//! What a person or a program sees while a command runs: bars on a terminal, lines elsewhere, JSON
//! lines with `--json`; all on stderr. stdout belongs to the one report at the end.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::hub::said::{Job, Progress};

/// What a command ends with when it went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) human: String,
    pub(crate) json: String,
}

impl Report {
    /// `document` is an object with `"ok": true`. It is written at once, so that numbers of the hub
    /// stay in its own digits.
    pub(crate) fn new(human: impl Into<String>, document: &impl Serialize) -> Report {
        let json = serde_json::to_string(document).unwrap_or_else(|_| r#"{"ok":true}"#.to_owned());
        Report { human: human.into(), json }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Json,
    Bars,
    Lines,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    mode: Mode,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Screen {
        let mode = match (json, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Json,
            (false, true) => Mode::Bars,
            (false, false) => Mode::Lines,
        };
        Screen { mode }
    }

    /// A sentence for a person, an event for a program.
    pub(crate) fn tell(&self, event: &str, human: &str, mut json: Value) {
        if self.mode == Mode::Json {
            json["event"] = json!(event);
            line(&json.to_string());
        } else {
            line(human);
        }
    }

    /// A sentence without figures of its own.
    pub(crate) fn note(&self, human: &str) {
        self.tell("note", human, json!({ "text": human }));
    }

    /// A bar that counts bytes up to `total`.
    pub(crate) fn bytes(&self, what: &'static str, total: Option<u64>) -> Bytes {
        let bar = self.bar();
        let template = if total.is_some() {
            "{prefix:>10} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}"
        } else {
            "{prefix:>10} {spinner} {bytes} {binary_bytes_per_sec}"
        };
        // The style first: a length alone would be drawn at once, in the default one.
        bar.set_style(style(template));
        bar.set_prefix(what);
        bar.set_length(total.unwrap_or(0));
        if self.mode == Mode::Lines {
            line(&format!("{what}..."));
        }
        Bytes { bar, what, total, mode: self.mode, told: None }
    }

    /// Bars for the frames of a job.
    pub(crate) fn frames(&self, total: u64) -> Frames {
        let bars = MultiProgress::with_draw_target(self.target());
        let frames = bars.add(ProgressBar::new(total));
        frames.set_style(style("{prefix:>10} [{bar:30}] {pos}/{len} {msg} {elapsed}"));
        frames.set_prefix("frames");
        let samples = bars.add(ProgressBar::new(0));
        samples.set_style(style("{prefix:>10} [{bar:30}] {msg}"));
        if self.mode == Mode::Bars {
            frames.enable_steady_tick(Duration::from_millis(500));
        }
        Frames { bars, frames, samples, mode: self.mode, told: None }
    }

    fn target(&self) -> ProgressDrawTarget {
        match self.mode {
            Mode::Bars => ProgressDrawTarget::stderr_with_hz(10),
            Mode::Json | Mode::Lines => ProgressDrawTarget::hidden(),
        }
    }

    fn bar(&self) -> ProgressBar {
        ProgressBar::with_draw_target(None, self.target())
    }
}

/// Nobody is left to tell when stderr is gone, so that error is dropped.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

/// Bytes on the move.
#[derive(Debug)]
pub(crate) struct Bytes {
    bar: ProgressBar,
    what: &'static str,
    total: Option<u64>,
    mode: Mode,
    /// The last tenth that a program was told of.
    told: Option<u64>,
}

impl Bytes {
    pub(crate) fn at(&mut self, bytes: u64) {
        self.bar.set_position(bytes);
        let tenth = self.total.map(|total| bytes.saturating_mul(10) / total.max(1));
        if self.mode == Mode::Json && tenth.is_some() && tenth != self.told {
            self.told = tenth;
            line(&json!({ "event": self.what, "bytes": bytes, "total": self.total }).to_string());
        }
    }

    pub(crate) fn end(self) {
        self.bar.finish_and_clear();
    }
}

/// Frames in the making.
#[derive(Debug)]
pub(crate) struct Frames {
    bars: MultiProgress,
    frames: ProgressBar,
    samples: ProgressBar,
    mode: Mode,
    told: Option<(String, Option<Progress>)>,
}

impl Frames {
    /// Shows where the job is; says nothing where nothing has changed.
    pub(crate) fn show(&mut self, job: &Job) {
        let now = (job.status.word().to_owned(), job.progress);
        if self.told.as_ref() == Some(&now) {
            return;
        }
        self.frames.set_message(now.0.clone());
        if let Some(progress) = job.progress {
            self.draw(&progress);
        }
        match self.mode {
            Mode::Json => {
                line(&json!({ "event": "status", "status": now.0, "progress": now.1 }).to_string());
            }
            Mode::Lines if self.is_news(&now) => line(&words(&now.0, now.1)),
            Mode::Lines | Mode::Bars => {}
        }
        self.told = Some(now);
    }

    /// A line above the bars, for what happens beside the job.
    pub(crate) fn note(&self, text: &str) {
        match self.mode {
            Mode::Json => line(&json!({ "event": "note", "text": text }).to_string()),
            Mode::Lines => line(text),
            // A terminal that is gone shows nothing.
            Mode::Bars => drop(self.bars.println(text)),
        }
    }

    pub(crate) fn end(self) {
        self.samples.finish_and_clear();
        self.frames.finish_and_clear();
    }

    fn draw(&self, progress: &Progress) {
        if progress.frames_total > 0 {
            self.frames.set_length(progress.frames_total);
        }
        self.frames.set_position(progress.frames_done);
        if let (Some(sample), Some(samples)) = (progress.sample, progress.samples) {
            self.samples.set_length(samples);
            self.samples.set_position(sample);
            self.samples.set_message(format!("sample {sample}/{samples}"));
        }
        if let Some(frame) = progress.frame {
            self.samples.set_prefix(format!("frame {frame}"));
        }
    }

    /// A log takes a line per state and per frame, not per sample.
    fn is_news(&self, now: &(String, Option<Progress>)) -> bool {
        let coarse = |(word, progress): &(String, Option<Progress>)| {
            (word.clone(), progress.map(|p| (p.frames_done, p.frame)))
        };
        self.told.as_ref().map(coarse) != Some(coarse(now))
    }
}

/// A job's state in a line.
pub(crate) fn words(status: &str, progress: Option<Progress>) -> String {
    let Some(progress) = progress else { return status.to_owned() };
    let mut text =
        format!("{status}: {} of {} frames", progress.frames_done, progress.frames_total);
    if let Some(frame) = progress.frame {
        text.push_str(&format!(", frame {frame}"));
    }
    if let (Some(sample), Some(samples)) = (progress.sample, progress.samples) {
        text.push_str(&format!(", sample {sample} of {samples}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_in_words_that_fit_what_is_known() {
        assert_eq!(words("queued", None), "queued");
        let mut progress = Progress { frames_done: 2, frames_total: 8, ..Progress::default() };
        assert_eq!(words("rendering", Some(progress)), "rendering: 2 of 8 frames");
        progress.frame = Some(3);
        progress.sample = Some(5);
        progress.samples = Some(16);
        assert_eq!(
            words("rendering", Some(progress)),
            "rendering: 2 of 8 frames, frame 3, sample 5 of 16"
        );
    }
}
