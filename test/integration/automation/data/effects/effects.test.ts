import { expect } from 'chai';
import { judgeEffects } from '../../../../../automation/data/effects/judge.ts';
import { withLocksSeen } from '../../../../../automation/data/effects/locks.ts';
import { lookAt, type Look } from '../../../../../automation/data/effects/look.ts';
import { createRig, type Rig } from '../rig.ts';
import { cases, odd, schema } from './cases.ts';

describe('what a migration does, seen on a copy', () => {
  let rig: Rig;
  let before: Look;
  beforeEach(async function () {
    rig ??= await createRig();
    await rig.fresh(`${schema}; CREATE TABLE badges_of (id int PRIMARY KEY)`);
    before = await lookAt(rig.blue.access);
  });
  after(() => rig.dispose());

  const told = (found: Awaited<ReturnType<typeof judgeEffects>>): string[] =>
    [...new Set(found.map(({ stops, rule, object }) => `${stops ? '!' : ''}${rule} ${object}`))].sort();

  it('sees who locks what, and for how long at least', async () => {
    const { locks } = await withLocksSeen(rig.blue.access, () =>
      rig.run(
        rig.blue,
        'BEGIN; ALTER TABLE counters ADD x int; CREATE INDEX ON accounts (mood); SELECT pg_sleep(1.5); COMMIT',
      ),
    );
    expect(locks.map(({ table, mode }) => `${mode} ${table}`)).to.have.members([
      'AccessExclusiveLock public.counters',
      'ShareLock public.accounts',
    ]);
    const effects = await judgeEffects({ before, after: await lookAt(rig.blue.access, before), locks }, 'contract');
    expect(told(effects)).to.deep.equal(['long-lock public.accounts', 'long-lock public.counters']);
  });

  it('says how many rows are changed, and which columns', async () => {
    await rig.run(
      rig.blue,
      `UPDATE ${odd} SET note = 'other', n = n + 1 WHERE id <= 3; INSERT INTO counters VALUES (9)`,
    );
    const effects = await judgeEffects({ before, after: await lookAt(rig.blue.access, before), locks: [] }, 'expand');
    expect(effects.map(({ why }) => why.split(':')[0])).to.have.members([
      `3 rows of ${odd} are new or changed, and 3 rows of before are changed or gone (note, n)`,
      '1 row of public.counters is new or changed, and 0 rows of before are changed or gone',
    ]);
  });

  for (const [what, sql, found] of cases)
    it(`is found: ${what}`, async () => {
      await rig.run(rig.blue, sql);
      const effects = await judgeEffects({ before, after: await lookAt(rig.blue.access, before), locks: [] }, 'expand');
      expect(told(effects), JSON.stringify(effects, undefined, 1)).to.deep.equal([...found].sort());
    });
});
