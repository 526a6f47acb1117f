//! The three protocols as the ordinary SDK clients, a plain HTTP client and a killed process see
//! them. Knows nothing of how they are stored.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod clients;
mod crash;
mod dynamodb;
mod faces;
mod presigned;
mod s3;
mod sqs;
