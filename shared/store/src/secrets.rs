//! Secrets of the platform, read once at start. Knows where they are kept, never what they open.

use aws_sdk_secretsmanager::config::BehaviorVersion;
use aws_sdk_secretsmanager::config::Region;
use aws_sdk_secretsmanager::config::retry::RetryConfig;

use crate::{Broken, Store};

const OP: &str = "GetSecretValue";

impl Store {
    /// The text of the secret with this name or ARN, as the role of this process may read it.
    /// For a start only: nothing here is counted by the seam.
    pub async fn secret(&self, id: &str) -> Result<String, Broken> {
        let config = self.config();
        let http = config.http().map_err(|cause| Broken::new(OP, cause))?;
        let mut builder = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(config.region.clone()))
            .credentials_provider(config.credentials(&http))
            .retry_config(RetryConfig::standard())
            .http_client(http);
        builder.set_endpoint_url(config.endpoints.secrets.clone());
        let client = aws_sdk_secretsmanager::Client::from_conf(builder.build());
        let answer = client.get_secret_value().secret_id(id).send().await;
        let answer = answer.map_err(|cause| Broken::new(OP, cause))?;
        answer.secret_string.ok_or_else(|| Broken::new(OP, "the secret is not text"))
    }
}
