//! Whole stories with the real programs, a real chain, real Blender and its sandbox. Each has a hub, a data folder and
//! ports of its own, and ends with an audit that balances while the hub runs and after it has stopped.

mod client;
mod crashes;
mod creators;
mod fakes;
mod faults;
mod legacies;
mod legacy;
mod place;
mod process;
mod renders;
mod rogue;
mod rogues;
mod scenes;
mod words;
