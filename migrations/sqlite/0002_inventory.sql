-- Who owns DIDs and places calls. The secret signs a tenant's callbacks; it is shown to administrators and so kept as it is.
create table tenants (
    id             text primary key,
    name           text,
    webhook_secret text not null,
    created_at     text not null,
    updated_at     text not null
) strict;

-- A tenant's named pools. A campaign that DIDs name and nobody described behaves as the defaults say.
create table campaigns (
    tenant_id      text not null,
    id             text not null,
    name           text,
    join_rule      text not null default 'count' check (join_rule in ('count', 'lowest')),
    local_presence integer not null default 0 check (local_presence in (0, 1)),
    created_at     text not null,
    updated_at     text not null,
    primary key (tenant_id, id)
) strict;

-- How many uses a DID counts as having besides its own when it is compared with others: what it
-- was behind when it joined a campaign that lets newcomers start level. Its limit does not see it.
alter table asterisk_dids add column head_start integer not null default 0 check (head_start >= 0);

-- Who did what, in the transaction that did it. Ids rise with time.
create table audit_log (
    id           blob primary key,
    at           text not null,
    tenant_id    text,
    actor        text not null,
    action       text not null,
    subject_type text not null,
    subject_id   text not null,
    before       text,
    after        text,
    address      text not null,
    request_id   text not null
) strict;
create index audit_log_by_tenant on audit_log (tenant_id, id);
create index audit_log_by_subject on audit_log (subject_type, subject_id, id);

create trigger audit_log_is_not_changed before update on audit_log
begin
    select raise(abort, 'the audit log is append-only');
end;
create trigger audit_log_is_not_cut before delete on audit_log
begin
    select raise(abort, 'the audit log is append-only');
end;
