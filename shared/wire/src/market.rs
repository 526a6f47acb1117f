//! The market's socket `/ws`: the documented frames, and the node protocol that providers with the
//! `relay` feature speak on it. Unknown members are ignored, unknown frames are skipped.

use framefair_domain::id::{JobId, ProviderId};
use serde::{Deserialize, Serialize};

/// A frame larger than this is refused by both ends.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// A provider must authenticate within this time.
pub const AUTH_WITHIN_MS: u64 = 10_000;
/// A socket that says nothing for this long is closed.
pub const SILENCE_MAX_MS: u64 = 90_000;
/// How often a provider says that it lives.
pub const HEARTBEAT_EVERY_MS: u64 = 30_000;

/// What a provider sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum FromProvider {
    #[serde(rename = "auth")]
    #[serde(rename_all = "camelCase")]
    Auth { provider_id: ProviderId, timestamp: i64, signature: String },
    #[serde(rename = "heartbeat")]
    Heartbeat,

    /// How many tasks the node takes at once; sent after authentication.
    #[serde(rename = "node:ready")]
    Ready { slots: u32 },
    /// The task arrived and work begins.
    #[serde(rename = "task:accepted")]
    Accepted(Attempt),
    /// The node cannot take it now; no fault of the task.
    #[serde(rename = "task:declined")]
    Declined {
        #[serde(flatten)]
        attempt: Attempt,
        reason: String,
    },
    #[serde(rename = "task:progress")]
    Progress {
        #[serde(flatten)]
        attempt: Attempt,
        #[serde(flatten)]
        progress: Progress,
    },
    /// A frame exists and wants a place to go.
    #[serde(rename = "put:want")]
    WantPut {
        #[serde(flatten)]
        attempt: Attempt,
        frame: i32,
        size: u64,
        /// Lower-case hex of the file's SHA-256.
        sha256: String,
    },
    /// Every frame is uploaded. Repeated until `report:settled` answers.
    #[serde(rename = "task:done")]
    #[serde(rename_all = "camelCase")]
    Done {
        #[serde(flatten)]
        attempt: Attempt,
        render_ms: u64,
    },
    /// The attempt is over without a result. Repeated until `report:settled` answers.
    #[serde(rename = "task:failed")]
    Failed {
        #[serde(flatten)]
        attempt: Attempt,
        fault: Fault,
        error: String,
    },
    #[serde(other, rename = "unknown")]
    Unknown,
}

/// What the hub sends to a provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ToProvider {
    #[serde(rename = "authenticated")]
    Authenticated,
    #[serde(rename = "error")]
    Error { error: String },
    #[serde(rename = "job:paid")]
    #[serde(rename_all = "camelCase")]
    JobPaid { job_id: JobId, tx_signature: String },
    #[serde(rename = "job:cancelled")]
    #[serde(rename_all = "camelCase")]
    JobCancelled { job_id: JobId },

    /// Work under a lease. Sent again until accepted or declined.
    #[serde(rename = "task:assign")]
    Assign(Box<Assignment>),
    /// The same for work that is no rendering of frames.
    #[serde(rename = "task:perform")]
    Perform(Box<Task>),
    /// Where to put a frame.
    #[serde(rename = "put:grant")]
    GrantPut {
        #[serde(flatten)]
        attempt: Attempt,
        frame: i32,
        url: String,
        /// To be sent exactly so.
        headers: Vec<(String, String)>,
    },
    /// The report is dealt with; it need not be repeated.
    #[serde(rename = "report:settled")]
    Settled {
        #[serde(flatten)]
        attempt: Attempt,
        outcome: Outcome,
    },
    /// The lease is gone: stop, and write nothing more for it.
    #[serde(rename = "task:stop")]
    Stop(Attempt),
    #[serde(other, rename = "unknown")]
    Unknown,
}

/// One lease of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    pub job_id: JobId,
    pub epoch: u32,
}

/// Everything a node needs for one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    #[serde(flatten)]
    pub attempt: Attempt,
    pub scene: Scene,
    pub frames: Vec<i32>,
    pub width: u32,
    pub height: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    /// `PNG`, `JPEG` or `EXR`.
    pub output: String,
    /// Milliseconds since 1970 at which the lease ends whatever happens.
    pub until: i64,
}

/// Everything a node needs for a creator's task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    #[serde(flatten)]
    pub attempt: Attempt,
    pub job_type: String,
    /// A reference with a scheme, or the payload itself.
    pub payload: String,
    /// Presigned, for what lies here; good for a while only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_url: Option<String>,
    /// What its file was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_name: Option<String>,
    /// Where to put the result, with a plain PUT and its `Content-Type`; good for a while only.
    pub upload_url: String,
    /// What the result is called.
    pub result_ref: String,
    /// Milliseconds since 1970 at which the lease ends whatever happens.
    pub until: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scene {
    /// Presigned; good for a while only.
    pub url: String,
    pub name: String,
    /// Extension with its dot.
    pub format: String,
    pub bytes: u64,
    /// Of the whole file, lower-case hex; none while nobody has read it as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What it is known by instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
}

/// A file that came in parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tree {
    /// Over the SHA-256 of each part, in their order; lower-case hex.
    pub sha256: String,
    /// Of every part but the last.
    pub part_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub frames_done: u32,
    pub frames_total: u32,
    pub frame: i32,
    pub sample: u32,
    pub samples: u32,
}

/// Whose fault it is, in the node's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    Scene,
    Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Completed,
    Rejected,
    Recorded,
    /// It came under a lease that is no longer the current one.
    Stale,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_frames_read_and_write_as_documented() {
        let auth = r#"{"type":"auth","providerId":"0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001","timestamp":1699999999999,"signature":"s"}"#;
        let FromProvider::Auth { timestamp, .. } = serde_json::from_str(auth).expect("documented")
        else {
            panic!("not an auth frame");
        };
        assert_eq!(timestamp, 1_699_999_999_999);
        assert_eq!(
            serde_json::from_str::<FromProvider>(r#"{"type":"heartbeat"}"#).expect("documented"),
            FromProvider::Heartbeat
        );
        let paid = ToProvider::JobPaid {
            job_id: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001".parse().expect("a uuid"),
            tx_signature: "sig".into(),
        };
        assert_eq!(
            serde_json::to_string(&paid).expect("plain"),
            r#"{"type":"job:paid","jobId":"0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001","txSignature":"sig"}"#
        );
        assert_eq!(
            serde_json::to_string(&ToProvider::Authenticated).expect("plain"),
            r#"{"type":"authenticated"}"#
        );
    }

    #[test]
    fn unknown_frames_and_members_are_tolerated() {
        for text in [r#"{"type":"whatever","x":1}"#, r#"{"type":"heartbeat","x":[1]}"#] {
            assert!(serde_json::from_str::<FromProvider>(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn node_frames_round_trip() {
        let attempt = Attempt { job_id: JobId(uuid::Uuid::from_u128(7)), epoch: 3 };
        let progress =
            Progress { frames_done: 1, frames_total: 8, frame: 2, sample: 3, samples: 4 };
        for frame in [
            FromProvider::Accepted(attempt),
            FromProvider::Progress { attempt, progress },
            FromProvider::Done { attempt, render_ms: 12 },
            FromProvider::Failed { attempt, fault: Fault::Scene, error: "no camera".into() },
        ] {
            let text = serde_json::to_string(&frame).expect("plain");
            assert_eq!(serde_json::from_str::<FromProvider>(&text).expect(&text), frame);
        }
    }
}
