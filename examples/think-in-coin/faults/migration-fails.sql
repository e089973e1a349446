-- Drill: a migration that changes something and then fails.
alter table public.lessons add column minutes integer not null default 5;
update public.lessons set minutes = minutes / (position - 3);
