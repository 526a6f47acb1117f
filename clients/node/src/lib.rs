//! The node agent: connect, fetch, sandbox, render, upload, report.
//!
//! Here: the machine and its Blender, and [`runners`] for the work that needs none. What speaks with the
//! hub lives in files of its own and calls [`machine::detect`] once and [`render::render`] or
//! [`runners::Runners::run`] per task.

pub mod agent;
pub mod fault;
pub mod limits;
pub mod machine;
pub mod order;
mod picture;
pub mod preflight;
mod process;
pub mod render;
pub mod runners;
pub mod sandbox;
mod verdict;
