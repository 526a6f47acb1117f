//! `settings` of a job: read strictly, shown as ordered.

use framefair_app::Refusal;
use framefair_app::market::OutputFormat;
use framefair_app::market::WantedSettings;
use framefair_domain::frames::FrameRange;
use framefair_http::{Whole, strict_json};
use serde::Deserialize;

const SIDE_MAX: u32 = 16_384;
const SAMPLES_MAX: u32 = 65_536;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenderSettings {
    resolution: Option<Resolution>,
    frames: Option<Frames>,
    engine: Option<String>,
    samples: Option<Whole<i64>>,
    output_format: Option<String>,
}

#[derive(Deserialize)]
struct Resolution {
    width: Whole<i64>,
    height: Whole<i64>,
}

#[derive(Deserialize)]
struct Frames {
    start: Whole<i64>,
    end: Whole<i64>,
}

/// Reads the JSON text of the form part; absent and empty mean the defaults.
pub(crate) fn read_settings(text: Option<&str>) -> Result<WantedSettings, Refusal> {
    let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("{}");
    let given: RenderSettings = strict_json("it", text.as_bytes())
        .map_err(|refusal| Refusal::Invalid(format!("settings: {refusal}")))?;
    let output = given.output_format.map(output).transpose()?.unwrap_or_default();
    Ok(WantedSettings {
        resolution: given.resolution.map(|r| size(&r, output)).transpose()?,
        frames: given
            .frames
            .map(|f| FrameRange::new(f.start.0, f.end.0))
            .transpose()
            .map_err(|why| Refusal::Invalid(format!("settings.frames: {why}")))?,
        engine: given.engine.map(engine).transpose()?,
        samples: given.samples.map(|given| samples(given.0)).transpose()?,
        output,
    })
}

fn size(wanted: &Resolution, output: OutputFormat) -> Result<(u32, u32), Refusal> {
    let side = |side: i64| u32::try_from(side).ok().filter(|side| (1..=SIDE_MAX).contains(side));
    let (width, height) = side(wanted.width.0).zip(side(wanted.height.0)).ok_or_else(|| {
        Refusal::invalid("settings.resolution: width and height are 1 to 16384 pixels")
    })?;
    let most = output.pixels_max();
    if u64::from(width) * u64::from(height) > most {
        return Err(Refusal::Invalid(format!(
            "settings.resolution: a picture of this outputFormat has at most {most} pixels"
        )));
    }
    Ok((width, height))
}

fn samples(samples: i64) -> Result<u32, Refusal> {
    let fits = u32::try_from(samples).ok().filter(|n| (1..=SAMPLES_MAX).contains(n));
    fits.ok_or_else(|| Refusal::invalid("settings.samples: 1 to 65536"))
}

fn engine(engine: String) -> Result<String, Refusal> {
    match engine.as_str() {
        "cycles" | "eevee" => Ok(engine),
        _ => Err(Refusal::invalid("settings.engine: `cycles` or `eevee`")),
    }
}

fn output(format: String) -> Result<OutputFormat, Refusal> {
    match format.as_str() {
        "PNG" => Ok(OutputFormat::Png),
        "JPEG" => Ok(OutputFormat::Jpeg),
        "EXR" => Ok(OutputFormat::Exr),
        _ => Err(Refusal::invalid("settings.outputFormat: `PNG`, `JPEG` or `EXR`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_optional_and_bounded() {
        for text in [None, Some(""), Some("{}"), Some(r#"{"unknown":1}"#)] {
            assert_eq!(read_settings(text).expect("defaults"), WantedSettings::default());
        }
        let all = r#"{"resolution":{"width":320,"height":180},"frames":{"start":1,"end":8},
            "engine":"cycles","samples":16.0,"outputFormat":"JPEG"}"#;
        let all = read_settings(Some(all)).expect("in bounds");
        assert_eq!(all.resolution, Some((320, 180)));
        assert_eq!(all.frames.map(|frames| frames.count()), Some(8));
        assert_eq!(all.output, OutputFormat::Jpeg);
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_its_member_named() {
        for (text, member) in [
            (r#"{"resolution":{"width":0,"height":1}}"#, "resolution"),
            (r#"{"resolution":{"width":1,"height":16385}}"#, "resolution"),
            (r#"{"resolution":{"width":-1,"height":1}}"#, "resolution"),
            (r#"{"resolution":{"width":16384,"height":4097}}"#, "resolution"),
            (r#"{"resolution":{"width":8192,"height":4097},"outputFormat":"EXR"}"#, "resolution"),
            (r#"{"resolution":{"width":1e300,"height":1}}"#, "settings"),
            (r#"{"frames":{"start":2,"end":1}}"#, "frames"),
            (r#"{"frames":{"start":0,"end":100000}}"#, "frames"),
            (r#"{"frames":{"start":1}}"#, "settings"),
            (r#"{"engine":"povray"}"#, "engine"),
            (r#"{"samples":0}"#, "samples"),
            (r#"{"samples":65537}"#, "samples"),
            (r#"{"outputFormat":"GIF"}"#, "outputFormat"),
            ("[", "settings"),
            ("null", "settings"),
        ] {
            let refusal = read_settings(Some(text)).expect_err(text).to_string();
            assert!(refusal.contains(member), "{text}: {refusal}");
        }
    }
}
