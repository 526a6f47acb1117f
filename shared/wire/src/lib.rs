//! The messages of the sockets, shared by both ends, so that they cannot drift apart. Knows no
//! transport: a message is one JSON text frame.

pub mod close;
pub mod fleet;
pub mod market;
pub mod push;
