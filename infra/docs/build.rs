//! Takes the parts of the pages in, those that `fetch.sh` brought and our own, each under a name that
//! changes with what is in it. Fetches nothing: without them the build goes on, and the pages say what
//! is missing.

use std::error::Error;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::{env, fs};

/// Folder, name and type.
const PARTS: [(&str, &str, &str); 7] = [
    ("fetched", "swagger-ui.css", "text/css; charset=utf-8"),
    ("fetched", "swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("fetched", "swagger-ui-bundle.js.LICENSE.txt", "text/plain; charset=utf-8"),
    ("fetched", "redoc.standalone.js", "text/javascript; charset=utf-8"),
    ("fetched", "redoc.standalone.js.LICENSE.txt", "text/plain; charset=utf-8"),
    ("pages", "pages.css", "text/css; charset=utf-8"),
    ("pages", "docs.js", "text/javascript; charset=utf-8"),
];
const PAGES: [&str; 2] = ["docs.html", "redoc.html"];
/// The one picture that Redoc asks a stranger for. What cannot be shown it leaves out.
const FOREIGN: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";
const NOTHING: &str = "data:,";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=fetched");
    println!("cargo::rerun-if-changed=pages");
    let here = env::var("CARGO_MANIFEST_DIR")?;
    let out = env::var("OUT_DIR")?;
    let (here, out) = (Path::new(&here), Path::new(&out));
    let mut pages = PAGES
        .iter()
        .map(|page| fs::read_to_string(here.join("pages").join(page)))
        .collect::<Result<Vec<_>, _>>()?;
    let (mut parts, mut complete) = (String::new(), true);
    for (folder, name, kind) in PARTS {
        let Ok(mut text) = fs::read_to_string(here.join(folder).join(name)) else {
            println!("cargo::warning={name} is missing: /docs and /redoc need infra/docs/fetch.sh");
            complete = false;
            continue;
        };
        if name == "redoc.standalone.js" {
            if text.matches(FOREIGN).count() != 1 {
                return Err(format!("{name} does not ask for {FOREIGN} once").into());
            }
            text = text.replace(FOREIGN, NOTHING);
        }
        let served = served_as(name, &text);
        pages = pages.iter().map(|it| it.replace(&format!("{{{{{name}}}}}"), &served)).collect();
        fs::write(out.join(name), text)?;
        parts += &format!(
            "    Part {{ name: {served:?}, kind: {kind:?}, bytes: include_bytes!({:?}) }},\n",
            out.join(name)
        );
    }
    for (name, page) in PAGES.iter().zip(pages) {
        fs::write(out.join(name), page)?;
    }
    let table = format!(
        "const PARTS: &[Part] = &[\n{parts}];\nconst COMPLETE: bool = {complete};\n\
         const DOCS: &str = include_str!({:?});\nconst REDOC: &str = include_str!({:?});\n",
        out.join(PAGES[0]),
        out.join(PAGES[1]),
    );
    Ok(fs::write(out.join("parts.rs"), table)?)
}

/// `docs.js` becomes `docs.0123456789abcdef.js`.
fn served_as(name: &str, text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    format!("{stem}.{:016x}.{extension}", hasher.finish())
}
