-- The Asterisk that has the call, or was the last to be asked, by its name in the configuration; null in
-- rows of the time when there was one: the first. A call is compared with that one's channels alone.
alter table calls add column asterisk text;
