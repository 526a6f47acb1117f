//! Looks at every delivered frame before anybody is paid for it.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use framefair_app::market::OutputFormat;
use framefair_app::verification::{
    self, FrameHash, HandedIn, Inspection, Passed, PassedFile, accept, reject,
};
use framefair_app::{Broken, Call, Ctx, Hint, Refusal, jobs};
use framefair_picture::{
    Expect, Format, FrameZip, Limits, Unzip, Verified, Verifier, ZipLimits, all_alike,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::Outcome;

/// Checks the delivery that the hint reports, and passes the verdict on.
pub async fn verify(ctx: &Ctx, hint: &Hint) -> Result<Outcome, Refusal> {
    let Some(report) = hint.report else { return Ok(Outcome::Done) };
    let seen = match verification::handed_in(ctx, hint.job, report).await? {
        Some(HandedIn::Frames(seen)) => seen,
        Some(HandedIn::Result(job)) => {
            Box::pin(jobs::verify(ctx, &mut Call::live(), *job, report)).await?;
            return Ok(Outcome::Done);
        }
        None => return Ok(Outcome::Done),
    };
    let work = tempfile::tempdir().map_err(broken)?;
    match fetch(ctx, &seen, &work).await? {
        Err(why) => reject(ctx, &Call::live(), &seen, &why).await?,
        Ok(delivery) => {
            let task = seen.clone();
            let verdict = tokio::task::spawn_blocking(move || inspect(&task, delivery))
                .await
                .map_err(broken)?;
            match verdict {
                Ok((_, true))
                    if seen.own_range && verification::is_animated(ctx, &seen).await? =>
                {
                    let why = "all frames are one picture, and the scene is animated";
                    reject(ctx, &Call::live(), &seen, why).await?;
                }
                Ok((passed, _)) => accept(ctx, &Call::live(), &seen, passed).await?,
                Err(Verdict::Wrong(why)) => reject(ctx, &Call::live(), &seen, &why).await?,
                Err(Verdict::Broken(why)) => return Err(Broken(why).into()),
            }
        }
    }
    Ok(Outcome::Done)
}

/// A delivery on our own disk.
enum Delivery {
    /// One file per frame, in the order of the frames.
    Frames(Vec<PathBuf>, PathBuf),
    Zip(PathBuf, PathBuf),
}

/// Brings what the node staged to disk, one object at a time. The inner error is the node's fault.
async fn fetch(
    ctx: &Ctx,
    seen: &Inspection,
    work: &TempDir,
) -> Result<Result<Delivery, String>, Refusal> {
    let out = work.path().join("result.zip");
    if seen.frames.len() > 1 {
        let path = work.path().join("delivered.zip");
        let bytes_max = ctx.platform.scene_bytes_max;
        if bring(ctx, &seen.staged_zip(), &path, bytes_max).await? {
            return Ok(Ok(Delivery::Zip(path, out)));
        }
    }
    let mut paths = Vec::with_capacity(seen.frames.len());
    for frame in &seen.frames {
        let path = work.path().join(format!("frame_{frame}"));
        if !bring(ctx, &seen.staged(*frame), &path, ctx.platform.frame_bytes_max).await? {
            return Ok(Err(format!("frame {frame} was not delivered")));
        }
        paths.push(path);
    }
    Ok(Ok(Delivery::Frames(paths, out)))
}

/// Copies an object to disk without holding it in memory; whether there is one of that size.
async fn bring(ctx: &Ctx, key: &str, to: &Path, bytes_max: u64) -> Result<bool, Refusal> {
    let Some(opened) = ctx.store.objects().open(key).await? else { return Ok(false) };
    if opened.head.size > bytes_max {
        return Ok(false);
    }
    let mut file = tokio::fs::File::create(to).await.map_err(broken)?;
    let mut body = std::pin::pin!(opened.body.into_async_read());
    tokio::io::copy(&mut body, &mut file).await.map_err(broken)?;
    file.flush().await.map_err(broken)?;
    Ok(true)
}

enum Verdict {
    /// The delivery is not what was ordered.
    Wrong(String),
    /// We could not look.
    Broken(String),
}

impl From<std::io::Error> for Verdict {
    fn from(error: std::io::Error) -> Verdict {
        Verdict::Broken(error.to_string())
    }
}

/// What passed, and whether all of it is one picture.
fn inspect(seen: &Inspection, delivery: Delivery) -> Result<(Passed, bool), Verdict> {
    let wrong = |why: &dyn std::fmt::Display| Verdict::Wrong(why.to_string());
    let format = format(seen.output);
    let expect = Expect { format, width: seen.width, height: seen.height };
    let mut verifier =
        Verifier::new(&seen.frames, expect, Limits::default()).map_err(|why| wrong(&why))?;
    let (out, single) = match delivery {
        Delivery::Frames(paths, out) => {
            let mut single = None;
            let mut zip = (paths.len() > 1).then(|| new_zip(&out, seen, format)).transpose()?;
            for (frame, path) in seen.frames.iter().zip(&paths) {
                let bytes = std::fs::read(path)?;
                verifier.push(*frame, &bytes).map_err(|why| wrong(&why))?;
                match &mut zip {
                    Some(zip) => zip.add(*frame, &bytes)?,
                    None => single = Some(bytes),
                }
            }
            if let Some(zip) = zip {
                zip.finish()?;
            }
            (out, single)
        }
        Delivery::Zip(path, out) => {
            let mut zip = new_zip(&out, seen, format)?;
            let limits = ZipLimits::for_frames(seen.frames.len());
            let entries = Unzip::open(File::open(path)?, limits).map_err(|why| wrong(&why))?;
            for entry in entries {
                let entry = entry.map_err(|why| wrong(&why))?;
                let named = || Verdict::Wrong(format!("{:?} names no frame", entry.name));
                let frame = entry.frame.ok_or_else(named)?;
                verifier.push(frame, &entry.bytes).map_err(|why| wrong(&why))?;
                zip.add(frame, &entry.bytes)?;
            }
            zip.finish()?;
            (out, None)
        }
    };
    let verified = verifier.finish().map_err(|why| wrong(&why))?;
    let frames: Vec<FrameHash> = verified.iter().map(hash).collect();
    let file = single.map_or(PassedFile::Zip(out), PassedFile::Picture);
    Ok((Passed { frames, file }, all_alike(&verified)))
}

fn new_zip(
    path: &Path,
    seen: &Inspection,
    format: Format,
) -> Result<FrameZip<BufWriter<File>>, Verdict> {
    Ok(FrameZip::new(BufWriter::new(File::create(path)?), &seen.stem, format))
}

fn hash(frame: &Verified) -> FrameHash {
    FrameHash { frame: frame.frame, pixels: hex::encode(frame.pixels_sha256), bytes: frame.bytes }
}

fn format(output: OutputFormat) -> Format {
    match output {
        OutputFormat::Png => Format::Png,
        OutputFormat::Jpeg => Format::Jpeg,
        OutputFormat::Exr => Format::Exr,
    }
}

fn broken(error: impl std::fmt::Display) -> Refusal {
    Refusal::Broken(Broken(error.to_string()))
}
