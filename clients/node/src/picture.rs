//! Whether a file is what it should be: a whole picture of the ordered kind. Decodes nothing; the hub does.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::order::OutputFormat;

/// What is wrong with the file, or None.
pub(crate) fn flaw(file: &Path, format: OutputFormat, width: u32, height: u32) -> Option<String> {
    // Not followed: whoever took over Blender could have left a link to a file of the host.
    match file.symlink_metadata() {
        Ok(data) if !data.is_file() => return Some("is no plain file".into()),
        Ok(data) if data.len() == 0 => return Some("is empty".into()),
        Ok(_) => {}
        Err(error) => return Some(format!("cannot be looked at: {error}")),
    }
    match ends(file) {
        Ok((head, tail)) => wrong(&head, &tail, format, width, height),
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

fn ends(file: &Path) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let mut file = File::open(file)?;
    let mut head = Vec::new();
    file.by_ref().take(24).read_to_end(&mut head)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(12)))?;
    let mut tail = Vec::new();
    file.take(12).read_to_end(&mut tail)?;
    Ok((head, tail))
}

fn wrong(
    head: &[u8],
    tail: &[u8],
    format: OutputFormat,
    width: u32,
    height: u32,
) -> Option<String> {
    let (kind, whole) = match format {
        OutputFormat::Png => {
            let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
            if head.starts_with(b"\x89PNG\r\n\x1a\n") && head.get(16..24) != Some(size.as_slice()) {
                return Some(format!("is not {width}x{height}"));
            }
            (head.starts_with(b"\x89PNG\r\n\x1a\n"), tail.get(4..8) == Some(b"IEND".as_slice()))
        }
        OutputFormat::Jpeg => {
            (head.starts_with(&[0xff, 0xd8, 0xff]), tail.ends_with(&[0xff, 0xd9]))
        }
        OutputFormat::Exr => (head.starts_with(&[0x76, 0x2f, 0x31, 0x01]), true),
    };
    match (kind, whole) {
        (false, _) => Some(format!("is no {}", format.word())),
        (true, false) => Some("is truncated".into()),
        (true, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::wrong;
    use crate::order::OutputFormat::{Exr, Jpeg, Png};

    #[test]
    fn a_picture_of_another_kind_size_or_length_is_named() {
        let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x40\0\0\0\x24";
        let tail = b"\0\0\0\0IEND\xae\x42\x60\x82";
        assert_eq!(wrong(head, tail, Png, 64, 36), None);
        assert_eq!(wrong(head, tail, Png, 64, 37).as_deref(), Some("is not 64x37"));
        assert_eq!(wrong(head, b"\0\0\0\0IDATxxxx", Png, 64, 36).as_deref(), Some("is truncated"));
        assert_eq!(wrong(head, tail, Jpeg, 64, 36).as_deref(), Some("is no JPEG"));
        assert_eq!(
            wrong(&[0xff, 0xd8, 0xff], &[0, 0], Jpeg, 1, 1).as_deref(),
            Some("is truncated")
        );
        assert_eq!(wrong(&[0x76, 0x2f, 0x31, 0x01], &[], Exr, 1, 1), None);
    }
}
