import type { World } from './world.ts';

/** As `structure.sql` of Rails begins: no name is found without its schema from here on. */
const header = `
  SET statement_timeout = 0;
  SET lock_timeout = 0;
  SET client_encoding = 'UTF8';
  SET standard_conforming_strings = on;
  SELECT pg_catalog.set_config('search_path', '', false);
  SET check_function_bodies = false;
  SET xmloption = content;
  SET client_min_messages = warning;
  SET row_security = off;
  CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;
  CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;
  CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;
  CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;`;

const stamps = 'created_at timestamp(6) without time zone NOT NULL, updated_at timestamp(6) without time zone NOT NULL';

/** A table as `create_table` makes it: a sequence of its own, and a default. */
const table = (name: string, columns: string, id = 'bigint'): string => `
  CREATE TABLE public.${name} (id ${id} NOT NULL, ${columns}, ${stamps});
  CREATE SEQUENCE public.${name}_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
  ALTER SEQUENCE public.${name}_id_seq OWNED BY public.${name}.id;
  ALTER TABLE ONLY public.${name} ALTER COLUMN id SET DEFAULT nextval('public.${name}_id_seq'::regclass);
  ALTER TABLE ONLY public.${name} ADD CONSTRAINT ${name}_pkey PRIMARY KEY (id);`;

const names = [
  'boards',
  'events',
  'labels',
  'members',
  'notices',
  'pages',
  'reactions',
  'releases',
  'tokens',
  'webhooks',
];

const schema = `${header}
  CREATE TYPE public.post_status AS ENUM ('draft', 'published', 'archived');
  CREATE TABLE public.ar_internal_metadata (key character varying NOT NULL, value character varying, ${stamps},
    CONSTRAINT ar_internal_metadata_pkey PRIMARY KEY (key));
  CREATE TABLE public.schema_migrations (version character varying NOT NULL, CONSTRAINT schema_migrations_pkey PRIMARY KEY (version));
  ${table(
    'users',
    `email public.citext NOT NULL, settings public.hstore DEFAULT ''::public.hstore NOT NULL, encrypted_password character varying DEFAULT '' NOT NULL,
    posts_count integer DEFAULT 0 NOT NULL, lock_version integer DEFAULT 0 NOT NULL, last_sign_in_ip inet, type character varying`,
  )}
  ${table(
    'posts',
    `user_id bigint NOT NULL, title character varying NOT NULL, body text, status public.post_status DEFAULT 'draft' NOT NULL,
    comments_count integer DEFAULT 0 NOT NULL, metadata jsonb DEFAULT '{}' NOT NULL, tags character varying[] DEFAULT '{}',
    searchable tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, (title)::text || ' ' || COALESCE(body, ''))) STORED, deleted_at timestamp(6)`,
  )}
  ${table('comments', 'commentable_type character varying NOT NULL, commentable_id bigint NOT NULL, user_id bigint, text text', 'integer')}
  ${table('active_storage_blobs', 'key character varying NOT NULL, filename character varying NOT NULL, metadata text, byte_size bigint NOT NULL, checksum character varying')}
  ${table('active_storage_attachments', 'name character varying NOT NULL, record_type character varying NOT NULL, record_id bigint NOT NULL, blob_id bigint NOT NULL')}
  CREATE TABLE public.devices (id uuid DEFAULT public.gen_random_uuid() NOT NULL PRIMARY KEY, user_id bigint NOT NULL, name character varying, ${stamps});
  -- has_and_belongs_to_many: create_join_table makes neither a key nor an index.
  CREATE TABLE public.posts_users (post_id bigint NOT NULL, user_id bigint NOT NULL);
  CREATE TABLE public.roles_users (role_id bigint NOT NULL, user_id bigint NOT NULL);
  CREATE UNIQUE INDEX index_roles_users ON public.roles_users (role_id, user_id);
  ${names.map((name) => table(name, 'post_id bigint, name character varying, data jsonb')).join('')}
  ${names.map((name) => `CREATE INDEX index_${name}_on_post_id ON public.${name} USING btree (post_id);`).join('')}
  CREATE UNIQUE INDEX index_users_on_email ON public.users USING btree (email);
  CREATE INDEX index_users_on_settings ON public.users USING gin (settings);
  CREATE INDEX index_posts_on_lower_title ON public.posts USING btree (lower((title)::text));
  CREATE INDEX index_posts_on_title_trgm ON public.posts USING gin (title public.gin_trgm_ops);
  CREATE INDEX index_posts_on_searchable ON public.posts USING gin (searchable);
  CREATE INDEX index_posts_on_user_id ON public.posts USING btree (user_id) WHERE (deleted_at IS NULL);
  CREATE INDEX index_comments_on_commentable ON public.comments USING btree (commentable_type, commentable_id);
  ALTER TABLE ONLY public.posts ADD CONSTRAINT fk_rails_1 FOREIGN KEY (user_id) REFERENCES public.users(id);
  ALTER TABLE ONLY public.comments ADD CONSTRAINT fk_rails_2 FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE SET NULL NOT VALID;
  INSERT INTO public.schema_migrations SELECT to_char('2019-01-01'::date + i, 'YYYYMMDD') || '101010' FROM generate_series(1, 400) i;
  INSERT INTO public.ar_internal_metadata VALUES ('environment', 'production', now(), now());
  INSERT INTO public.users (email, settings, encrypted_password, last_sign_in_ip, created_at, updated_at)
    SELECT 'User' || i || '@Example.invalid', public.hstore(ARRAY['theme', 'dark', 'empty', NULL]), public.crypt('x' || i, '$1$salt'), '192.0.2.7', now(), now() FROM generate_series(1, 400) i;
  INSERT INTO public.posts (user_id, title, body, status, metadata, tags, created_at, updated_at)
    SELECT 1 + i % 400, 'Post ' || i, 'It runs and runs ' || i, (enum_range(NULL::public.post_status))[1 + i % 3], jsonb_build_object('i', i),
      ARRAY['a,b', 'c"d', NULL], now(), now() FROM generate_series(1, 3000) i;
  INSERT INTO public.posts_users SELECT 1 + i % 50, 1 + i % 40 FROM generate_series(1, 600) i;
  INSERT INTO public.roles_users SELECT 1 + i % 3, i FROM generate_series(1, 300) i;`;

/** The application as ActiveRecord works with it: counter caches, optimistic locks, polymorphic rows, join tables without a key. */
export const railsWorld: World = {
  name: 'rails',
  is: 'what Rails creates: structure.sql without a search path, citext, hstore, pgcrypto, join tables without a key',

  create: ({ asOwner }) => asOwner(schema),

  migrations: {
    '20260101000001_add_bookmarks.sql': `
      CREATE TABLE bookmarks (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, post_id bigint NOT NULL REFERENCES posts,
        created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);
      ALTER TABLE posts ADD COLUMN bookmarks_count integer NOT NULL DEFAULT 0;`,
    '20260101000002_drop_webhooks.sql': 'DROP TABLE webhooks;',
  },
  contract: ['20260101000002_drop_webhooks.sql'],

  clients: 4,
  everyMs: 25,
  request({ n, random, isNew }) {
    const [author, post] = [random.whole(1, 6), random.whole(1, 5)];
    return {
      writes: {
        rows: [`comment ${n}`, `joined ${n}`],
        gone: n % 4 === 0 ? [`device ${n}`] : [],
        counters: { [`posts of ${author}`]: 1, [`comments on ${post}`]: 1, paired: 2 },
      },
      async run({ transaction }) {
        await transaction(async (client) => {
          await client.query(
            `INSERT INTO posts (user_id, title, body, created_at, updated_at) VALUES ($1, $2, 'A body', now(), now())`,
            [author, `New post ${n}`],
          );
          await client.query(
            'UPDATE users SET posts_count = COALESCE(posts_count, 0) + 1, lock_version = lock_version + 1, updated_at = now() WHERE id = $1',
            [author],
          );
        });
        await transaction(async (client) => {
          await client.query(
            `INSERT INTO comments (commentable_type, commentable_id, user_id, text, created_at, updated_at) VALUES ('Post', $1, $2, $3, now(), now())`,
            [post, author, `comment ${n}`],
          );
          await client.query('UPDATE posts SET comments_count = comments_count + 1 WHERE id = $1', [post]);
          await client.query('INSERT INTO roles_users VALUES (4, $1)', [n]);
          // The same row twice, as nothing forbids it, and an association that is taken away again.
          await client.query('INSERT INTO posts_users VALUES (9000, 9000), (9000, 9000), (9001, $1)', [n]);
          await client.query('DELETE FROM posts_users WHERE post_id = 9001 AND user_id = $1', [n]);
          if (n % 20 === 0) await client.query('UPDATE posts_users SET user_id = user_id WHERE post_id = 1');
          if (isNew)
            await client.query(
              'INSERT INTO bookmarks (user_id, post_id, created_at, updated_at) VALUES ($1, $2, now(), now())',
              [author, post],
            );
        });
        if (n % 4 !== 0) return;
        await transaction((client) =>
          client.query('INSERT INTO devices (user_id, name, created_at, updated_at) VALUES (1, $1, now(), now())', [
            `device ${n}`,
          ]),
        );
        await transaction((client) => client.query('DELETE FROM devices WHERE name = $1', [`device ${n}`]));
      },
    };
  },

  ledger: {
    rows: `SELECT text AS key FROM comments UNION ALL SELECT name FROM devices UNION ALL SELECT 'joined ' || user_id FROM roles_users WHERE role_id = 4`,
    counters: `SELECT 'posts of ' || id AS name, posts_count::text AS n FROM users WHERE id < 6
      UNION ALL SELECT 'comments on ' || id, comments_count::text FROM posts WHERE id < 5
      UNION ALL SELECT 'paired', count(*)::text FROM posts_users WHERE post_id = 9000`,
  },
  invariants: [
    {
      name: 'counter caches of authors',
      sql: `SELECT u.id FROM users u JOIN posts p ON p.user_id = u.id AND p.title LIKE 'New post%' GROUP BY u.id HAVING count(*) <> u.posts_count`,
    },
    {
      name: 'counter caches of posts',
      sql: `SELECT p.id FROM posts p JOIN comments c ON c.commentable_id = p.id GROUP BY p.id HAVING count(*) <> p.comments_count`,
    },
    { name: 'nobody is joined for good who was taken away', sql: 'SELECT 1 FROM posts_users WHERE post_id = 9001' },
  ],
};
