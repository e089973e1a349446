-- Schema of 1.0.0. Personal data hangs on accounts and goes with it (on delete cascade).
create table public.accounts (
  id bigint generated always as identity primary key,
  email text not null unique check (length(email) <= 254),
  name text not null check (length(name) <= 80),
  password_hash text not null,
  created_at timestamptz not null default now()
);

-- Only the hash of a session's token is stored: who reads this table cannot take over a session.
create table public.sessions (
  token_hash bytea primary key,
  account_id bigint not null references public.accounts on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sessions_account on public.sessions (account_id);

-- One counter per account and client, per account, and per client. `email_hash` lets an erasure find them.
create table public.login_attempts (
  scope text primary key,
  email_hash text,
  attempts integer not null,
  window_started timestamptz not null default now()
);
create index login_attempts_email on public.login_attempts (email_hash);

create table public.lessons (
  id text primary key,
  position integer not null unique,
  title text not null,
  summary text not null,
  body text not null,
  question text not null,
  options text[] not null,
  correct integer not null
);

-- `attempts` is counted up with each answer: an increment that is lost, or made twice, shows against the events.
create table public.progress (
  account_id bigint not null references public.accounts on delete cascade,
  lesson_id text not null references public.lessons,
  best_score integer not null check (best_score between 0 and 100),
  attempts integer not null default 1 check (attempts > 0),
  updated_at timestamptz not null default now(),
  primary key (account_id, lesson_id)
);

-- `key` is what a client calls one write of its own. Deliberately not unique: a double must show, not be hidden.
create table public.progress_events (
  id bigint generated always as identity primary key,
  account_id bigint not null references public.accounts on delete cascade,
  lesson_id text not null references public.lessons,
  score integer not null check (score between 0 and 100),
  key text not null,
  created_at timestamptz not null default now()
);
create index progress_events_key on public.progress_events (key);
create index progress_events_account on public.progress_events (account_id, created_at);

create table public.preferences (
  account_id bigint primary key references public.accounts on delete cascade,
  currency text not null default 'EUR',
  theme text not null default 'system',
  reminder text not null default 'none' check (reminder in ('none', 'weekly', 'daily')),
  updated_at timestamptz not null default now()
);

create table public.preference_changes (
  id bigint generated always as identity primary key,
  account_id bigint not null references public.accounts on delete cascade,
  key text not null,
  created_at timestamptz not null default now()
);
create index preference_changes_key on public.preference_changes (key);
create index preference_changes_account on public.preference_changes (account_id);

-- A sequence that no column owns: questions and answers are numbered across all accounts.
create sequence public.chat_message_numbers;
create table public.chat_messages (
  id bigint primary key default nextval('public.chat_message_numbers'),
  account_id bigint not null references public.accounts on delete cascade,
  author text not null check (author in ('learner', 'coach')),
  body text not null check (length(body) <= 2000),
  key text,
  created_at timestamptz not null default now()
);
create index chat_messages_key on public.chat_messages (key);
create index chat_messages_account on public.chat_messages (account_id, id);

insert into public.lessons (id, position, title, summary, body, question, options, correct) values
  ('budget', 1, 'A budget that survives March', 'Fifty, thirty, twenty, and why the first month never fits.',
   'Write down what comes in, then what must go out: rent, food, travel, insurance. A common start is half of your income for needs, three tenths for wishes and a fifth for saving. The first month will not fit. Change the plan, not the habit of writing it down.',
   'Your income is 2,000. How much does the 50/30/20 rule put aside for saving?', array['200', '400', '600'], 1),
  ('interest', 2, 'Interest on interest', 'What compounding does to savings, and to debts.',
   'Interest that stays in the account earns interest itself. At 3 percent a year, money doubles in about 24 years: divide 72 by the rate. The same sum works against you on a credit card at 18 percent, where a debt doubles in four.',
   'About how long does money take to double at 6 percent a year?', array['6 years', '12 years', '18 years'], 1),
  ('emergency', 3, 'The rainy-day fund', 'How much to keep within reach, and where.',
   'An emergency fund pays for the broken boiler without a loan. Three months of expenses is a usual goal, kept where you can reach it within a day or two and where its value does not swing.',
   'Where does a rainy-day fund belong?', array['In shares', 'In an instant-access account', 'In a pension'], 1),
  ('inflation', 4, 'Why money shrinks', 'Inflation, and the difference between nominal and real.',
   'Inflation is the rate at which prices rise. If savings earn 2 percent and prices rise by 3, you have more euros and can buy less. What counts is the real return: roughly interest minus inflation.',
   'Savings earn 2 percent, inflation is 3 percent. What happens to what you can buy?', array['It grows', 'It stays the same', 'It shrinks'], 2),
  ('risk', 5, 'Risk and spreading it', 'One basket, many baskets, and time.',
   'A single share can lose everything; a thousand of them rarely do so together. A broad index fund spreads the risk at low cost. Time is the other half: money that you need next year should not be there at all.',
   'What does spreading over many companies lower most?', array['The fees', 'The risk of a single failure', 'The tax'], 1),
  ('crypto', 6, 'Coins without a country', 'What a cryptocurrency is, and what it is not.',
   'A cryptocurrency is a shared list of who owns what, kept by many computers. Nobody promises you its value: it is what the next buyer pays. Lose the key and the coins are gone. Put in only what you can afford to lose.',
   'Who guarantees the price of a cryptocurrency?', array['A central bank', 'The exchange', 'Nobody'], 2);
