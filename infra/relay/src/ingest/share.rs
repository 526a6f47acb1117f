//! What one caller may take up of what all share.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many for each caller.
pub(super) struct Shares {
    each: usize,
    taken: Mutex<HashMap<String, usize>>,
}

/// Taken until it is dropped.
pub(super) struct Share<'a> {
    of: &'a Shares,
    who: String,
}

impl Shares {
    pub(super) fn new(each: usize) -> Shares {
        Shares { each, taken: Mutex::default() }
    }

    /// None where the caller has taken up as many as there are for each.
    pub(super) fn take(&self, who: String) -> Option<Share<'_>> {
        let mut taken = self.taken();
        let count = taken.entry(who.clone()).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Share { of: self, who })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        if let Some(count) = taken.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_share_and_gives_it_back() {
        let shares = Shares::new(2);
        let (one, two) = (shares.take("a".into()), shares.take("a".into()));
        assert!(one.is_some() && two.is_some());
        assert!(shares.take("a".into()).is_none(), "a third one");
        assert!(shares.take("b".into()).is_some(), "somebody else");
        drop(one);
        let again = shares.take("a".into());
        assert!(again.is_some());
        drop((two, again));
        assert!(shares.taken().is_empty(), "nobody is remembered");
    }
}
