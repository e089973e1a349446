import { expect } from 'chai';
import { apartFindings } from '../../../../../automation/data/apart/check.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import { createRig, schemaV1, type Rig } from '../rig.ts';
import { apartSchema } from './readers.ts';

describe('what keeps a table from being written apart', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const found = async (schema: string, ...tables: string[]): Promise<string[]> => {
    await rig.fresh(schemaV1 + schema);
    const rules = tables.map((table) => ({ table, keep: 'drop' as const }));
    const all = await withClient(rig.blue.access, 'admin', (client) => apartFindings(client, rules));
    return all.map(({ severity, found: text }) => `${severity}: ${text}`);
  };

  it('nothing, for tables with a key', async () => {
    expect(await found(apartSchema, 'Sessions', 'public.visits')).to.deep.equal([]);
  });

  it('is named, each with its cure', async () => {
    const schema = `
      CREATE TABLE keyless (a int);
      CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
      CREATE TABLE parents (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED UNIQUE);
      CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE);
      CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END';
      CREATE FUNCTION itself() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER far BEFORE INSERT ON children FOR EACH ROW EXECUTE FUNCTION elsewhere();
      CREATE TRIGGER near BEFORE INSERT ON children FOR EACH ROW EXECUTE FUNCTION itself();
      CREATE SCHEMA crm; CREATE TABLE crm.children (id int PRIMARY KEY);`;
    expect(
      await found(schema, 'nowhere', 'children', 'keyless', 'unlogged', 'parents', 'public.children'),
    ).to.deep.equal([
      'error: data.apart: there is no table nowhere',
      'error: data.apart: 2 tables are called children: crm.children, public.children',
      'error: data.apart: public.keyless has no primary key',
      'error: data.apart: public.unlogged is unlogged, so it is not replicated',
      'error: data.apart: public.parents has a unique index over a generated column, which no trigger sees (parents_twice_key)',
      'error: data.apart: public.children has a trigger that writes with the rights of somebody else (far)',
      'warning: data.apart: public.children has triggers: what they write elsewhere fails on the inactive colour (near)',
    ]);
    expect(await found(schema, 'parents')).to.include(
      'error: data.apart: public.parents is referred to with an action on DELETE or UPDATE, which would change a table that is not apart (public.children)',
    );
  });
});
