-- Who owns DIDs and places calls. The secret signs a tenant's callbacks; it is shown to administrators and so kept as it is.
create table tenants (
    id             text collate "C" primary key,
    name           text,
    webhook_secret text not null,
    created_at     timestamptz not null,
    updated_at     timestamptz not null
);

-- A tenant's named pools. A campaign that DIDs name and nobody described behaves as the defaults say.
create table campaigns (
    tenant_id      text collate "C" not null,
    id             text collate "C" not null,
    name           text,
    join_rule      text not null default 'count' check (join_rule in ('count', 'lowest')),
    local_presence boolean not null default false,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    primary key (tenant_id, id)
);

-- How many uses a DID counts as having besides its own when it is compared with others: what it
-- was behind when it joined a campaign that lets newcomers start level. Its limit does not see it.
alter table asterisk_dids add column head_start bigint not null default 0 check (head_start >= 0);

-- Who did what, in the transaction that did it. Ids rise with time.
create table audit_log (
    id           uuid primary key,
    at           timestamptz not null,
    tenant_id    text collate "C",
    actor        text not null,
    action       text not null,
    subject_type text not null,
    subject_id   text not null,
    before       json,
    after        json,
    address      text not null,
    request_id   text not null
);
create index audit_log_by_tenant on audit_log (tenant_id, id);
create index audit_log_by_subject on audit_log (subject_type, subject_id, id);

create function audit_log_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append-only';
end
$$;
create trigger audit_log_stays before update or delete or truncate on audit_log
    for each statement execute function audit_log_is_append_only();

-- Campaigns: other daemons hold their settings in memory and read again what is named here. Neither id can hold a space.
create function rotary_campaign_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('rotary_campaigns', new.tenant_id || ' ' || new.id);
    return null;
end
$$;
create trigger campaigns_are_told after insert or update on campaigns
    for each row execute function rotary_campaign_changed();
