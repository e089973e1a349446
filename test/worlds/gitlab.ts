import { Random } from './random.ts';
import type { World } from './world.ts';

const ordinaryTables = 700;
/** Months of each table that is partitioned by time; lists and hashes beside them. */
const months = 48;
const byTime = ['audit_events', 'web_hook_logs', 'security_events', 'usage_events', 'export_events'];
const byList = ['p_ci_builds', 'p_ci_stages', 'p_ci_pipelines'];
const hashes = 64;

const words = [
  'project',
  'namespace',
  'merge_request',
  'issue',
  'epic',
  'runner',
  'package',
  'vulnerability',
  'board',
  'deploy_key',
];
const kinds = [
  'settings',
  'events',
  'links',
  'states',
  'metrics',
  'tokens',
  'rules',
  'details',
  'statistics',
  'labels',
];
const nameOf = (i: number): string => `${words[i % 10]}_${kinds[Math.floor(i / 10) % 10]}_${Math.floor(i / 100)}`;

/** A table as `structure.sql` has it: limits of text as checks, JSON that is checked, timestamps, five indexes. */
function ordinary(i: number, random: Random): string {
  const name = nameOf(i);
  const parent = i < 10 ? undefined : nameOf(random.whole(0, 10));
  return `
    CREATE TABLE ${name} (id bigint NOT NULL, project_id bigint, created_at timestamp with time zone NOT NULL DEFAULT now(), updated_at timestamp with time zone NOT NULL DEFAULT now(),
      name text, state smallint DEFAULT 0 NOT NULL, payload jsonb DEFAULT '{}'::jsonb NOT NULL, lock_version integer DEFAULT 0, sha bytea, parent_id bigint,
      CONSTRAINT check_${i}a CHECK ((char_length(name) <= 255)), CONSTRAINT check_${i}b CHECK ((jsonb_typeof(payload) = 'object'::text)));
    CREATE SEQUENCE ${name}_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
    ALTER SEQUENCE ${name}_id_seq OWNED BY ${name}.id;
    ALTER TABLE ONLY ${name} ALTER COLUMN id SET DEFAULT nextval('${name}_id_seq'::regclass);
    ALTER TABLE ONLY ${name} ADD CONSTRAINT ${name}_pkey PRIMARY KEY (id);
    CREATE INDEX index_${name}_on_project_id ON ${name} USING btree (project_id);
    CREATE INDEX index_${name}_on_created_at ON ${name} USING btree (created_at, id);
    CREATE INDEX index_${name}_on_state ON ${name} USING btree (state) WHERE (state <> 0);
    CREATE INDEX index_${name}_on_name ON ${name} USING btree (lower(name));
    ${parent === undefined ? '' : `ALTER TABLE ONLY ${name} ADD CONSTRAINT fk_${i} FOREIGN KEY (parent_id) REFERENCES ${parent}(id) ON DELETE CASCADE${i % 7 === 0 ? ' NOT VALID' : ''};`}
    ${i < 100 ? `CREATE TRIGGER ${name}_loose_fk_trigger AFTER DELETE ON ${name} REFERENCING OLD TABLE AS old_table FOR EACH STATEMENT EXECUTE FUNCTION insert_into_loose_foreign_keys_deleted_records();` : ''}`;
}

/** Foreign keys over databases are rows of a table that triggers fill and a job works off. */
const loose = `
  CREATE TABLE loose_foreign_keys_deleted_records (id bigserial NOT NULL, partition bigint NOT NULL, primary_key_value bigint NOT NULL, status smallint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL, fully_qualified_table_name text NOT NULL, CONSTRAINT loose_pkey PRIMARY KEY (partition, id)) PARTITION BY LIST (partition);
  CREATE TABLE gitlab_partitions_static.loose_foreign_keys_deleted_records_1 PARTITION OF loose_foreign_keys_deleted_records FOR VALUES IN (1);
  CREATE FUNCTION insert_into_loose_foreign_keys_deleted_records() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO loose_foreign_keys_deleted_records (fully_qualified_table_name, primary_key_value, partition)
      SELECT TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, old_table.id, 1 FROM old_table;
    RETURN NULL;
  END $$;`;

const partitioned = (name: string, columns: string, key: string, by: string): string =>
  `CREATE TABLE ${name} (${columns}, PRIMARY KEY (${key})) PARTITION BY ${by}; CREATE INDEX ON ${name} (project_id);`;

const columns = "id bigserial, project_id bigint, details jsonb NOT NULL DEFAULT '{}'";
const ofTime = byTime.map((name) => {
  const parts = Array.from({ length: months }, (_, month) => {
    const from = `${2024 + Math.floor(month / 12)}-${String(1 + (month % 12)).padStart(2, '0')}-01`;
    const next = month + 1;
    const to = `${2024 + Math.floor(next / 12)}-${String(1 + (next % 12)).padStart(2, '0')}-01`;
    return `CREATE TABLE gitlab_partitions_dynamic.${name}_${from.slice(0, 7).replace('-', '')} PARTITION OF ${name} FOR VALUES FROM ('${from}') TO ('${to}');`;
  });
  return (
    partitioned(
      name,
      `${columns}, created_at timestamp with time zone NOT NULL`,
      'id, created_at',
      'RANGE (created_at)',
    ) + parts.join('\n')
  );
});
const ofList = byList.map(
  (name) =>
    partitioned(
      name,
      `${columns}, partition_id bigint NOT NULL, status text`,
      'id, partition_id',
      'LIST (partition_id)',
    ) +
    [100, 101, 102]
      .map((id) => `CREATE TABLE gitlab_partitions_dynamic.${name}_${id} PARTITION OF ${name} FOR VALUES IN (${id});`)
      .join('\n'),
);
const ofHash =
  partitioned(
    'issue_search_data',
    'project_id bigint NOT NULL, issue_id bigint NOT NULL, search_vector tsvector',
    'project_id, issue_id',
    'HASH (project_id)',
  ) +
  Array.from({ length: hashes }, (_, i) => {
    const part = `gitlab_partitions_static.issue_search_data_${String(i).padStart(2, '0')}`;
    return `CREATE TABLE ${part} PARTITION OF issue_search_data FOR VALUES WITH (modulus ${hashes}, remainder ${i});`;
  }).join('\n');

/** An id that is to become a bigint is written twice by a trigger. */
const conversion = `
  CREATE FUNCTION trigger_mirrors_id() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."id_convert_to_bigint" := NEW."id"; RETURN NEW; END $$;
  CREATE TABLE push_event_payloads (id serial NOT NULL PRIMARY KEY, id_convert_to_bigint bigint DEFAULT 0 NOT NULL, ref text, commit_count bigint NOT NULL DEFAULT 0);
  CREATE TRIGGER trigger_mirrors BEFORE INSERT OR UPDATE ON push_event_payloads FOR EACH ROW EXECUTE FUNCTION trigger_mirrors_id();`;

const views = `
  CREATE VIEW postgres_like_view AS SELECT p.id, p.name, n.name AS namespace FROM ${nameOf(0)} p LEFT JOIN ${nameOf(1)} n ON n.id = p.parent_id;
  CREATE MATERIALIZED VIEW project_counts AS SELECT state, count(*) AS n FROM ${nameOf(0)} GROUP BY state;
  CREATE UNIQUE INDEX ON project_counts (state);`;

/** In pieces: one message is one transaction, and thousands of new relations need more locks than a server has for one. */
async function inPieces(statements: readonly string[], run: (sql: string) => Promise<void>): Promise<void> {
  for (let at = 0; at < statements.length; at += 50) await run(statements.slice(at, at + 50).join('\n'));
}

/** A forge: a thousand tables and partitions in three schemas, triggers that keep foreign keys, checks on JSON. */
export const gitlabWorld: World = {
  name: 'gitlab',
  is: 'as large as GitLab: 1,000 tables and partitions in three schemas, loose foreign keys, checks, an event trigger',

  async create({ asOwner, asAdmin }) {
    const random = new Random(11);
    await asAdmin('GRANT CREATE ON DATABASE app TO owner');
    await asOwner('CREATE SCHEMA gitlab_partitions_dynamic; CREATE SCHEMA gitlab_partitions_static;');
    await asOwner(loose);
    await inPieces(
      Array.from({ length: ordinaryTables }, (_, i) => ordinary(i, random)),
      asOwner,
    );
    await inPieces(
      ofTime.flatMap((sql) => sql.split('\n')),
      asOwner,
    );
    await inPieces([...ofList, ...ofHash.split('\n')], asOwner);
    await asOwner(conversion);
    const filled = Array.from({ length: ordinaryTables }, (_, i) => i).map(
      (i) =>
        `INSERT INTO ${nameOf(i)} (name, project_id, payload, sha) SELECT 'name ' || i, i, jsonb_build_object('i', i), decode(md5(i::text), 'hex') FROM generate_series(1, ${i < 20 ? 500 : 10}) i;`,
    );
    await inPieces(filled, asOwner);
    await asOwner(
      `INSERT INTO issue_search_data SELECT i, i, to_tsvector('simple', 'issue ' || i) FROM generate_series(1, 2000) i`,
    );
    await asOwner(
      `INSERT INTO audit_events (project_id, created_at) SELECT i, '2024-01-02'::timestamptz + i * interval '8 hours' FROM generate_series(1, 3000) i`,
    );
    await asOwner(views);
    await asAdmin(`
      CREATE FUNCTION public.note_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'ddl: %', tg_tag; END $$;
      ALTER FUNCTION public.note_ddl() OWNER TO owner;
      CREATE EVENT TRIGGER note_ddl ON ddl_command_end EXECUTE FUNCTION public.note_ddl();`);
  },

  migrations: {
    '20260101000001_add_widgets.sql': `
      CREATE TABLE work_item_widgets (id bigserial PRIMARY KEY, project_id bigint NOT NULL, name text NOT NULL, CONSTRAINT check_name CHECK (char_length(name) <= 255));
      ALTER TABLE ${nameOf(0)} ADD COLUMN widget_id bigint;`,
    '20260101000002_drop_sha.sql': `ALTER TABLE ${nameOf(3)} DROP COLUMN sha;`,
  },
  contract: ['20260101000002_drop_sha.sql'],

  clients: 4,
  everyMs: 25,
  request({ n, random, isNew }) {
    const hot = random.whole(1, 5);
    const [project, issue] = [nameOf(0), nameOf(3)];
    return {
      writes: {
        rows: [`issue ${n}`, `audit ${n}`],
        gone: [`link ${n}`],
        counters: { [`project ${hot}`]: 1, deleted: 1 },
      },
      async run({ transaction }) {
        await transaction(async (client) => {
          await client.query(
            `INSERT INTO ${issue} (name, parent_id, payload) VALUES ($1, NULL, jsonb_build_object('n', $2::int))`,
            [`issue ${n}`, n],
          );
          await client.query(
            `UPDATE ${project} SET lock_version = lock_version + 1, updated_at = now() WHERE id = $1`,
            [hot],
          );
          await client.query(
            `INSERT INTO audit_events (project_id, created_at, details) VALUES ($1, '2025-06-15', jsonb_build_object('n', $2::text))`,
            [hot, `audit ${n}`],
          );
          await client.query(`INSERT INTO p_ci_builds (project_id, partition_id, status) VALUES ($1, 101, 'created')`, [
            n,
          ]);
          await client.query(`INSERT INTO issue_search_data VALUES ($1, $1, to_tsvector('simple', 'of the load'))`, [
            100_000 + n,
          ]);
          await client.query(`INSERT INTO push_event_payloads (ref) VALUES ('refs/heads/main')`);
          await client.query(`INSERT INTO ${nameOf(20)} (name) VALUES ($1)`, [`link ${n}`]);
          if (isNew)
            await client.query(`INSERT INTO work_item_widgets (project_id, name) VALUES ($1, 'widget')`, [hot]);
        });
        await transaction(async (client) => {
          await client.query(
            `UPDATE p_ci_builds SET status = 'success', details = '{"done": true}' WHERE project_id = $1 AND partition_id = 101`,
            [n],
          );
          await client.query(`DELETE FROM ${nameOf(20)} WHERE name = $1`, [`link ${n}`]);
        });
      },
    };
  },

  ledger: {
    rows: `SELECT name AS key FROM ${nameOf(3)} WHERE name LIKE 'issue %' UNION ALL SELECT details->>'n' FROM audit_events WHERE details ? 'n'
      UNION ALL SELECT name FROM ${nameOf(20)} WHERE name LIKE 'link %'`,
    counters: `SELECT 'project ' || id AS name, lock_version::text AS n FROM ${nameOf(0)} WHERE id < 5
      UNION ALL SELECT 'deleted', count(*)::text FROM loose_foreign_keys_deleted_records`,
  },
  invariants: [
    {
      name: 'every build of the load is done',
      sql: `SELECT id FROM p_ci_builds WHERE status <> 'success' OR details <> '{"done": true}'`,
    },
    { name: 'ids are mirrored', sql: 'SELECT id FROM push_event_payloads WHERE id <> id_convert_to_bigint' },
  ],
};
