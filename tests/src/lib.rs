//! Contracts, journeys, races and walks over the whole system.
