//! Those who move the same balance within one process take turns, so that they do not overtake each other
//! for nothing. Between processes the table decides.

use std::sync::Arc;

use framefair_domain::id::UserId;
use tokio::sync::{Mutex, MutexGuard};

/// Accounts that share a lane wait for each other without need; with so many lanes they seldom do.
const LANES: usize = 64;

/// Cheap to clone; all clones share the lanes.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<[Mutex<()>; LANES]>);

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new([const { Mutex::const_new(()) }; LANES]))
    }
}

impl Turns {
    /// Waits for the account's turn, which lasts until what is given is dropped.
    pub(crate) async fn take(&self, user: UserId) -> MutexGuard<'_, ()> {
        let lane = usize::from(user.0.as_bytes()[15]) % LANES;
        self.0[lane].lock().await
    }
}
