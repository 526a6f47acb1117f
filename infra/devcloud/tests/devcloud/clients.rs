//! A cloud in a temporary folder, and clients for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::error::ProvideErrorMetadata;
use framefair_devcloud::{Config, DevCloud, REGION};
use tempfile::TempDir;

pub(crate) const OBJECT_SIZE_MAX: u64 = 16 * 1024 * 1024;

pub(crate) struct Cloud {
    pub(crate) cloud: DevCloud,
    pub(crate) dir: TempDir,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let cloud = DevCloud::start(config(dir.path().to_path_buf())).await.unwrap();
        Self { cloud, dir }
    }

    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        s3(&self.cloud.endpoint_url())
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&sdk(&self.cloud.endpoint_url(), "test-secret"))
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&sdk(&self.cloud.endpoint_url(), "test-secret"))
    }

    /// A client with a bucket of its own.
    pub(crate) async fn bucket(&self, name: &str) -> aws_sdk_s3::Client {
        let s3 = self.s3();
        s3.create_bucket().bucket(name).send().await.unwrap();
        s3
    }
}

pub(crate) fn config(data_dir: std::path::PathBuf) -> Config {
    Config {
        data_dir,
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        access_key: "test".to_owned(),
        secret_key: "test-secret".to_owned(),
        object_size_max: OBJECT_SIZE_MAX,
    }
}

pub(crate) fn sdk(url: &str, secret: &str) -> SdkConfig {
    let credentials = Credentials::new("test", secret, None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .sleep_impl(aws_sdk_s3::config::SharedAsyncSleep::new(Sleep))
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .build()
}

pub(crate) fn s3(url: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&sdk(url, "test-secret"));
    aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
}

#[derive(Debug)]
struct Sleep;

impl aws_sdk_s3::config::AsyncSleep for Sleep {
    fn sleep(&self, duration: Duration) -> aws_sdk_s3::config::Sleep {
        aws_sdk_s3::config::Sleep::new(tokio::time::sleep(duration))
    }
}

/// The error code of a refused SDK call; panics when it was not refused.
pub(crate) fn code<T, E, R>(result: Result<T, aws_sdk_s3::error::SdkError<E, R>>) -> String
where
    T: std::fmt::Debug,
    E: ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
{
    let error = result.unwrap_err();
    error.code().unwrap_or_else(|| panic!("no code in {error:?}")).to_owned()
}

/// A plain client, such as a browser or a render node is.
pub(crate) fn http() -> reqwest::Client {
    // A second call finds the provider in place, which is all that is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap()
}
