-- Numbers that may be shown as caller ID. A person may read and change this table while the daemon runs.
--
-- usage_count and last_used are in no index and a page keeps a third of itself free, so that
-- counting a use rewrites the row on its own page and touches no index.
-- Collation C: these texts are compared as bytes, which is what the unique key and paging need.
create table asterisk_dids (
    id          uuid primary key,
    tenant_id   text collate "C" not null,
    number      text collate "C" not null,
    area_code   text,
    trunk       text not null default 'PJSIP',
    status      text not null default 'available' check (status in ('active', 'available', 'inactive', 'suspended')),
    usage_count bigint not null default 0 check (usage_count >= 0),
    max_usage   bigint check (max_usage >= 0),
    last_used   timestamptz,
    campaign_id text,
    metadata    jsonb not null default '{}',
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    unique (tenant_id, number)
) with (fillfactor = 70);

-- One outbound call each. The request never changes; status and what follows it does.
create table calls (
    id                   uuid primary key,
    tenant_id            text collate "C" not null,
    did_id               uuid not null,
    from_number          text collate "C" not null,
    to_number            text collate "C" not null,
    trunk                text not null,
    campaign_id          text,
    destination          json not null,
    variables            json not null,
    caller_name          text,
    ring_timeout_seconds bigint not null,
    callback_url         text,
    journey              json,
    created_at           timestamptz not null,
    status               text not null,
    cause                bigint,
    sip_code             bigint,
    initiated_at         timestamptz,
    ringing_at           timestamptz,
    answered_at          timestamptz,
    ended_at             timestamptz,
    writer               uuid not null,
    idempotency_key      text collate "C",
    request_hash         bytea
) with (fillfactor = 70);

-- A tenant's calls, newest first.
create index calls_by_time on calls (tenant_id, created_at, id);
-- What a daemon was following when it stopped.
create index calls_open on calls (writer) where ended_at is null;
-- A retried request rings nobody twice.
create unique index calls_by_key on calls (tenant_id, idempotency_key) where idempotency_key is not null;

-- How far each daemon's ledger has come. `run` names one start of the daemon: a statement that an
-- earlier run left behind in the database can no longer take effect once the next run has begun.
-- `refused` are the places, in the last group, of the uses that were not counted.
create table ledger_writers (
    writer   uuid primary key,
    run      uuid not null,
    sequence bigint not null,
    refused  integer[] not null
);

create table api_keys (
    id         uuid primary key,
    tenant_id  text collate "C",
    role       text not null,
    label      text,
    hash       bytea not null unique,
    created_at timestamptz not null,
    revoked_at timestamptz
);
