//! What a person changes of a DID, and what came of it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::did::{Did, DidStatus, TrunkName};
use super::number::{AreaCode, E164};
use super::tenant::CampaignId;

/// A change of a DID; what is none stays. What may be cleared is none inside.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DidChange {
    /// What the callee will see. The area code follows it, unless it is given too.
    pub number: Option<E164>,
    /// The area code picks may ask for.
    pub area_code: Option<Option<AreaCode>>,
    /// Where calls will leave.
    pub trunk: Option<TrunkName>,
    /// Whether it may be picked.
    pub status: Option<DidStatus>,
    /// The most uses it may have.
    pub max_usage: Option<Option<u32>>,
    /// Its pool.
    pub campaign: Option<Option<CampaignId>>,
    /// What else its owner wrote down, in place of all that was there.
    pub metadata: Option<Map<String, Value>>,
}

impl DidChange {
    /// The DID with this change, its times and its count as they were.
    pub fn applied_to(&self, did: &Did) -> Did {
        let number = self.number.unwrap_or(did.number);
        let own_area_code = match number == did.number {
            true => did.area_code,
            false => number.area_code(),
        };
        Did {
            number,
            area_code: self.area_code.unwrap_or(own_area_code),
            trunk: self.trunk.as_ref().unwrap_or(&did.trunk).clone(),
            status: self.status.unwrap_or(did.status),
            max_usage: self.max_usage.unwrap_or(did.max_usage),
            campaign: self.campaign.as_ref().unwrap_or(&did.campaign).clone(),
            metadata: self.metadata.as_ref().unwrap_or(&did.metadata).clone(),
            ..did.clone()
        }
    }
}

/// The fields in which the two differ, with their values before and after, under the names a DID
/// has in JSON; none where a person changed nothing. The time of the change is no change.
pub fn difference(before: &Did, after: &Did) -> Option<(Value, Value)> {
    let (before, after) = (as_object(before), as_object(after));
    let differs = |name: &String| name != "updatedAt" && before.get(name) != after.get(name);
    let names: BTreeSet<&String> =
        before.keys().chain(after.keys()).filter(|name| differs(name)).collect();
    let of = |all: &Map<String, Value>| -> Map<String, Value> {
        names.iter().filter_map(|name| Some(((*name).clone(), all.get(*name)?.clone()))).collect()
    };
    (!names.is_empty()).then(|| (of(&before).into(), of(&after).into()))
}

/// The whole DID, as `GET` answers it.
pub fn whole(did: &Did) -> Value {
    as_object(did).into()
}

fn as_object(did: &Did) -> Map<String, Value> {
    match serde_json::to_value(did) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => unreachable!("a DID is an object of plain values"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::domain::did::DidId;

    #[test]
    fn the_area_code_follows_the_number_unless_it_is_given() {
        let did = did();
        let number = Some("+12125550001".parse().unwrap());
        let only_number = DidChange { number, ..DidChange::default() };
        let both = DidChange { area_code: Some(None), ..only_number.clone() };
        let same = DidChange { number: Some(did.number), ..DidChange::default() };

        assert_eq!(only_number.applied_to(&did).area_code, Some("212".parse().unwrap()));
        assert_eq!(both.applied_to(&did).area_code, None);
        assert_eq!(same.applied_to(&did), did);
    }

    #[test]
    fn only_what_differs_is_told_under_the_names_of_the_interface() {
        let before = did();
        let change = DidChange {
            max_usage: Some(None),
            campaign: Some(Some("c_1".parse().unwrap())),
            trunk: Some(before.trunk.clone()),
            ..DidChange::default()
        };
        let mut after = change.applied_to(&before);
        after.updated_at = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1);

        let (old, new) = difference(&before, &after).unwrap();

        assert_eq!(old, json!({"maxUsage": 5, "campaignId": null}));
        assert_eq!(new, json!({"maxUsage": null, "campaignId": "c_1"}));
        assert_eq!(difference(&before, &before), None);
    }

    fn did() -> Did {
        Did {
            id: DidId(uuid::Uuid::nil()),
            tenant: "t_1".parse().unwrap(),
            number: "+14045550001".parse().unwrap(),
            area_code: Some("770".parse().unwrap()),
            trunk: TrunkName::pjsip(),
            status: DidStatus::Active,
            usage_count: 3,
            head_start: 0,
            max_usage: Some(5),
            last_used: None,
            campaign: None,
            metadata: Map::new(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}
