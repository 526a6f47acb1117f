//! What the tests of this crate stand on: an emulated cloud on loopback with the table made, and a
//! row to write. Each test binary uses a part of it.
#![allow(dead_code)]

use framefair_devcloud::DevCloud;
use framefair_store::{Config, Entity, Indexes, Key, Seam, Store, setup};
use serde::{Deserialize, Serialize};

pub(crate) struct Ground {
    pub(crate) store: Store,
    pub(crate) seam: Seam,
    cloud: DevCloud,
    _folder: tempfile::TempDir,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = DevCloud::start(framefair_devcloud::Config {
            data_dir: folder.path().to_owned(),
            addr: "127.0.0.1:0".parse().unwrap(),
            access_key: "local".to_owned(),
            secret_key: "local-secret".to_owned(),
            object_size_max: 64 << 20,
        })
        .await
        .unwrap();
        let seam = Seam::on();
        let config = Config::local(&cloud.endpoint_url(), "local", "local-secret");
        let store = Store::open(config, seam.clone()).unwrap();
        setup::ensure(&store, 1).await.unwrap();
        setup::ensure(&store, 1).await.unwrap();
        seam.reset();
        Self { store, seam, cloud, _folder: folder }
    }

    /// Calls, failed calls and write units of one operation, over all labels.
    pub(crate) fn counted(&self, op: &str) -> (u64, u64, u64) {
        self.seam
            .snapshot()
            .iter()
            .filter(|cost| cost.op == op)
            .fold((0, 0, 0), |(calls, failed, wcu), cost| {
                (calls + cost.calls, failed + cost.failed, wcu + cost.wcu)
            })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) rev: u64,
    pub(crate) count: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<i64>,
}

impl Row {
    pub(crate) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    pub(crate) fn due(id: &str, due: &str) -> Self {
        Self { due: Some(due.to_owned()), ..Self::new(id) }
    }
}

pub(crate) fn key(id: &str) -> Key {
    Key::new(format!("ROW#{id}"), "ROW")
}

impl Entity for Row {
    fn key(&self) -> Key {
        key(&self.id)
    }

    fn indexes(&self) -> Indexes {
        Indexes { due: self.due.clone().map(|due| ("DUE#0".to_owned(), due)), ..Indexes::default() }
    }

    fn expires(&self) -> Option<i64> {
        self.expires
    }
}
