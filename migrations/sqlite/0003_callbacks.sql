-- How many of a call's changes have been put into callbacks.
alter table calls add column announced integer not null default 0;

-- The outbox; see the same table for PostgreSQL.
create table callbacks (
    id              blob primary key,
    tenant_id       text not null,
    call_id         blob not null,
    sequence        integer not null,
    type            text not null,
    url             text not null,
    host            text not null,
    body            text not null,
    created_at      text not null,
    since           text not null,
    attempts        integer not null default 0,
    next_attempt_at text,
    claimed_by      blob,
    last_status     integer,
    last_error      text,
    delivered_at    text,
    dead_at         text,
    unique (call_id, sequence)
) strict;

create index callbacks_due on callbacks (host, next_attempt_at) where next_attempt_at is not null;
create index callbacks_undelivered on callbacks (tenant_id, id) where delivered_at is null;
