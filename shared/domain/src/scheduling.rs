//! Who can render a job, and who gets it. Knows no queue and no table.

use serde::{Deserialize, Serialize};

use crate::id::ProviderId;
use crate::money::Lamports;

/// What a provider says it can do, reduced to what decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// Lower-case extensions with the dot.
    pub formats: Vec<String>,
    /// Blender's major and minor version; none when the provider's text names none.
    pub blender: Option<(u16, u16)>,
    /// Lower-case engine names.
    pub engines: Vec<String>,
    pub bytes_max: u64,
    /// Renders several frames and returns them all.
    pub frames: bool,
    /// Takes its work over our socket.
    pub relay: bool,
}

/// What a job needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub format: String,
    /// The version that wrote the file; older Blenders may crash on it.
    pub blender: Option<(u16, u16)>,
    pub engine: Option<String>,
    pub bytes: u64,
    pub frames: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    #[error("does not read {0} files")]
    Format(String),
    #[error("runs Blender {has}, and the file was written by {needs}")]
    Blender { has: String, needs: String },
    #[error("has no {0} engine")]
    Engine(String),
    #[error("takes files up to {max} bytes, and this one has {bytes}")]
    FileSize { max: u64, bytes: u64 },
    #[error("renders single frames only, and this job has {0}")]
    Frames(u64),
}

impl Abilities {
    /// Whether this provider can render that job, or the first reason why not.
    pub fn can(&self, need: &Need) -> Result<(), Unable> {
        if !self.formats.contains(&need.format) {
            return Err(Unable::Format(need.format.clone()));
        }
        if let Some(needs) = need.blender
            && self.blender.is_none_or(|has| has < needs)
        {
            let text = |(major, minor): (u16, u16)| format!("{major}.{minor}");
            let has = self.blender.map_or_else(|| "no named version".to_owned(), text);
            return Err(Unable::Blender { has, needs: text(needs) });
        }
        if let Some(engine) = need.engine.as_ref().filter(|engine| !self.engines.contains(engine)) {
            return Err(Unable::Engine(engine.clone()));
        }
        if need.bytes > self.bytes_max {
            return Err(Unable::FileSize { max: self.bytes_max, bytes: need.bytes });
        }
        if need.frames > 1 && !self.frames {
            return Err(Unable::Frames(need.frames));
        }
        Ok(())
    }
}

/// Reads `3.4.1`, `4.2 LTS` or `Blender 3.4`: the first number, a dot, the next number.
pub fn blender_version(text: &str) -> Option<(u16, u16)> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let mut parts = text[digits..].split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().filter(|part| !part.is_empty()).map_or(Ok(0), str::parse).ok()?;
    Some((major, minor))
}

/// A provider that could take the job, and at what price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub provider: ProviderId,
    pub total: Lamports,
    pub rating_tenths: u64,
    /// Jobs that it holds or is promised.
    pub open: u32,
}

/// The cheapest; among equals the best rated, then the least busy, then by `lot`, so that a burst
/// of equal jobs does not fall on one provider.
pub fn choose(candidates: &[Candidate], lot: u64) -> Option<Candidate> {
    let rank = |c: &Candidate| (c.total, std::cmp::Reverse(c.rating_tenths), c.open);
    let best = candidates.iter().map(rank).min()?;
    let equals: Vec<&Candidate> = candidates.iter().filter(|c| rank(c) == best).collect();
    let pick = usize::try_from(lot % equals.len() as u64).ok()?;
    equals.get(pick).map(|candidate| **candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn able() -> Abilities {
        Abilities {
            formats: vec![".blend".into(), ".obj".into()],
            blender: Some((3, 4)),
            engines: vec!["cycles".into()],
            bytes_max: 1_000,
            frames: true,
            relay: true,
        }
    }

    fn need() -> Need {
        Need {
            format: ".blend".into(),
            blender: Some((3, 4)),
            engine: Some("cycles".into()),
            bytes: 1_000,
            frames: 8,
        }
    }

    #[test]
    fn each_lack_is_named() {
        assert_eq!(able().can(&need()), Ok(()));
        let lacks = |change: fn(&mut Need)| {
            let mut need = need();
            change(&mut need);
            able().can(&need).expect_err("something is lacking").to_string()
        };
        assert!(lacks(|n| n.format = ".fbx".into()).contains(".fbx"));
        assert!(lacks(|n| n.blender = Some((4, 5))).contains("written by 4.5"));
        assert!(lacks(|n| n.engine = Some("eevee".into())).contains("eevee"));
        assert!(lacks(|n| n.bytes = 1_001).contains("1001"));
        let stills = Abilities { frames: false, ..able() };
        assert_eq!(stills.can(&need()), Err(Unable::Frames(8)));
        let unnamed = Abilities { blender: None, ..able() };
        assert!(unnamed.can(&need()).is_err());
        assert_eq!(unnamed.can(&Need { blender: None, ..need() }), Ok(()));
    }

    #[test]
    fn versions_are_found_in_what_people_write() {
        for (text, version) in [
            ("3.4.1", Some((3, 4))),
            ("Blender 4.2 LTS", Some((4, 2))),
            ("5", Some((5, 0))),
            ("v2.93", Some((2, 93))),
            ("", None),
            ("latest", None),
            ("99999999.1", None),
        ] {
            assert_eq!(blender_version(text), version, "{text}");
        }
    }

    #[test]
    fn the_cheapest_wins_and_equals_share() {
        let candidate = |n: u8, total, rating_tenths, open| Candidate {
            provider: ProviderId::new(Timestamp(0), [n; 10]),
            total: Lamports(total),
            rating_tenths,
            open,
        };
        let dear = candidate(1, 9, 50, 0);
        let poor = candidate(2, 5, 40, 0);
        let busy = candidate(3, 5, 45, 3);
        let one = candidate(4, 5, 45, 1);
        let other = candidate(5, 5, 45, 1);
        let all = [dear, poor, busy, one, other];
        assert_eq!(choose(&all, 0), Some(one));
        assert_eq!(choose(&all, 1), Some(other));
        assert_eq!(choose(&all[..3], 7), Some(busy));
        assert_eq!(choose(&all[..2], 7), Some(poor));
        assert_eq!(choose(&[], 7), None);
    }
}
