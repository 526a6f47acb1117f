//! What the hub asks of a provider's endpoint, and what it is answered: `POST {endpoint}/render` with
//! the parts `file`, `jobId` and `settings`, and `GET {endpoint}/health`.

use serde::{Deserialize, Serialize};

pub const PART_FILE: &str = "file";
pub const PART_JOB: &str = "jobId";
pub const PART_SETTINGS: &str = "settings";

/// The `error` of a 503 from a provider that renders something.
const ALREADY_RENDERING: &str = "Already rendering";

/// The `settings` of a task, as a client may have written them, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    pub resolution: Resolution,
    pub frames: Frames,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    /// `PNG`, `JPEG` or `EXR`.
    pub output_format: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Resolution {
    pub width: u32,
    pub height: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Frames {
    pub start: i32,
    pub end: i32,
}

/// The answer to `GET {endpoint}/health`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    pub is_rendering: bool,
}

#[derive(Deserialize)]
struct Failed {
    error: String,
}

/// Whether the body of a 503 says that the provider renders something already.
pub fn is_already_rendering(body: &[u8]) -> bool {
    serde_json::from_slice::<Failed>(body).is_ok_and(|failed| failed.error == ALREADY_RENDERING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_answers_are_understood() {
        let health = br#"{"status":"ok","isRendering":true,"spec":{},"pricing":{}}"#;
        let read: Health = serde_json::from_slice(health).expect("documented");
        assert!(read.is_rendering);
        assert!(is_already_rendering(br#"{"error":"Already rendering"}"#));
        for other in [&b"{\"error\":\"No file\"}"[..], b"Already rendering", b"{}", b"", b"\xff"] {
            assert!(!is_already_rendering(other));
        }
    }

    #[test]
    fn settings_are_written_as_clients_write_them() {
        let settings = Settings {
            resolution: Resolution { width: 320, height: 180 },
            frames: Frames { start: 1, end: 1 },
            engine: Some("cycles".into()),
            samples: None,
            output_format: "PNG",
        };
        assert_eq!(
            serde_json::to_string(&settings).expect("plain"),
            r#"{"resolution":{"width":320,"height":180},"frames":{"start":1,"end":1},"engine":"cycles","outputFormat":"PNG"}"#
        );
    }
}
