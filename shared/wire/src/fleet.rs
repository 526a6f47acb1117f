//! The creator's dialect of the node socket: what a registered node and its relay say to each other. Nodes of
//! two families speak it, and each skips the frames of the other.

use framefair_domain::fleet::RESULT_TEXT_BYTES_MAX;
use framefair_domain::id::JobId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Longer frames end the connection: of a result's text each byte may be written as six.
pub const FRAME_BYTES_MAX: usize = 6 * RESULT_TEXT_BYTES_MAX + 4 * 1024;
/// So many frames that nobody can read end it, too.
pub const MALFORMED_MAX: u32 = 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToNode {
    /// Asks whether the node lives; any frame is an answer.
    HeartbeatPing { payload: Empty },
    /// Work, as the documents have it.
    JobDispatch(Box<Task>),
    /// The same work, as published nodes want it.
    JobAssign {
        #[serde(flatten)]
        task: Box<Task>,
        /// RFC 3339.
        timestamp: String,
        /// What the payload says, where it is a JSON object: published nodes look for it here.
        #[serde(flatten)]
        said: Map<String, Value>,
    },
    /// The work is no longer this node's.
    JobCancel { job_id: JobId, attempt: u32 },
}

impl ToNode {
    /// Members of a payload never take the place of ours.
    pub fn job_assign(task: Box<Task>, timestamp: String) -> ToNode {
        let mut said: Map<String, Value> =
            serde_json::from_str(&task.payload_ref).unwrap_or_default();
        said.retain(|name, _| !OURS.contains(&name.as_str()));
        ToNode::JobAssign { task, timestamp, said }
    }
}

/// Members of `job_assign`.
const OURS: [&str; 11] = [
    "type",
    "timestamp",
    "job_id",
    "job_type",
    "payload_ref",
    "attempt",
    "input_url",
    "input_name",
    "upload_url",
    "result_ref",
    "deadline",
];

/// One attempt at a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub job_id: JobId,
    pub job_type: String,
    pub payload_ref: String,
    /// From 1; a node that knows it repeats it in whatever it says of the job.
    pub attempt: u32,
    /// Presigned, for what lies here; an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_url: Option<String>,
    /// What its file was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_name: Option<String>,
    /// Takes the result with a plain PUT, while the lease lasts.
    pub upload_url: String,
    /// What the result is called after that.
    pub result_ref: String,
    /// RFC 3339.
    pub deadline: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromNode {
    HeartbeatPong,
    JobStatus(Status),
    StatusUpdate(Status),
    JobResult(Status),
    JobAck {
        job_id: JobId,
        accepted: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
    },
    /// Of a later version, or of another dialect.
    #[serde(other)]
    Unknown,
}

/// What a node says of a job; which members it has depends on the frame and on the node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub job_id: JobId,
    pub status: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_ref: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whose fault a failure is, where the node can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No other node would do better.
    Payload,
    #[serde(other)]
    Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Running,
    Completed,
    Failed,
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

/// `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001";

    fn read(text: &str) -> Option<FromNode> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn frames_are_as_the_contract_spells_them() {
        let ping = serde_json::to_string(&ToNode::HeartbeatPing { payload: Empty {} });
        assert_eq!(ping.expect("JSON"), r#"{"type":"heartbeat_ping","payload":{}}"#);
        let pong = r#"{"type":"heartbeat_pong","payload":{}}"#;
        assert_eq!(read(pong), Some(FromNode::HeartbeatPong));
        assert_eq!(read(r#"{"type":"poem","lines":[1]}"#), Some(FromNode::Unknown));
        for bad in ["", "[]", "1", "{}", r#"{"type":1}"#] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn work_is_told_in_both_families_words() {
        let task = Box::new(Task {
            job_id: JOB.parse().expect("an id"),
            job_type: "echo".into(),
            payload_ref: "hi".into(),
            attempt: 2,
            input_url: None,
            input_name: None,
            upload_url: "https://up".into(),
            result_ref: "s3://b/k".into(),
            deadline: "2026-11-23T00:00:00Z".into(),
        });
        let rest = format!(
            r#""job_id":"{JOB}","job_type":"echo","payload_ref":"hi","attempt":2,"upload_url":"https://up","result_ref":"s3://b/k","deadline":"2026-11-23T00:00:00Z""#
        );
        let text = serde_json::to_string(&ToNode::JobDispatch(task.clone())).expect("JSON");
        assert_eq!(text, format!(r#"{{"type":"job_dispatch",{rest}}}"#));
        let assign = |task: &Task| {
            let assign = ToNode::job_assign(task.clone().into(), "2026-11-22T00:00:00Z".into());
            serde_json::to_string(&assign).expect("JSON")
        };
        let stamp = r#""timestamp":"2026-11-22T00:00:00Z""#;
        assert_eq!(assign(&task), format!(r#"{{"type":"job_assign",{rest},{stamp}}}"#));
        let payload_ref = r#"{"limit":7,"upload_url":"x","type":1,"job_id":2}"#.to_owned();
        let text = assign(&Task { payload_ref, ..*task });
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(frame["limit"], 7);
        assert_eq!([&frame["upload_url"], &frame["type"]], ["https://up", "job_assign"]);
        assert_eq!(text.matches("job_id").count(), 2, "once of it is in the payload: {text}");
    }

    #[test]
    fn both_families_reports_are_read() {
        for (kind, more) in [
            ("job_status", r#""status":"running","progress":0.45"#),
            ("job_result", r#""status":"completed","result_ref":"s3://b/k""#),
            ("status_update", r#""status":"failed","progress":1,"detail":"why""#),
            ("job_ack", r#""accepted":true"#),
        ] {
            let text = format!(r#"{{"type":"{kind}","job_id":"{JOB}",{more}}}"#);
            let frame = read(&text);
            assert!(frame.is_some_and(|frame| frame != FromNode::Unknown), "{text}");
        }
        let odd = format!(r#"{{"type":"job_status","job_id":"{JOB}","status":"pondering"}}"#);
        let Some(FromNode::JobStatus(status)) = read(&odd) else { panic!("{odd}") };
        assert_eq!(status.status, Word::Unknown);
    }
}
