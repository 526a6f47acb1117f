//! Credentials of a container on Fargate. Knows the one local endpoint that hands them out; a
//! function has them in its environment and never comes here.

use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials, SharedHttpClient};
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use serde::Deserialize;

/// The link-local address that the container agent listens on, fixed by AWS.
const AGENT: &str = "http://169.254.170.2";
const WAIT: Duration = Duration::from_secs(5);

pub(crate) struct ContainerCredentials {
    http: SharedHttpClient,
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: String,
}

impl std::fmt::Debug for ContainerCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContainerCredentials")
    }
}

impl ContainerCredentials {
    const VARIABLE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";

    pub(crate) fn available(get: &impl Fn(&str) -> Option<String>) -> bool {
        get(Self::VARIABLE).is_some()
    }

    pub(crate) fn from_env(http: SharedHttpClient) -> Self {
        Self { http, path: std::env::var(Self::VARIABLE).unwrap_or_default() }
    }

    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let settings =
            HttpConnectorSettings::builder().connect_timeout(WAIT).read_timeout(WAIT).build();
        let components = RuntimeComponentsBuilder::new("container credentials")
            .build()
            .map_err(CredentialsError::unhandled)?;
        let connector = self.http.http_connector(&settings, &components);
        let request = HttpRequest::get(format!("{AGENT}{}", self.path))
            .map_err(CredentialsError::invalid_configuration)?;
        let response = tokio::time::timeout(WAIT, connector.call(request))
            .await
            .map_err(|_| CredentialsError::provider_timed_out(WAIT))?
            .map_err(CredentialsError::provider_error)?;
        if !response.status().is_success() {
            return Err(CredentialsError::provider_error(format!(
                "the container agent answered {}",
                response.status().as_u16()
            )));
        }
        let body = ByteStream::new(response.into_body())
            .collect()
            .await
            .map_err(CredentialsError::provider_error)?
            .into_bytes();
        parse(&body)
    }
}

fn parse(body: &[u8]) -> Result<Credentials, CredentialsError> {
    let answer: Answer = serde_json::from_slice(body).map_err(CredentialsError::provider_error)?;
    let expires = DateTime::from_str(&answer.expiration, DateTimeFormat::DateTime)
        .map_err(CredentialsError::provider_error)?;
    Ok(Credentials::new(
        answer.access_key_id,
        answer.secret_access_key,
        Some(answer.token),
        std::time::SystemTime::try_from(expires).ok(),
        "framefair-container",
    ))
}

impl ProvideCredentials for ContainerCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.fetch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_the_agent_carry_their_expiry() {
        let body = br#"{"AccessKeyId":"a","SecretAccessKey":"s","Token":"t",
            "Expiration":"2030-01-02T03:04:05Z","RoleArn":"r"}"#;
        let credentials = parse(body).unwrap();
        assert_eq!(credentials.session_token(), Some("t"));
        let expiry = credentials.expiry().unwrap();
        assert_eq!(expiry.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 1_893_553_445);
        assert!(parse(b"{}").is_err());
    }
}
