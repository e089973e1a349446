-- Drill: an expand migration after which 1.0.0 cannot store reminders.
drop trigger preferences_goal on public.preferences;
drop function public.preferences_goal();
alter table public.preferences add constraint no_reminders check (reminder = 'none') not valid;
