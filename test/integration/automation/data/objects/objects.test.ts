import { expect } from 'chai';
import type pg from 'pg';
import { withClient } from '../../../../../automation/data/connect.ts';
import { compareObjects, keyOf, type DatabaseObject } from '../../../../../automation/data/objects/compare.ts';
import { readObjects } from '../../../../../automation/data/objects/read.ts';
import { carried } from '../../../../../automation/data/replication/schema-record.ts';
import { describeDrift, schemaDrift } from '../../../../../automation/data/replication/schema-drift.ts';
import { stopSync } from '../../../../../automation/data/replication/sync.ts';
import { copySchema } from '../../../../../automation/data/copying/schema.ts';
import { createRig, type Rig } from '../rig.ts';
import { bySuperuser, changes, everything } from './everything.ts';

describe('the catalog of a database as objects', () => {
  let rig: Rig;
  let objects: DatabaseObject[];
  const admin = <T>(side: Rig['blue'], work: (client: pg.Client) => Promise<T>) =>
    withClient(side.access, 'admin', work);
  const read = (side: Rig['blue'], settings = '') =>
    admin(side, async (client) => {
      if (settings !== '') await client.query(settings);
      return readObjects(client);
    });

  before(async () => {
    rig = await createRig();
    await rig.fresh(everything);
    for (const sql of bySuperuser) await admin(rig.blue, (client) => client.query(sql));
    objects = await read(rig.blue);
  });
  after(() => rig.dispose());

  it('has every object once, of every kind', () => {
    expect(new Set(objects.map(keyOf)).size).to.equal(objects.length);
    const kinds = new Set(objects.map(({ kind }) => kind));
    expect([...new Set(changes.map(([, kind]) => kind))].filter((kind) => !kinds.has(kind))).to.deep.equal([]);
    for (const { definition } of objects) expect(definition).to.be.a('string');
  });

  it('is the same whatever a session has set', async () => {
    const settings = `SET search_path = shop, public; SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY'; SET intervalstyle = iso_8601;
      SET quote_all_identifiers = on; SET extra_float_digits = -2; SET bytea_output = escape`;
    expect(compareObjects(objects, await read(rig.blue, settings))).to.deep.equal([]);
  });

  it('holds no secret and no row', async () => {
    await rig.run(rig.blue, `INSERT INTO shop.orders (email) VALUES ('hush-row@example.invalid')`);
    expect(JSON.stringify(await read(rig.blue))).not.to.include('hush-');
  });

  it('is the same in a copy of the schema: with other OIDs, and without dropped columns', async () => {
    await copySchema(rig.blue.access, rig.green.access);
    const place = new Set([
      'setting',
      'role',
      'membership',
      'extension',
      'function',
      'foreign data wrapper',
      'user mapping',
    ]);
    const found = compareObjects(carried(objects), carried(await read(rig.green)));
    expect(found.filter(({ kind }) => !place.has(kind))).to.deep.equal([]);
  });

  it('is the same in a physical copy, and the copy is followed [B1] [B2] [B3] [B5] [B8] [B9]', async () => {
    const link = await rig.seed();
    try {
      expect(describeDrift(await schemaDrift(link))).to.equal('');
      const copied = await read(rig.green);
      expect(copied.length).to.be.greaterThan(objects.length - 5);
    } finally {
      await stopSync(link);
    }
  }).timeout(120_000);

  for (const [sql, kind, name] of changes) {
    it(`shows ${sql}`, async () => {
      const before = await read(rig.blue);
      await admin(rig.blue, (client) => client.query(sql));
      const found = compareObjects(before, await read(rig.blue));
      expect(found.map(keyOf)).to.include(`${kind} ${name}`);
      expect(found.length).to.be.lessThan(kind === 'extension' ? 1000 : 3);
    });
  }
});
