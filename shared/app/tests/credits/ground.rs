//! A table, and processes that have nothing in common but it.

use framefair_app::account::{Registration, TokenKeys, register};
use framefair_app::credits::{EntryRow, Payments};
use framefair_app::{Call, Ctx, Platform};
use framefair_chain::{Chain, Config as ChainConfig, Seam as ChainSeam, Signer};
use framefair_devcloud::DevCloud;
use framefair_domain::id::UserId;
use framefair_domain::wallet::Wallet;
use framefair_store::{Config, Order, Range, Seam, Store, keys, setup};

pub(crate) const WEBHOOK_SECRET: &str = "whsec_test";
const ENTRIES_MAX: usize = 1_000_000;

pub(crate) struct Ground {
    cloud: DevCloud,
    keys: TokenKeys,
    _folder: tempfile::TempDir,
}

impl Ground {
    pub(crate) async fn open() -> Ground {
        let folder = tempfile::tempdir().unwrap();
        let cloud = DevCloud::start(framefair_devcloud::Config {
            data_dir: folder.path().join("cloud"),
            addr: "127.0.0.1:0".parse().unwrap(),
            access_key: "test".into(),
            secret_key: "test-secret".into(),
            object_size_max: 1 << 20,
        })
        .await
        .unwrap();
        let file = folder.path().join("tokens.json");
        Signer::create(&file).unwrap();
        let keys = TokenKeys::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        let ground = Ground { cloud, keys, _folder: folder };
        setup::ensure(&ground.process().store, 1).await.unwrap();
        ground
    }

    /// A process of its own. Nothing here asks the chain anything.
    pub(crate) fn process(&self) -> Ctx {
        let config = Config::local(&self.cloud.endpoint_url(), "test", "test-secret");
        let store = Store::open(config, Seam::on()).unwrap();
        let rpc = ChainConfig {
            rpc_url: "http://127.0.0.1:9".into(),
            second_rpc_url: None,
            genesis_hash: None,
            timeout_ms: 1_000,
        };
        let chain = Chain::of_cluster("none".into(), &rpc, ChainSeam::default()).unwrap();
        let escrow: Wallet = Signer::from_secret([1; 32]).unwrap().wallet();
        let mut platform = Platform::new(escrow);
        platform.tokens = Some(self.keys.clone());
        platform.payments = Payments::default().with_webhook(WEBHOOK_SECRET).unwrap();
        Ctx::new(store, chain, platform)
    }

    /// Somebody new.
    pub(crate) async fn user(&self, email: &str) -> UserId {
        let (email, password) = (email.to_owned(), "correct horse".to_owned());
        let wish = Registration { email, name: None, password };
        register(&self.process(), &mut Call::live(), wish).await.unwrap().user.id
    }
}

/// All of an account, oldest first.
pub(crate) async fn entries(ctx: &Ctx, user: UserId) -> Vec<EntryRow> {
    let (from, to) = (keys::entry(user, 0), keys::entry(user, 999_999_999_999));
    let range = Range::Between(from.sk, to.sk);
    ctx.store.query_range(&from.pk, range, Order::Ascending, ENTRIES_MAX).await.unwrap()
}
