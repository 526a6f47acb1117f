//! Rendered frames: decoded under limits, hashed by pixel, compared, zipped. Knows pictures and nothing of jobs, nodes
//! or money.
//!
//! Every byte here comes from a stranger's machine: sizes are read and refused before memory is taken for them, and
//! no input may panic.

mod compare;
mod decode;
mod exr;
mod frame;
mod jpeg;
mod png;
mod refused;
mod unzip;
mod verify;
mod zip_frames;

pub use compare::{Difference, Region, RegionOutside, compare};
pub use decode::{Expect, Limits, decode};
pub use frame::{Depth, Format, Frame, UnknownFormat};
pub use refused::PictureRefused;
pub use unzip::{Entry, Unzip, ZipLimits, ZipRefused};
pub use verify::{Verified, Verifier, all_alike, verify_task};
pub use zip_frames::{FrameZip, frame_file_name, frame_number, zip_frames};
