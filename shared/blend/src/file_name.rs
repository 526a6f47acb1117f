//! File names from strangers, made harmless. Knows no file system.

/// The longest name that [`safe_file_name`] gives, in bytes.
pub const FILE_NAME_MAX: usize = 100;

const EXTENSION_MAX: usize = 16;
const NAMELESS: &str = "scene";

/// A name that is safe as a file name, an object key, a header value and a command-line word, and still recognisable.
///
/// Only the last path component is kept; everything outside `[A-Za-z0-9._-]` becomes `_`; the name never starts with
/// a dot (hidden files) or a hyphen (an option to a program), is never empty, never a device name of Windows, and has
/// at most [`FILE_NAME_MAX`] characters. The extension survives, shortened names lose the end of their stem.
/// Applying it twice changes nothing.
pub fn safe_file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let (stem, extension) = match last.rfind('.') {
        Some(dot) if is_extension(&last[dot + 1..]) => (&last[..dot], &last[dot..]),
        _ => (last, ""),
    };
    let mut safe: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
        .skip_while(|c| matches!(c, '.' | '-'))
        .take(FILE_NAME_MAX - extension.len())
        .collect();
    // A stem that ends in a dot would read as `name..blend`, and Windows drops trailing dots.
    safe.truncate(safe.trim_end_matches('.').len());
    if safe.is_empty() {
        safe.push_str(NAMELESS);
    }
    if is_device(&safe) {
        safe.insert(0, '_');
    }
    safe + extension
}

fn is_extension(text: &str) -> bool {
    (1..=EXTENSION_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// `CON`, `NUL`, `COM1` and so on, with anything after a first dot, are devices to Windows clients.
fn is_device(name: &str) -> bool {
    let word = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    match word.as_str() {
        "con" | "prn" | "aux" | "nul" => true,
        _ => {
            word.len() == 4
                && (word.starts_with("com") || word.starts_with("lpt"))
                && word.as_bytes()[3].is_ascii_digit()
        }
    }
}

/// A short piece of hostile text, fit to be shown in a message.
pub(crate) fn shown(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(32)
        .map(|c| if c.is_ascii_graphic() && c != '`' { c } else { '?' })
        .collect();
    if text.chars().count() > 32 { shown + "..." } else { shown }
}
