-- Drill: an expand migration that drops what 1.0.0 still uses.
drop trigger preferences_goal on public.preferences;
drop function public.preferences_goal();
alter table public.preferences drop column reminder;
