//! The workers' Lambdas: `_HANDLER` says which one this is.

use framefair_workers::lambda::{Function, Worker};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    let handler = std::env::var("_HANDLER").unwrap_or_default();
    let worker = Worker::from_handler(&handler)
        .ok_or_else(|| format!("there is no worker `{handler}`; see _HANDLER"))?;
    let function = &Function::from_env(worker).await?;
    let handle =
        |event: LambdaEvent<serde_json::Value>| async move { function.handle(event).await };
    lambda_runtime::run(service_fn(handle)).await
}
