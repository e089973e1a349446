import { expect } from 'chai';
import { withClient } from '../../../../../automation/data/connect.ts';
import { copyDatabase } from '../../../../../automation/data/copying/schema.ts';
import type { MaskRule } from '../../../../../automation/data/masking/rules.ts';
import { readObjects } from '../../../../../automation/data/objects/read.ts';
import { createRig, type Rig } from '../rig.ts';
import { whyNotMasked } from './why-not-masked.ts';

describe('what production knows of other servers', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  beforeEach(async () => {
    await rig.fresh(`CREATE TABLE people (email text); INSERT INTO people VALUES ('anna@corp.example')`);
    await admin(`CREATE EXTENSION postgres_fdw; CREATE SERVER shop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'shop.internal', dbname 'shop');
      CREATE USER MAPPING FOR owner SERVER shop OPTIONS (user 'reader', password 'hush-1'); CREATE USER MAPPING FOR PUBLIC SERVER shop OPTIONS (password 'hush-2');
      CREATE FOREIGN DATA WRAPPER other OPTIONS (token 'hush-3'); CREATE SERVER bank FOREIGN DATA WRAPPER other OPTIONS ("api_KEY" 'hush=4', region 'eu', url 'https://u:hush-5@bank');
      CREATE FOREIGN TABLE far (id int) SERVER bank OPTIONS (dsn 'host=x;pwd=hush-6', sheet 'one')`);
  });
  after(() => rig.dispose());

  const admin = (sql: string) => withClient(rig.blue.access, 'admin', async (client) => void (await client.query(sql)));
  const known = (side: Rig['blue']): Promise<string> =>
    withClient(side.access, 'admin', async (client) => {
      const { rows } = await client.query(
        `SELECT srvname AS name, umoptions AS options FROM pg_user_mappings UNION ALL SELECT srvname, srvoptions FROM pg_foreign_server
         UNION ALL SELECT fdwname, fdwoptions FROM pg_foreign_data_wrapper UNION ALL SELECT ftrelid::regclass::text, ftoptions FROM pg_foreign_table`,
      );
      return JSON.stringify(rows);
    });

  const email: MaskRule = { table: 'people', column: 'email', with: 'email' };
  for (const rules of [[], [email]])
    it(`does not go along with a masked copy: passwords, keys and tokens, with ${rules.length} rules`, async () => {
      expect(await known(rig.blue)).to.include('hush');
      expect(await whyNotMasked(rig, rules)).to.equal('');
      await copyDatabase(rig.blue.access, rig.green.access);
      const copied = await known(rig.green);
      expect(copied).not.to.match(/hush|reader/);
      expect(copied).to.include('host=shop.internal').and.to.include('region=eu').and.to.include('sheet=one');
    });

  it('is compared without a secret being shown, and a changed one is still a difference', async () => {
    const read = () =>
      withClient(rig.blue.access, 'admin', async (client) => JSON.stringify(await readObjects(client)));
    const first = await read();
    expect(first).to.include('host=shop.internal').and.not.to.include('hush');
    await admin(`ALTER SERVER bank OPTIONS (SET "api_KEY" 'another')`);
    expect(await read()).not.to.equal(first);
  });
});
