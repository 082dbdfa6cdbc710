//! `[asterisk]` or `[[asterisk]]`: one Asterisk, or several with names.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use super::sections::{Asterisk, Sections, Via};
use super::{ConfigError, value};
use crate::app::asterisks::{Settings, WireSettings};
use crate::domain::asterisk::AsteriskName;

/// One value where a list may stand, or the list. Untagged, and yet an error names key and line,
/// which serde's own `untagged` forgets.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(many) => many,
        }
    }
}

impl<T: Default> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::One(T::default())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one or a list")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                use serde::de::IntoDeserializer;
                T::deserialize(text.into_deserializer()).map(OneOrMany::One)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(OneOrMany::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany::Many)
            }
        }

        from.deserialize_any(Either(std::marker::PhantomData))
    }
}

/// The lines to the Asterisks. A lone one is named `asterisk` unless it has another name; of several
/// each has its own. The trunks may name none that is not there.
///
/// What works and should not stay so goes to `warnings`.
pub(super) fn settings(
    sections: &Sections,
    warnings: &mut Vec<String>,
) -> Result<Vec<Settings>, ConfigError> {
    let all = sections.asterisk.as_slice();
    if all.is_empty() {
        return Err(value("asterisk", "there must be one"));
    }
    let mut names = BTreeSet::new();
    let mut settings = Vec::with_capacity(all.len());
    for (place, section) in all.iter().enumerate() {
        let name = match &section.name {
            Some(name) => name.clone(),
            None if all.len() == 1 => AsteriskName::lone(),
            None => {
                let why = format!("of several each has one; number {} has none", place + 1);
                return Err(value("asterisk.name", why));
            }
        };
        if !names.insert(name.clone()) {
            return Err(value("asterisk.name", format!("two are named {name}")));
        }
        let key = if all.len() == 1 { "asterisk".into() } else { format!("asterisk.{name}") };
        let mut wire = super::wire_settings(&key, section, warnings)?;
        if let WireSettings::Ari(ari) = &mut wire {
            ari.endpoints = endpoints(sections, &name);
        }
        settings.push(Settings { wire, name });
    }
    for (trunk, section) in &sections.trunks {
        if let Some(stranger) = section.asterisks().iter().find(|name| !names.contains(*name)) {
            let known: Vec<&str> = names.iter().map(AsteriskName::as_str).collect();
            let why = format!("no Asterisk is named {stranger}; there is {}", known.join(", "));
            return Err(value(format!("trunks.{trunk}.asterisk"), why));
        }
    }
    Ok(settings)
}

/// The Asterisks as the file has them, if there is a list of them.
pub(super) fn listed(table: &Table) -> Option<&Vec<Value>> {
    table.get("asterisk").and_then(Value::as_array)
}

/// The place of the Asterisk that a variable means, and the rest of its path. Of several it is named
/// as `ROTARY_ASTERISK__PBX_1__SECRET` names `pbx-1`: in capitals, and `_` for what may not stand in
/// a variable. One that is alone in its list need not be named.
///
/// # Errors
/// Why none is meant, or more than one.
pub(super) fn meant<'a>(
    list: &[Value],
    path: &'a [String],
) -> Result<(usize, &'a [String]), &'static str> {
    if let ([_], [_]) = (list, path) {
        return Ok((0, path));
    }
    let [word, rest @ ..] = path else { return Err("names no key") };
    let is_meant = |one: &Value| {
        let name = one.get("name").and_then(Value::as_str);
        name.is_some_and(|name| name.to_lowercase().replace(['-', '.'], "_") == *word)
    };
    let mut meant = list.iter().enumerate().filter(|(_, one)| is_meant(one));
    match (meant.next(), meant.next()) {
        (Some((place, _)), None) if !rest.is_empty() => Ok((place, rest)),
        (Some(_), Some(_)) => Err("means more than one Asterisk; give them names that differ"),
        (Some(_), None) | (None, _) => Err(
            "there are several Asterisks: a variable names one, as ROTARY_ASTERISK__PBX_1__SECRET \
             is the secret of pbx-1",
        ),
    }
}

/// The PJSIP endpoints that calls at this Asterisk leave by: those of the trunks that are configured.
fn endpoints(sections: &Sections, asterisk: &AsteriskName) -> Vec<String> {
    let trunks = sections
        .trunks
        .iter()
        .filter(|(_, trunk)| trunk.asterisks().is_empty() || trunk.asterisks().contains(asterisk));
    // A trunk that cannot work is told of where all trunks are read.
    let endpoints: BTreeSet<String> =
        trunks.filter_map(|(name, trunk)| trunk.trunk(name).ok()?.endpoint(name)).collect();
    endpoints.into_iter().collect()
}

impl Asterisk {
    /// Where it is: as configured, or where Asterisk listens by default.
    pub(super) fn address(&self) -> &str {
        let usual = match self.via {
            Via::Ami => "127.0.0.1:5038",
            Via::Ari => "127.0.0.1:8088",
        };
        self.address.as_deref().unwrap_or(usual)
    }

    /// Writes out what is not configured, for [`super::Config::print`].
    pub(super) fn complete(&mut self) {
        self.address = Some(self.address().to_owned());
    }

    pub(super) fn mask(&mut self) {
        if self.secret.is_some() {
            self.secret = Some("***".into());
        }
    }
}
