-- Since when a call waits, or waited, for a place on its trunk; null for one that did not.
alter table calls add column queued_at timestamptz;
-- How often it went out: again by the next trunk where one could not carry it.
alter table calls add column attempt bigint not null default 1;
