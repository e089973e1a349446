import { Random } from './random.ts';
import type { World } from './world.ts';

const modules = ['res', 'sale', 'stock', 'account', 'crm', 'hr', 'mail', 'project', 'mrp', 'website'];
const things = [
  'partner',
  'order',
  'order_line',
  'move',
  'move_line',
  'template',
  'category',
  'tag',
  'stage',
  'type',
  'journal',
  'tax',
  'team',
  'activity',
  'message',
  'rule',
  'route',
  'location',
  'product',
];

interface Model {
  name: string;
  links: string[];
}

/** 190 models, which refer to each other as an ERP's do. */
function models(): Model[] {
  const random = new Random(7);
  const names = modules.flatMap((module) => things.map((thing) => `${module}_${thing}`));
  return names.map((name, at) => ({
    name,
    links: Array.from({ length: at === 0 ? 0 : random.whole(1, 4) }, () => names[random.whole(0, at)] ?? 'res_partner'),
  }));
}

/** A table as the ORM makes it: who and when without a zone, names as one JSON for all languages, an index per link. */
function tableOf({ name, links }: Model): string {
  const columns = links.map((link, i) => `, ${link}_id_${i} integer REFERENCES ${link} ON DELETE SET NULL`).join('');
  const indexes = links.map((link, i) => `CREATE INDEX ON ${name} (${link}_id_${i});`).join(' ');
  return `
    CREATE TABLE ${name} (id SERIAL NOT NULL PRIMARY KEY, create_uid integer, create_date timestamp without time zone, write_uid integer,
      write_date timestamp without time zone, name jsonb, code varchar, active boolean, sequence integer, amount_total numeric, x_properties jsonb${columns});
    COMMENT ON TABLE ${name} IS 'Model ${name.replaceAll('_', '.')}';
    CREATE INDEX ${name}__code_index ON ${name} (code);
    CREATE INDEX ${name}__sequence_index ON ${name} (sequence) WHERE sequence IS NOT NULL;
    CREATE INDEX ${name}__write_date_index ON ${name} (write_date, id);
    CREATE INDEX ${name}__name_index ON ${name} ((name->>'en_US'));
    CREATE INDEX ${name}__properties_index ON ${name} USING gin (x_properties);
    ${indexes}`;
}

/** A many-to-many table as it was made for years: two columns, a unique pair, an index each, and no primary key. */
const relation = (a: string, b: string): string => `
  CREATE TABLE ${a}_${b}_rel (a_id integer NOT NULL REFERENCES ${a} ON DELETE CASCADE, b_id integer NOT NULL REFERENCES ${b} ON DELETE CASCADE, UNIQUE (a_id, b_id));
  CREATE INDEX ON ${a}_${b}_rel (a_id); CREATE INDEX ON ${a}_${b}_rel (b_id);`;

const all = models();
const pairs = all
  .slice(0, 120)
  .map(({ name }, at) => [name, all[(at * 31 + 17) % all.length]?.name ?? 'res_partner'] as const);

/** A table without a key in which the load joins rows. */
const tagged = pairs.filter(([a]) => a === 'sale_order').map(([a, b]) => `${a}_${b}_rel`)[0] ?? '';

/** Documents are numbered by real sequences that the application makes when somebody adds a journal. */
const numbering = `
  CREATE TABLE ir_sequence (id SERIAL NOT NULL PRIMARY KEY, code varchar, name jsonb, implementation varchar NOT NULL, prefix varchar, number_next integer, write_date timestamp);
  INSERT INTO ir_sequence (code, name, implementation, prefix, number_next)
    SELECT 'journal.' || i, jsonb_build_object('en_US', 'Journal ' || i, 'ne_NP', 'जर्नल ' || i), CASE WHEN i % 2 = 0 THEN 'standard' ELSE 'no_gap' END, 'INV/', 1 FROM generate_series(1, 40) i;
  DO $$ DECLARE s record; BEGIN
    FOR s IN SELECT * FROM ir_sequence WHERE implementation = 'standard' LOOP
      EXECUTE format('CREATE SEQUENCE ir_sequence_%s INCREMENT BY %s START WITH %s', lpad(s.id::text, 3, '0'), 1 + s.id % 3, 1 + s.id);
    END LOOP;
  END $$;`;

const rows = (name: string, count: number): string =>
  `INSERT INTO ${name} (create_uid, create_date, write_uid, write_date, name, code, active, sequence, amount_total, x_properties)
   SELECT 1, now(), 1, now(), jsonb_build_object('en_US', 'Name ' || i, 'fr_FR', 'Nom é ' || i), 'C' || i, i % 9 <> 0, i % 50, 0, jsonb_build_object('p', i % 5)
   FROM generate_series(1, ${count}) i;`;

/** An ERP: hundreds of tables, repeatable reads that are tried again, numbers without gaps, channels and locks by number. */
export const odooWorld: World = {
  name: 'odoo',
  is: 'an ERP like Odoo: 310 tables, 1,800 indexes, join tables without a key, sequences made by the application',

  async create({ asOwner }) {
    await asOwner(all.map(tableOf).join('\n'));
    await asOwner(pairs.map(([a, b]) => relation(a, b)).join('\n'));
    await asOwner(numbering);
    await asOwner(all.map(({ name }, at) => rows(name, at < 19 ? 300 : 20)).join('\n'));
    await asOwner(
      pairs.map(([a, b]) => `INSERT INTO ${a}_${b}_rel SELECT i, 1 + i % 20 FROM generate_series(1, 20) i;`).join('\n'),
    );
    await asOwner(
      `CREATE VIEW sale_report AS SELECT o.id, p.name->>'en_US' AS partner, o.amount_total FROM sale_order o JOIN res_partner p ON p.id = o.create_uid`,
    );
  },

  migrations: {
    '001_loyalty.sql': `
      CREATE TABLE loyalty_card (id SERIAL NOT NULL PRIMARY KEY, partner_id integer REFERENCES res_partner, points numeric, write_date timestamp);
      ALTER TABLE res_partner ADD COLUMN loyalty_points numeric;`,
    '002_unused.sql': 'ALTER TABLE res_partner DROP COLUMN x_properties;',
  },
  contract: ['002_unused.sql'],

  clients: 4,
  everyMs: 25,
  request({ n, random, isNew }) {
    const journal = 2 * random.whole(1, 20);
    const gapless = 2 * random.whole(1, 4) - 1;
    const begin = n % 3 === 0 ? 'BEGIN ISOLATION LEVEL SERIALIZABLE' : 'BEGIN ISOLATION LEVEL REPEATABLE READ';
    return {
      writes: { rows: [`order ${n}`, `tagged ${n}`], counters: { [`gapless ${gapless}`]: 1 } },
      run: ({ transaction }) =>
        transaction(async (client) => {
          await client.query('SELECT pg_advisory_xact_lock($1)', [random.whole(1, 20)]);
          await client.query('UPDATE ir_sequence SET number_next = number_next + 1, write_date = now() WHERE id = $1', [
            gapless,
          ]);
          const made = await client.query<{ id: number }>(
            `INSERT INTO sale_order (create_uid, create_date, write_date, name, code, amount_total, sequence)
             VALUES (1, now(), now(), jsonb_build_object('en_US', $1::text), $1, 1, nextval($2::regclass)) RETURNING id`,
            [`order ${n}`, `ir_sequence_${String(journal).padStart(3, '0')}`],
          );
          const id = made.rows[0]?.id;
          await client.query(
            'INSERT INTO sale_order_line (code, name, write_date, amount_total) VALUES ($1, $2, now(), 1)',
            [`line of ${n}`, '{"en_US": "line"}'],
          );
          await client.query(
            `UPDATE res_partner SET amount_total = amount_total + 1, name = jsonb_set(name, '{de_DE}', '"x"') WHERE id = $1`,
            [random.whole(1, 300)],
          );
          await client.query(`INSERT INTO ${tagged} VALUES ($1, 1)`, [id]);
          await client.query('INSERT INTO res_partner (code, amount_total, write_date) VALUES ($1, 0, now())', [
            `tagged ${n}`,
          ]);
          await client.query(`NOTIFY imbus, '{"order": ${n}}'`);
          if (isNew)
            await client.query('INSERT INTO loyalty_card (partner_id, points, write_date) VALUES (1, 1, now())');
        }, begin),
    };
  },

  ledger: {
    rows: `SELECT code AS key FROM sale_order WHERE code LIKE 'order %' UNION ALL SELECT code FROM res_partner WHERE code LIKE 'tagged %'`,
    counters: `SELECT 'gapless ' || id AS name, number_next::text AS n FROM ir_sequence WHERE implementation = 'no_gap'`,
  },
  invariants: [
    {
      name: 'each order has its line',
      sql: `SELECT o.id FROM sale_order o WHERE o.code LIKE 'order %' AND NOT EXISTS (SELECT FROM sale_order_line l WHERE l.code = 'line of ' || substr(o.code, 7))`,
    },
    {
      name: 'each order is linked',
      sql: `SELECT o.id FROM sale_order o WHERE o.code LIKE 'order %' AND NOT EXISTS (SELECT FROM ${tagged} r WHERE r.a_id = o.id)`,
    },
  ],
};
