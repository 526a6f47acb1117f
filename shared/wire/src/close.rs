//! Close codes, and what they tell the other end.

/// The socket did not authenticate in time or not rightly.
pub const UNAUTHORIZED: u16 = 4001;
/// Nothing was heard for too long.
pub const SILENT: u16 = 4002;
/// A newer connection of the same node took over.
pub const REPLACED: u16 = 4003;
/// A frame was too large or not JSON.
pub const MISBEHAVED: u16 = 4008;
/// Too many frames that nobody can read, in the creator's dialect.
pub const POLICY: u16 = 1008;
/// A frame was too long, in the creator's dialect.
pub const TOO_LONG: u16 = 1009;
/// The relay goes away; come back after a moment.
pub const RESTARTING: u16 = 1012;
/// Nothing is wrong with the other end: the hub could not look it up. Come back after a moment.
pub const UNREADY: u16 = 1013;
