//! What a person or a program sees while a command runs: bars on a terminal, lines elsewhere, JSON
//! lines with `--json`; all on stderr. stdout belongs to the one report at the end.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use framefair_domain::id::JobId;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::exit::plain;
use crate::hub::said::{Job, Progress};

/// Characters of a scene's name beside its bars.
const LABEL_MAX: usize = 40;

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

/// Clones draw on the same terminal, below each other.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    mode: Mode,
    bars: MultiProgress,
    /// The scene that is spoken of, where there are several.
    label: Option<Arc<str>>,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Screen {
        let mode = match (json, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Json,
            (false, true) => Mode::Bars,
            (false, false) => Mode::Lines,
        };
        let target = match mode {
            Mode::Bars => ProgressDrawTarget::stderr_with_hz(10),
            Mode::Json | Mode::Lines => ProgressDrawTarget::hidden(),
        };
        Screen { mode, bars: MultiProgress::with_draw_target(target), label: None }
    }

    /// The same screen for one scene of several: all that is shown bears its name.
    pub(crate) fn labelled(&self, name: &str) -> Screen {
        Screen { label: Some(plain(name, LABEL_MAX).into()), ..self.clone() }
    }

    /// A sentence for a person, an event for a program.
    pub(crate) fn tell(&self, event: &str, human: &str, mut json: Value) {
        if self.mode == Mode::Json {
            json["event"] = json!(event);
            self.event(json);
        } else {
            self.line(human);
        }
    }

    /// A sentence without figures of its own.
    pub(crate) fn note(&self, human: &str) {
        self.tell("note", human, json!({ "text": human }));
    }

    /// A bar that counts bytes up to `total`.
    pub(crate) fn bytes(&self, what: &'static str, total: Option<u64>) -> Bytes {
        let template = if total.is_some() {
            "{prefix:>10} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}"
        } else {
            "{prefix:>10} {spinner} {bytes} {binary_bytes_per_sec}"
        };
        let bar = self.bar(total.unwrap_or(0), template, what);
        if self.mode == Mode::Lines {
            self.line(&format!("{what}..."));
        }
        Bytes { screen: self.clone(), bar, what, total, told: None }
    }

    /// Bars for the frames of a job; `total` is 0 where it is not known yet.
    pub(crate) fn frames(&self, job: JobId, total: u64) -> Frames {
        let frames =
            self.bar(total, "{prefix:>10} [{bar:30}] {pos}/{len} {msg} {elapsed}", "frames");
        let samples = self.bar(0, "{prefix:>10} [{bar:30}] {msg}", "frame");
        if self.mode == Mode::Bars {
            frames.enable_steady_tick(Duration::from_millis(500));
        }
        Frames { screen: self.clone(), job, frames, samples, told: None }
    }

    /// It is drawn when it looks as it shall, and not before.
    fn bar(&self, length: u64, template: &str, what: &str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        bar.set_style(style(template));
        bar.set_prefix(self.prefix(what));
        self.bars.add(bar)
    }

    fn prefix(&self, what: &str) -> String {
        match &self.label {
            Some(label) => format!("{label} {what}"),
            None => what.to_owned(),
        }
    }

    /// A line above the bars. Nobody is left to tell when stderr is gone, so that error is dropped.
    fn line(&self, text: &str) {
        let text = match &self.label {
            Some(label) => &format!("{label}: {text}"),
            None => text,
        };
        let write = || drop(writeln!(std::io::stderr().lock(), "{text}"));
        if self.mode == Mode::Bars { self.bars.suspend(write) } else { write() }
    }

    fn event(&self, mut event: Value) {
        if let Some(label) = &self.label {
            event["scene"] = json!(label.as_ref());
        }
        drop(writeln!(std::io::stderr().lock(), "{event}"));
    }
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

/// Bytes on the move.
#[derive(Debug)]
pub(crate) struct Bytes {
    screen: Screen,
    bar: ProgressBar,
    what: &'static str,
    total: Option<u64>,
    /// The last tenth that a program was told of.
    told: Option<u64>,
}

impl Bytes {
    pub(crate) fn at(&mut self, bytes: u64) {
        self.bar.set_position(bytes);
        let tenth = self.total.map(|total| bytes.saturating_mul(10) / total.max(1));
        if self.screen.mode == Mode::Json && tenth.is_some() && tenth != self.told {
            self.told = tenth;
            self.screen.event(json!({ "event": self.what, "bytes": bytes, "total": self.total }));
        }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.screen.bars.remove(&self.bar);
    }
}

/// Frames in the making.
#[derive(Debug)]
pub(crate) struct Frames {
    screen: Screen,
    job: JobId,
    frames: ProgressBar,
    samples: ProgressBar,
    told: Option<(String, Option<Progress>)>,
}

impl Drop for Frames {
    fn drop(&mut self) {
        for bar in [&self.samples, &self.frames] {
            bar.finish_and_clear();
            self.screen.bars.remove(bar);
        }
    }
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
        match self.screen.mode {
            Mode::Json => {
                let (status, progress) = (&now.0, now.1);
                let event = json!({ "event": "status", "job": self.job, "status": status, "progress": progress });
                self.screen.event(event);
            }
            Mode::Lines if self.is_news(&now) => self.screen.line(&words(&now.0, now.1)),
            Mode::Lines | Mode::Bars => {}
        }
        self.told = Some(now);
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
            self.samples.set_prefix(self.screen.prefix(&format!("frame {frame}")));
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
