-- Numbers that may be shown as caller ID. Ids are 16 bytes; times are RFC 3339 in UTC, which sorts as text.
-- usage_count and last_used are in no index: counting a use touches one row and nothing else.
create table asterisk_dids (
    id          blob primary key,
    tenant_id   text not null,
    number      text not null,
    area_code   text,
    trunk       text not null default 'PJSIP',
    status      text not null default 'available' check (status in ('active', 'available', 'inactive', 'suspended')),
    usage_count integer not null default 0 check (usage_count >= 0),
    max_usage   integer check (max_usage >= 0),
    last_used   text,
    campaign_id text,
    metadata    text not null default '{}',
    created_at  text not null,
    updated_at  text not null,
    unique (tenant_id, number)
) strict;

-- One outbound call each. The request never changes; status and what follows it does.
create table calls (
    id                   blob primary key,
    tenant_id            text not null,
    did_id               blob not null,
    from_number          text not null,
    to_number            text not null,
    trunk                text not null,
    campaign_id          text,
    destination          text not null,
    variables            text not null,
    caller_name          text,
    ring_timeout_seconds integer not null,
    callback_url         text,
    journey              text,
    created_at           text not null,
    status               text not null,
    cause                integer,
    sip_code             integer,
    initiated_at         text,
    ringing_at           text,
    answered_at          text,
    ended_at             text,
    writer               blob not null,
    idempotency_key      text,
    request_hash         blob
) strict;

-- A tenant's calls, newest first.
create index calls_by_time on calls (tenant_id, created_at, id);
-- What a daemon was following when it stopped.
create index calls_open on calls (writer) where ended_at is null;
-- A retried request rings nobody twice.
create unique index calls_by_key on calls (tenant_id, idempotency_key) where idempotency_key is not null;

-- How far each daemon's ledger has come; see the same table for PostgreSQL.
create table ledger_writers (
    writer   blob primary key,
    run      blob not null,
    sequence integer not null,
    refused  text not null
) strict;

create table api_keys (
    id         blob primary key,
    tenant_id  text,
    role       text not null,
    label      text,
    hash       blob not null unique,
    created_at text not null,
    revoked_at text
) strict;
