-- How many of a call's changes have been put into callbacks.
alter table calls add column announced bigint not null default 0;

-- The outbox: each change of a call that has a callback URL, in the transaction that stored the
-- change. A row is pending until delivered_at or dead_at is set. Of a call's pending rows only the
-- first has next_attempt_at, which keeps their order; while it is being sent that is when another
-- daemon may take it for lost.
create table callbacks (
    id              uuid primary key,
    tenant_id       text collate "C" not null,
    call_id         uuid not null,
    sequence        bigint not null,
    type            text not null,
    url             text not null,
    host            text collate "C" not null,
    body            text not null,
    created_at      timestamptz not null,
    since           timestamptz not null,
    attempts        bigint not null default 0,
    next_attempt_at timestamptz,
    claimed_by      uuid,
    last_status     bigint,
    last_error      text,
    delivered_at    timestamptz,
    dead_at         timestamptz,
    -- A change is told once, however often its transaction is tried.
    unique (call_id, sequence)
) with (fillfactor = 70);

-- What is due, receiver by receiver: one that is down with many rows is stepped over at no cost.
create index callbacks_due on callbacks (host, next_attempt_at) where next_attempt_at is not null;
-- What a tenant still waits for, and what was given up.
create index callbacks_undelivered on callbacks (tenant_id, id) where delivered_at is null;
