-- A DID that was picked for a call which Rotary does not place itself: a dialplan's, or another dialer's. Inserted by
-- the ledger together with its use. `outcome` is `released`, or how the call ended.
create table picks (
    id          blob primary key,
    tenant_id   text not null,
    did_id      blob not null,
    number      text not null,
    trunk       text not null,
    campaign_id text,
    to_number   text,
    created_at  text not null,
    writer      blob not null,
    settled_at  text,
    outcome     text,
    cause       integer
) strict;

create index picks_by_tenant on picks (tenant_id, id);
create index picks_open on picks (tenant_id, id) where settled_at is null;

-- `rotary`, or `dialplan` where a pick was settled by how the dialplan's own call ended.
alter table calls add column placed_by text not null default 'rotary';

-- An inbound call asks whose the number is, and for the last call to the one who calls.
create index idx_asterisk_dids_number on asterisk_dids (number);
create index calls_by_parties on calls (to_number, from_number, created_at);
