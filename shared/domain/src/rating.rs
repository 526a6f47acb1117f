//! A provider's rating from its finished attempts.

/// The prior: as if nine of ten attempts had gone well before the first real one.
const PRIOR_COMPLETED: u64 = 9;
const PRIOR_FINISHED: u64 = 10;

/// Tenths of a star, 0 to 50: five times the share of completed among finished attempts.
pub fn tenths(completed: u64, finished: u64) -> u64 {
    let good = u128::from(completed.min(finished)) + u128::from(PRIOR_COMPLETED);
    let all = u128::from(finished) + u128::from(PRIOR_FINISHED);
    // Half up: floor(50 * good / all + 1/2).
    u64::try_from((100 * good + all) / (2 * all)).unwrap_or(50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_has_four_and_a_half_stars() {
        for (completed, finished, stars) in
            [(0, 0, 45), (1, 1, 45), (90, 90, 50), (0, 1, 41), (0, 1_000_000, 0), (5, 3, 46)]
        {
            assert_eq!(tenths(completed, finished), stars, "{completed} of {finished}");
        }
        assert_eq!(tenths(u64::MAX, u64::MAX), 50);
    }
}
