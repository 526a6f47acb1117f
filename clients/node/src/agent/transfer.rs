//! Files in and out over presigned URLs: the scene by GET, frames by PUT, nothing held in memory.

use std::path::Path;
use std::time::Duration;

use framefair_wire::market::Scene;
use futures::StreamExt;
use reqwest::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use reqwest::{Body, Client, StatusCode};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::task::Grant;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A transfer that moves nothing for this long is given up.
const IDLE_MAX: Duration = Duration::from_secs(60);
const FETCH_TRIES: u32 = 5;

pub(crate) struct Transfers {
    client: Client,
}

/// A file and what the hub must know of it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) size: u64,
    /// Lower-case hex.
    pub(crate) sha256: String,
}

impl Transfers {
    pub(crate) fn new() -> reqwest::Result<Transfers> {
        let client = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(IDLE_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Transfers { client })
    }

    /// Brings the scene to `to`; it must be exactly the bytes that were announced.
    pub(crate) async fn fetch(&self, scene: &Scene, to: &Path) -> Result<(), String> {
        let mut why = String::new();
        for attempt in 0..FETCH_TRIES {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(500 << attempt)).await;
            }
            match self.fetch_once(scene, to).await {
                Ok(()) => return Ok(()),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    async fn fetch_once(&self, scene: &Scene, to: &Path) -> Result<(), String> {
        let answer = self.client.get(&scene.url).send().await.map_err(without_url)?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the store answered {}", answer.status()));
        }
        let mut file = File::create(to).await.map_err(|error| error.to_string())?;
        let (mut identity, mut bytes) = (Identity::new(scene), 0_u64);
        let mut body = answer.bytes_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(without_url)?;
            bytes += chunk.len() as u64;
            if bytes > scene.bytes {
                return Err("the scene is longer than announced".to_owned());
            }
            identity.update(&chunk);
            file.write_all(&chunk).await.map_err(|error| error.to_string())?;
        }
        file.flush().await.map_err(|error| error.to_string())?;
        if bytes != scene.bytes || !identity.fits() {
            return Err("the scene is not the one that was announced".to_owned());
        }
        Ok(())
    }

    /// Brings a payload to `to`; false where it has more than so many bytes.
    pub(crate) async fn fetch_payload(
        &self,
        url: &str,
        to: &Path,
        bytes_max: u64,
    ) -> Result<bool, String> {
        let answer = self.client.get(url).send().await.map_err(without_url)?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the store answered {}", answer.status()));
        }
        let mut file = File::create(to).await.map_err(|error| error.to_string())?;
        let (mut bytes, mut body) = (0_u64, answer.bytes_stream());
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(without_url)?;
            bytes += chunk.len() as u64;
            if bytes > bytes_max {
                return Ok(false);
            }
            file.write_all(&chunk).await.map_err(|error| error.to_string())?;
        }
        file.flush().await.map_err(|error| error.to_string())?;
        Ok(true)
    }

    /// Puts a frame where it was granted. One that is there already was put by an earlier try.
    pub(crate) async fn put(&self, grant: &Grant, path: &Path) -> Result<(), String> {
        let file = File::open(path).await.map_err(|error| error.to_string())?;
        let size = file.metadata().await.map_err(|error| error.to_string())?.len();
        let chunks = futures::stream::unfold(file, |mut file| async move {
            let mut chunk = vec![0; 64 << 10];
            match file.read(&mut chunk).await {
                Ok(0) => None,
                Ok(n) => {
                    chunk.truncate(n);
                    Some((Ok(chunk), file))
                }
                Err(error) => Some((Err(error), file)),
            }
        });
        let mut put = self.client.put(&grant.url).header(CONTENT_LENGTH, size);
        for (name, value) in &grant.headers {
            let name: HeaderName = name.parse().map_err(|_| "the hub named a bad header")?;
            let value: HeaderValue = value.parse().map_err(|_| "the hub named a bad header")?;
            if name != CONTENT_LENGTH && name != reqwest::header::HOST {
                put = put.header(name, value);
            }
        }
        let answer = put.body(Body::wrap_stream(chunks)).send().await.map_err(without_url)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::PRECONDITION_FAILED => Ok(()),
            status => Err(format!("the store answered {status}")),
        }
    }
}

/// Whether the scene lies at `path` from an earlier try, to the byte.
pub(crate) async fn is_there(scene: &Scene, path: &Path) -> bool {
    let reading = async {
        let mut file = File::open(path).await?;
        let (mut identity, mut size) = (Identity::new(scene), 0_u64);
        let mut chunk = vec![0; 256 << 10];
        loop {
            let n = file.read(&mut chunk).await?;
            if n == 0 {
                return Ok::<_, std::io::Error>(size == scene.bytes && identity.fits());
            }
            size += n as u64;
            identity.update(&chunk[..n]);
        }
    };
    reading.await.unwrap_or(false)
}

/// What a scene is known by, computed while it comes: the hash of the whole, or that over the
/// hashes of its parts.
struct Identity<'a> {
    scene: &'a Scene,
    whole: Sha256,
    parts: Sha256,
    part: Sha256,
    left: u64,
}

impl Identity<'_> {
    fn new(scene: &Scene) -> Identity<'_> {
        let left = scene.tree.as_ref().map_or(u64::MAX, |tree| tree.part_bytes.max(1));
        let empty = Sha256::new;
        Identity { scene, whole: empty(), parts: empty(), part: empty(), left }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        let Some(tree) = &self.scene.tree else { return self.whole.update(bytes) };
        while !bytes.is_empty() {
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(most);
            self.part.update(now);
            self.left -= now.len() as u64;
            bytes = later;
            if self.left == 0 {
                self.parts.update(self.part.finalize_reset());
                self.left = tree.part_bytes.max(1);
            }
        }
    }

    fn fits(mut self) -> bool {
        let Some(tree) = &self.scene.tree else {
            let whole = hex::encode(self.whole.finalize());
            return self.scene.sha256.as_ref() == Some(&whole);
        };
        if self.left < tree.part_bytes.max(1) {
            self.parts.update(self.part.finalize());
        }
        hex::encode(self.parts.finalize()) == tree.sha256
    }
}

/// Size and hash of a file, read once.
pub(crate) async fn measure(path: &Path) -> std::io::Result<Stored> {
    let mut file = File::open(path).await?;
    let (mut hash, mut size) = (Sha256::new(), 0_u64);
    let mut chunk = vec![0; 256 << 10];
    loop {
        let n = file.read(&mut chunk).await?;
        if n == 0 {
            return Ok(Stored { size, sha256: hex::encode(hash.finalize()) });
        }
        size += n as u64;
        hash.update(&chunk[..n]);
    }
}

/// Presigned URLs are secrets, and errors like to quote them.
fn without_url(error: reqwest::Error) -> String {
    error.without_url().to_string()
}

#[cfg(test)]
mod tests {
    use framefair_wire::market::Tree;

    use super::*;

    fn scene(sha256: Option<String>, tree: Option<Tree>) -> Scene {
        let text = |text: &str| text.to_owned();
        Scene { url: text(""), name: text("a"), format: text(".obj"), bytes: 0, sha256, tree }
    }

    #[test]
    fn a_scene_is_known_by_its_hash_or_by_that_over_its_parts() {
        let hash = |bytes: &[u8]| Sha256::digest(bytes);
        let bytes = b"0123456789";
        for part_bytes in [1, 3, 5, 10, 11] {
            let mut over = Sha256::new();
            for part in bytes.chunks(part_bytes) {
                over.update(hash(part));
            }
            let part_bytes = part_bytes as u64;
            let tree = Tree { sha256: hex::encode(over.finalize()), part_bytes };
            let scene = scene(None, Some(tree));
            for step in 1..=bytes.len() {
                let mut identity = Identity::new(&scene);
                bytes.chunks(step).for_each(|chunk| identity.update(chunk));
                assert!(identity.fits(), "parts of {part_bytes}, chunks of {step}");
            }
            let mut other = Identity::new(&scene);
            other.update(b"0123456780");
            assert!(!other.fits());
        }
        let whole = scene(Some(hex::encode(hash(bytes))), None);
        let mut identity = Identity::new(&whole);
        identity.update(bytes);
        assert!(identity.fits());
        assert!(!Identity::new(&scene(None, None)).fits(), "unknown is not announced");
    }
}
