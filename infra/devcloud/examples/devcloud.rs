//! Serves a folder until it is killed: `devcloud DIR [PORT]`. Prints its URL, then nothing.
//! The crash tests run it; it is of use beside any AWS SDK or CLI as well.

use std::net::{Ipv4Addr, SocketAddr};

use framefair_devcloud::{Config, DevCloud};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let data_dir = args.next().ok_or("usage: devcloud DIR [PORT]")?.into();
    let port = args.next().map_or(Ok(0), |port| port.parse())?;
    let cloud = DevCloud::start(Config {
        data_dir,
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        access_key: "test".to_owned(),
        secret_key: "test-secret".to_owned(),
        object_size_max: 64 * 1024 * 1024,
    })
    .await?;
    println!("{}", cloud.endpoint_url());
    std::future::pending::<()>().await;
    Ok(())
}
