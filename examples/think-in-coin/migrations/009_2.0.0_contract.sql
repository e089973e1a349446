-- Contract for 2.0.0, after the bake time: from here 1.0.0 can no longer run. Drops what only 1.0.0 used.
drop trigger if exists preferences_goal on public.preferences;
drop function if exists public.preferences_goal();
alter table public.preferences drop column if exists reminder;
