-- A DID that was picked for a call which Rotary does not place itself: a dialplan's, or another dialer's. Inserted by
-- the ledger together with its use. `outcome` is `released`, or how the call ended.
create table picks (
    id          uuid primary key,
    tenant_id   text collate "C" not null,
    did_id      uuid not null,
    number      text collate "C" not null,
    trunk       text not null,
    campaign_id text,
    to_number   text collate "C",
    created_at  timestamptz not null,
    writer      uuid not null,
    settled_at  timestamptz,
    outcome     text,
    cause       bigint
);

create index picks_by_tenant on picks (tenant_id, id);
create index picks_open on picks (tenant_id, id) where settled_at is null;

-- `rotary`, or `dialplan` where a pick was settled by how the dialplan's own call ended.
alter table calls add column placed_by text not null default 'rotary';

-- An inbound call asks whose the number is, and for the last call to the one who calls.
create index idx_asterisk_dids_number on asterisk_dids (number);
create index calls_by_parties on calls (to_number, from_number, created_at);
