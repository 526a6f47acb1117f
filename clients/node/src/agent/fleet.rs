//! The creator's face as a node sees it: it registers by its wallet's key, proves that, and shows that it lives.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use framefair_domain::fleet::pem_of_key;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Hub, whole};
use super::{AgentConfig, AgentError};
use crate::machine::Machine;

const REGISTER: &str = "/api/v1/nodes/register";
const HEARTBEAT: &str = "/api/v1/nodes/heartbeat";
const CHALLENGE: &str = "x-node-challenge";
/// Of two agents of one key each could use up the other's challenge.
const TRIES: u32 = 4;
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// A registration that is good for a day.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Member {
    pub(crate) node_id: String,
    pub(crate) token: String,
    /// What the key's holder is to sign next.
    challenge: String,
}

/// Registers the key, or what has changed about it, and shows that the node lives. Creators' jobs come to it
/// from then on.
pub(crate) async fn join(
    hub: &Hub,
    config: &AgentConfig,
    cores: u32,
    machine: Option<&Machine>,
) -> Result<Member, AgentError> {
    let mut body = json!({
        "name": config.name,
        "public_key": pem_of_key(&config.identity.wallet),
        "capabilities": config.capabilities(),
        "metadata": metadata(config.slots, cores, machine),
    });
    for tried in 0..TRIES {
        if tried > 1 {
            tokio::time::sleep(TRY_AGAIN).await;
        }
        let answer = hub.post(REGISTER, &body, None).await?;
        let status = answer.status();
        if status == StatusCode::CONFLICT {
            let challenge = answer.headers().get(CHALLENGE).and_then(|it| it.to_str().ok());
            sign(config, challenge, &mut body)?;
            continue;
        }
        let member: Member = understood(answer).await?;
        // A new key is believed without a proof, by this hub and by nobody who looks closer.
        if body.get("signature").is_none() {
            sign(config, Some(&member.challenge), &mut body)?;
            continue;
        }
        let lives = json!({ "current_load": 0 });
        let lives = hub.post(HEARTBEAT, &lives, Some(&member.token)).await?;
        let said: Value = understood(lives).await?;
        if said["status"] == "HEALTHY" {
            return Ok(member);
        }
        return Err(refused(&format!("it calls a node that lives {}", said["status"])));
    }
    Err(refused("it believes no signature of this key"))
}

/// Puts the proof into the registration. Only what can be nothing else is signed: this key is a wallet's, too.
fn sign(
    config: &AgentConfig,
    challenge: Option<&str>,
    registration: &mut Value,
) -> Result<(), AgentError> {
    let challenge = challenge.filter(|text| is_challenge(text));
    let challenge = challenge.ok_or_else(|| refused("it gives no challenge to sign"))?;
    let signature = config.identity.sign(challenge);
    let signature = bs58::decode(signature).into_vec().unwrap_or_default();
    registration["challenge"] = challenge.into();
    registration["signature"] = STANDARD.encode(signature).into();
    Ok(())
}

/// 32 bytes in hex.
fn is_challenge(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn metadata(slots: u32, cores: u32, machine: Option<&Machine>) -> Value {
    let mut metadata = json!({ "cores": cores, "slots": slots });
    if let Some(gpu) = machine.and_then(|machine| machine.gpus.first()) {
        metadata["gpu"] = gpu.name.as_str().into();
    }
    metadata
}

/// The answer, if it is none that says no.
async fn understood<T: serde::de::DeserializeOwned>(
    answer: reqwest::Response,
) -> Result<T, AgentError> {
    let status = answer.status();
    if status.is_server_error() {
        answer.error_for_status()?;
        return Err(refused(status.as_str()));
    }
    if status.is_success() {
        return whole(answer).await;
    }
    let said: Value = whole(answer).await?;
    let why = said["detail"].as_str().unwrap_or("it gives no reason");
    Err(refused(&format!("{why} ({status})")))
}

fn refused(why: &str) -> AgentError {
    AgentError::Refused(why.to_owned())
}
