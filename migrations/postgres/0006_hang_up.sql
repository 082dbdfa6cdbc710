-- Why a call shows the DID it shows, as a word; none for calls before this.
alter table calls add column did_reason text;
-- How long an answered call may last, in seconds; none is without end.
alter table calls add column time_limit_seconds bigint;
-- When a call was first asked to be hung up. Repeated until it has ended, by whoever placed it.
alter table calls add column hang_up_asked_at timestamptz;
create index calls_to_hang_up on calls (writer) where hang_up_asked_at is not null and ended_at is null;
