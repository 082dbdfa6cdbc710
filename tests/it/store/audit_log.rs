//! The audit log: what is written is read back, and stays.

use rotary::domain::audit::{Entry, Origin};
use rotary::store::Store;
use rotary::store::audit_log::AuditFilter;
use serde_json::json;
use uuid::Uuid;

use super::{now, on_both, tenant};

on_both!(
    a_line_is_read_back_as_it_was_written,
    a_page_of_the_audit_log_begins_where_the_last_one_ended,
);

async fn a_line_is_read_back_as_it_was_written(store: &Store) {
    let written = line("d_1").changing(Some(json!({"status": "active"})), None);

    store.tell(&written).await.unwrap();

    let about = AuditFilter { subject_id: Some("d_1".to_owned()), ..AuditFilter::default() };
    assert_eq!(store.list_audit_log(&about, 10, None).await.unwrap().items, [written]);
    let other = AuditFilter { tenant: Some("other".parse().unwrap()), ..AuditFilter::default() };
    assert_eq!(store.list_audit_log(&other, 10, None).await.unwrap().items, []);
}

async fn a_page_of_the_audit_log_begins_where_the_last_one_ended(store: &Store) {
    let mut written: Vec<Entry> = (0..5).map(|n| line(&format!("d_{n}"))).collect();
    for entry in &written {
        store.tell(entry).await.unwrap();
    }

    let all = AuditFilter::default();
    let first = store.list_audit_log(&all, 3, None).await.unwrap();
    let rest = store.list_audit_log(&all, 3, first.next.as_deref()).await.unwrap();

    written.reverse();
    assert_eq!([first.items, rest.items].concat(), written);
    assert_eq!(rest.next, None);
}

fn line(subject: &str) -> Entry {
    let origin = Origin::key(Uuid::from_u128(7), ([127, 0, 0, 1], 9).into(), "r_1");
    origin.did("did.updated", ("did", subject.to_owned()), now()).of(&tenant())
}
