//! The words in which a trigger tells; `migrations/postgres` has what each means.

use std::ops::RangeInclusive;

use uuid::Uuid;

use crate::domain::did::DidId;
use crate::domain::tenant::TenantId;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Look at these DIDs of this tenant.
    Dids(TenantId, Vec<DidId>),
    /// Many are new.
    Added {
        /// The daemon that wrote them and knows; none if nobody does.
        writer: Option<Uuid>,
        /// Between these.
        ids: RangeInclusive<DidId>,
    },
    /// Look at all.
    Everything,
}

impl Message {
    /// Reads a payload; none if it is none that we know.
    pub(super) fn read(payload: &str) -> Option<Self> {
        let words: Vec<&str> = payload.split(' ').collect();
        match words[..] {
            ["dids", tenant, ids] => {
                let ids = ids.split(',').map(did).collect::<Option<_>>()?;
                Some(Self::Dids(tenant.parse().ok()?, ids))
            }
            ["added", writer, lowest, highest] => {
                Some(Self::Added { writer: writer.parse().ok(), ids: did(lowest)?..=did(highest)? })
            }
            ["everything"] => Some(Self::Everything),
            _ => None,
        }
    }
}

fn did(text: &str) -> Option<DidId> {
    text.parse().ok().map(DidId)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0192aaaa-0000-7000-8000-000000000001";
    const TWO: &str = "0192aaaa-0000-7000-8000-000000000002";

    #[test]
    fn each_message_is_read() {
        let (one, two) = (did(ONE).unwrap(), did(TWO).unwrap());
        let writer = Uuid::from_u128(7);

        let dids = Message::read(&format!("dids t_1 {ONE},{TWO}"));
        let by_a_daemon = Message::read(&format!("added {writer} {ONE} {TWO}"));
        let by_a_person = Message::read(&format!("added - {ONE} {TWO}"));

        assert_eq!(dids, Some(Message::Dids("t_1".parse().unwrap(), vec![one, two])));
        let added = |writer| Some(Message::Added { writer, ids: one..=two });
        assert_eq!((by_a_daemon, by_a_person), (added(Some(writer)), added(None)));
        assert_eq!(Message::read("everything"), Some(Message::Everything));
    }

    #[test]
    fn what_is_none_of_them_is_not_guessed_at() {
        for payload in ["", "dids", "dids t_1", "dids t_1 7", "dids t/1 7", "added - 1 2", "hello"]
        {
            assert_eq!(Message::read(payload), None, "{payload}");
        }
    }
}
