-- Backfill for 2.0.0, in a transaction of its own so that no table lock of 002 is held meanwhile. Touches only rows
-- that need it: running it twice changes nothing the second time.
update public.progress set points = best_score / 10 where points <> best_score / 10;

update public.preferences
set goal_days = case reminder when 'daily' then 7 else 1 end
where goal_days = 0 and reminder <> 'none';

-- Islands of consecutive days: a day minus its rank is the same for all days of one run.
insert into public.streaks as s (account_id, days, longest, last_day)
select account_id, (array_agg(days order by last_day desc))[1], max(days), max(last_day)
from (
  select account_id, count(*)::integer as days, max(day) as last_day
  from (
    select account_id, day, day - (row_number() over (partition by account_id order by day))::integer as run
    from (select distinct account_id, (created_at at time zone 'UTC')::date as day from public.progress_events) d
  ) ranked
  group by account_id, run
) runs
group by account_id
on conflict (account_id) do update set
  days = excluded.days, longest = greatest(s.longest, excluded.longest), last_day = excluded.last_day
where excluded.last_day >= s.last_day;
