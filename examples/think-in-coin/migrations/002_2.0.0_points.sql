-- Expand for 2.0.0: additive. It runs while rows arrive by logical replication from a 1.0.0 schema, whose apply
-- worker fires only ENABLE ALWAYS triggers, with an empty search_path: hence those, and qualified names throughout.
-- Columns get constant defaults, which PostgreSQL adds without rewriting the table.

alter table public.progress add column points integer not null default 0;

create function public.progress_points() returns trigger language plpgsql as $$
begin
  new.points := new.best_score / 10;
  return new;
end $$;
create trigger progress_points before insert or update of best_score on public.progress
  for each row execute function public.progress_points();
alter table public.progress enable always trigger progress_points;

-- Goals replace reminders. 1.0.0 only knows `reminder`, 2.0.0 only `goal_days`; either fills the other one, so that
-- both versions can run, and a way back to 1.0.0 finds a reminder that matches the goal.
alter table public.preferences add column goal_days integer not null default 0 check (goal_days between 0 and 7);

create function public.preferences_goal() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' and new.goal_days > 0 or tg_op = 'UPDATE' and new.goal_days <> old.goal_days then
    new.reminder := case when new.goal_days >= 5 then 'daily' when new.goal_days >= 1 then 'weekly' else 'none' end;
  elsif tg_op = 'INSERT' or new.reminder <> old.reminder then
    new.goal_days := case new.reminder when 'daily' then 7 when 'weekly' then 1 else 0 end;
  end if;
  return new;
end $$;
create trigger preferences_goal before insert or update on public.preferences
  for each row execute function public.preferences_goal();
alter table public.preferences enable always trigger preferences_goal;

-- Days in a row on which an account learnt (UTC), kept by a trigger: a score that 1.0.0 took counts as well.
create table public.streaks (
  account_id bigint primary key references public.accounts on delete cascade,
  days integer not null,
  longest integer not null,
  last_day date not null
);

create function public.streaks_count() returns trigger language plpgsql as $$
declare
  today date := (new.created_at at time zone 'UTC')::date;
begin
  insert into public.streaks as s (account_id, days, longest, last_day) values (new.account_id, 1, 1, today)
  on conflict (account_id) do update set
    days = case when s.last_day = today - 1 then s.days + 1 else 1 end,
    longest = greatest(s.longest, case when s.last_day = today - 1 then s.days + 1 else 1 end),
    last_day = today
  where s.last_day < today;
  return null;
end $$;
create trigger streaks_count after insert on public.progress_events
  for each row execute function public.streaks_count();
alter table public.progress_events enable always trigger streaks_count;

-- A replicated erasure does not fire the foreign key's cascade, and 1.0.0's schema has no streaks to delete.
create function public.streaks_erase() returns trigger language plpgsql as $$
begin
  delete from public.streaks where account_id = old.id;
  return null;
end $$;
create trigger streaks_erase after delete on public.accounts
  for each row execute function public.streaks_erase();
alter table public.accounts enable always trigger streaks_erase;
