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

-- Every daemon on this database hears on the channel rotary_dids of what others change, people with
-- psql included, once it is committed:
--
--   dids TENANT ID,ID,…           look at these DIDs of this tenant; those not there are gone
--   added WRITER LOWEST HIGHEST   many are new, between these ids; WRITER is the daemon that knows, or -
--   everything                    look at all
--
-- A tenant whose id no daemon reads has no DID in any index, and there is nothing to tell.
-- Each transaction that tells waits at its commit for the others that do, so the ledger, which
-- counts thousands of uses a second, must not: no trigger fires for a count that rises.
create function asterisk_dids_changed() returns trigger language plpgsql as $$
begin
    if (old.tenant_id, old.id) is distinct from (new.tenant_id, new.id)
        and old.tenant_id ~ '^[A-Za-z0-9_.:-]{1,64}$'
    then
        perform pg_notify('rotary_dids', 'dids ' || old.tenant_id || ' ' || old.id);
    end if;
    if new.tenant_id ~ '^[A-Za-z0-9_.:-]{1,64}$' then
        perform pg_notify('rotary_dids', 'dids ' || new.tenant_id || ' ' || new.id);
    end if;
    return null;
end
$$;
create trigger asterisk_dids_tell_changed
    after update of id, tenant_id, number, area_code, trunk, status, max_usage, campaign_id, head_start
    on asterisk_dids for each row
    when ((old.id, old.tenant_id, old.number, old.area_code, old.trunk, old.status, old.max_usage,
            old.campaign_id, old.head_start)
        is distinct from (new.id, new.tenant_id, new.number, new.area_code, new.trunk, new.status,
            new.max_usage, new.campaign_id, new.head_start))
    execute function asterisk_dids_changed();
-- A person's reset, or a use taken back.
create trigger asterisk_dids_tell_lowered after update of usage_count
    on asterisk_dids for each row when (new.usage_count < old.usage_count)
    execute function asterisk_dids_changed();

-- Few are told one by one. A chunk of an import is told as a range: its ids rise with time and lie
-- together. Of many that are gone there is no range to read.
create function asterisk_dids_came_or_went() returns trigger language plpgsql as $$
declare
    many constant bigint := case tg_op when 'INSERT' then 1000 else 5000 end;
    are_many constant boolean := (select count(*) from (select from touched limit many + 1) few) > many;
begin
    if are_many and tg_op = 'INSERT' then
        perform pg_notify('rotary_dids', concat_ws(' ', 'added',
            coalesce(nullif(current_setting('rotary.daemon', true), ''), '-'),
            (select id from touched order by id limit 1),
            (select id from touched order by id desc limit 1)));
    elsif are_many then
        perform pg_notify('rotary_dids', 'everything');
    else
        perform pg_notify('rotary_dids', 'dids ' || tenant_id || ' ' || string_agg(id::text, ','))
        from (
            select tenant_id, id, (row_number() over (partition by tenant_id) - 1) / 200 as message
            from touched where tenant_id ~ '^[A-Za-z0-9_.:-]{1,64}$'
        ) told group by tenant_id, message;
    end if;
    return null;
end
$$;
create trigger asterisk_dids_tell_added after insert on asterisk_dids
    referencing new table as touched for each statement execute function asterisk_dids_came_or_went();
create trigger asterisk_dids_tell_removed after delete on asterisk_dids
    referencing old table as touched for each statement execute function asterisk_dids_came_or_went();

create function asterisk_dids_cut() returns trigger language plpgsql as $$
begin
    perform pg_notify('rotary_dids', 'everything');
    return null;
end
$$;
create trigger asterisk_dids_tell_cut after truncate on asterisk_dids
    for each statement execute function asterisk_dids_cut();

-- Every daemon holds the settings of all campaigns in memory and reads them again when told.
create function campaigns_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('rotary_campaigns', '');
    return null;
end
$$;
create trigger campaigns_tell after insert or update or delete or truncate on campaigns
    for each statement execute function campaigns_changed();
