//! Where the cloud is and how long to wait for it. Knows environment variables and timeouts;
//! refuses profile files, instance metadata and SSO: each costs start-up time in a function.

use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};

use crate::container::ContainerCredentials;
use crate::seam::Seam;
use crate::tls;

/// A cold function at 128 MB spends most of a second on its first handshake.
const CONNECT: Duration = Duration::from_secs(3);
const TABLE_READ: Duration = Duration::from_secs(5);
const TABLE_OPERATION: Duration = Duration::from_secs(15);
/// Longer than the longest long poll, 20 s.
const QUEUE_READ: Duration = Duration::from_secs(30);
/// To the first byte of an answer; covers the sending of a body that fits in memory.
/// Files and streams get more, by their length.
const OBJECT_READ: Duration = Duration::from_secs(30);
const ATTEMPTS_MAX: u32 = 3;

/// Endpoints other than AWS's own. `None` means AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    pub dynamodb: Option<String>,
    pub s3: Option<String>,
    pub secrets: Option<String>,
    pub sqs: Option<String>,
}

/// Everything needed to open a [`crate::Store`].
#[derive(Clone)]
pub struct Config {
    pub endpoints: Endpoints,
    pub region: String,
    /// `None`: credentials come from the container's own endpoint and are renewed.
    pub access_key: Option<String>,
    pub secret_key: Option<String>,
    pub session_token: Option<String>,
    pub table: String,
    pub bucket: String,
    /// A queue's URL is this and the queue's name, e.g.
    /// `https://sqs.us-east-1.amazonaws.com/123456789012/framefair-`.
    pub queue_url_prefix: String,
    /// Origin under which browsers and nodes reach the objects, where it is not the endpoint.
    pub public_endpoint: Option<String>,
}

/// What is missing or wrong in the environment, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigInvalid {
    #[error("{0} is not set; set it in the function's or the container's environment")]
    Missing(&'static str),
    #[error("the TLS trust store cannot be built: {0}")]
    Tls(String),
}

pub(crate) struct Clients {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) dynamodb_once: aws_sdk_dynamodb::Client,
    pub(crate) observer: Option<aws_sdk_dynamodb::Client>,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) s3_presign: aws_sdk_s3::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
}

impl Config {
    /// One machine and tests: everything behind one endpoint, names that need no account.
    pub fn local(endpoint: &str, access_key: &str, secret_key: &str) -> Self {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Self {
            queue_url_prefix: format!("{endpoint}/000000000000/framefair-"),
            endpoints: Endpoints {
                dynamodb: Some(endpoint.clone()),
                s3: Some(endpoint.clone()),
                secrets: Some(endpoint.clone()),
                sqs: Some(endpoint),
            },
            region: "us-east-1".to_owned(),
            access_key: Some(access_key.to_owned()),
            secret_key: Some(secret_key.to_owned()),
            session_token: None,
            table: "framefair".to_owned(),
            bucket: "framefair".to_owned(),
            public_endpoint: None,
        }
    }

    /// `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` (or the
    /// container's credential endpoint), `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_DYNAMODB`,
    /// `_S3`, `_SECRETS_MANAGER`, `_SQS`; `TABLE`, `BUCKET`, `QUEUE_URL_PREFIX`, `OBJECTS_PUBLIC_URL`.
    pub fn from_env() -> Result<Self, ConfigInvalid> {
        Self::from_lookup(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_lookup(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigInvalid> {
        let need = |name: &'static str| get(name).ok_or(ConfigInvalid::Missing(name));
        let endpoint = |name: &str| get(name).or_else(|| get("AWS_ENDPOINT_URL"));
        let access_key = get("AWS_ACCESS_KEY_ID");
        let secret_key = get("AWS_SECRET_ACCESS_KEY");
        if access_key.is_some() != secret_key.is_some() {
            return Err(ConfigInvalid::Missing(if access_key.is_none() {
                "AWS_ACCESS_KEY_ID"
            } else {
                "AWS_SECRET_ACCESS_KEY"
            }));
        }
        if access_key.is_none() && !ContainerCredentials::available(&get) {
            return Err(ConfigInvalid::Missing("AWS_ACCESS_KEY_ID"));
        }
        Ok(Self {
            endpoints: Endpoints {
                dynamodb: endpoint("AWS_ENDPOINT_URL_DYNAMODB"),
                s3: endpoint("AWS_ENDPOINT_URL_S3"),
                secrets: endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
                sqs: endpoint("AWS_ENDPOINT_URL_SQS"),
            },
            region: get("AWS_REGION")
                .or_else(|| get("AWS_DEFAULT_REGION"))
                .ok_or(ConfigInvalid::Missing("AWS_REGION"))?,
            access_key,
            secret_key,
            session_token: get("AWS_SESSION_TOKEN"),
            table: need("TABLE")?,
            bucket: need("BUCKET")?,
            queue_url_prefix: need("QUEUE_URL_PREFIX")?,
            public_endpoint: get("OBJECTS_PUBLIC_URL"),
        })
    }

    pub(crate) fn clients(&self, seam: &Seam) -> Result<Clients, ConfigInvalid> {
        let plain = self.http()?;
        let http = seam.wrap(plain.clone());
        let credentials = self.credentials(&plain);

        let table = self.dynamodb_config(&credentials, http.clone());
        let once = table.clone().retry_config(RetryConfig::disabled()).build();
        let observer = seam.is_on().then(|| {
            aws_sdk_dynamodb::Client::from_conf(self.dynamodb_config(&credentials, plain).build())
        });
        let objects = self.s3_config(&credentials, http.clone());
        let public = match &self.public_endpoint {
            Some(url) => objects.clone().endpoint_url(url).force_path_style(true),
            None => objects.clone(),
        };
        Ok(Clients {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(table.build()),
            dynamodb_once: aws_sdk_dynamodb::Client::from_conf(once),
            observer,
            s3: aws_sdk_s3::Client::from_conf(objects.build()),
            s3_presign: aws_sdk_s3::Client::from_conf(public.build()),
            sqs: aws_sdk_sqs::Client::from_conf(self.sqs_config(&credentials, http)),
        })
    }

    pub(crate) fn http(&self) -> Result<SharedHttpClient, ConfigInvalid> {
        tls::http_client(self.endpoints == Endpoints::default())
    }

    pub(crate) fn credentials(&self, http: &SharedHttpClient) -> SharedCredentialsProvider {
        match (&self.access_key, &self.secret_key) {
            (Some(access), Some(secret)) => SharedCredentialsProvider::new(Credentials::new(
                access,
                secret,
                self.session_token.clone(),
                None,
                "framefair-config",
            )),
            _ => SharedCredentialsProvider::new(ContainerCredentials::from_env(http.clone())),
        }
    }

    fn dynamodb_config(
        &self,
        credentials: &SharedCredentialsProvider,
        http: SharedHttpClient,
    ) -> aws_sdk_dynamodb::config::Builder {
        let mut builder = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(credentials.clone())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts(TABLE_READ, Some(TABLE_OPERATION)));
        builder.set_endpoint_url(self.endpoints.dynamodb.clone());
        builder
    }

    fn s3_config(
        &self,
        credentials: &SharedCredentialsProvider,
        http: SharedHttpClient,
    ) -> aws_sdk_s3::config::Builder {
        let mut builder = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(credentials.clone())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts(OBJECT_READ, None))
            // The default would add CRC32 trailers that presigned URLs and other services refuse;
            // what must be proved is proved by SHA-256.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .force_path_style(self.endpoints.s3.is_some());
        builder.set_endpoint_url(self.endpoints.s3.clone());
        builder
    }

    fn sqs_config(
        &self,
        credentials: &SharedCredentialsProvider,
        http: SharedHttpClient,
    ) -> aws_sdk_sqs::Config {
        let mut builder = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(credentials.clone())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts(QUEUE_READ, Some(QUEUE_READ * 2)));
        builder.set_endpoint_url(self.endpoints.sqs.clone());
        builder.build()
    }
}

fn timeouts(read: Duration, operation: Option<Duration>) -> TimeoutConfig {
    let mut builder = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(read);
    builder.set_operation_timeout(operation);
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &[(&str, &str)] = &[
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_ENDPOINT_URL", "http://all"),
        ("AWS_ENDPOINT_URL_S3", "http://objects"),
        ("TABLE", "t"),
        ("BUCKET", "b"),
        ("QUEUE_URL_PREFIX", "http://all/0/f-"),
    ];

    fn lookup<'a>(vars: &'a [(&str, &str)], less: &'a str) -> impl Fn(&str) -> Option<String> {
        let vars: Vec<(String, String)> = vars
            .iter()
            .filter(|(name, _)| *name != less)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        move |name| vars.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }

    #[test]
    fn the_endpoint_of_one_service_wins_over_the_common_one() {
        let config = Config::from_lookup(lookup(FULL, "")).unwrap();
        assert_eq!(config.endpoints.s3.as_deref(), Some("http://objects"));
        assert_eq!(config.endpoints.dynamodb.as_deref(), Some("http://all"));
    }

    #[test]
    fn a_missing_variable_is_named() {
        for name in ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TABLE", "BUCKET"]
        {
            let failed = Config::from_lookup(lookup(FULL, name)).err().unwrap();
            assert!(failed.to_string().starts_with(name), "{failed}");
        }
    }
}
