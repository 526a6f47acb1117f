//! What is bought with money. Knows the packages; knows no account and no balance.

mod package;

pub use package::Package;
