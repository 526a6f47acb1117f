//! Objects of the bucket.

use framefair_domain::id::{JobId, UploadId};

/// A result that a provider uploads before it hands it in.
pub fn upload(upload: UploadId) -> String {
    format!("uploads/{upload}")
}

pub fn scene(job: JobId, file_name: &str) -> String {
    format!("scenes/{job}/{file_name}")
}

/// Where a node may write the result of its lease `epoch`, and nobody serves from.
pub fn staged_result(job: JobId, epoch: u32) -> String {
    format!("staging/{job}/0/{epoch}/result")
}

/// Where a node may write frame `frame` under its lease `epoch`, and nobody serves from.
pub fn staged_frame(job: JobId, epoch: u32, frame: i32) -> String {
    format!("staging/{job}/0/{epoch}/{frame}")
}

/// All frames in one zip, from providers that hand in over HTTP.
pub fn staged_zip(job: JobId, epoch: u32) -> String {
    format!("staging/{job}/0/{epoch}/all.zip")
}

/// Stands beside a staged object and holds the name of its bytes.
pub fn staged_mark(staged: &str) -> String {
    format!("{staged}.mark")
}

/// The pixel hash of each delivered frame.
pub fn frame_hashes(job: JobId, epoch: u32) -> String {
    format!("results/{job}/{epoch}/frames.json")
}

/// What is served and paid for; no URL to write here is ever made.
pub fn result(job: JobId, epoch: u32, file_name: &str) -> String {
    format!("results/{job}/{epoch}/{file_name}")
}
