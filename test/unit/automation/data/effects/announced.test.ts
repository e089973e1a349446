import { expect } from 'chai';
import { unannounced } from '../../../../../automation/data/effects/announced.ts';
import type { Effect } from '../../../../../automation/data/effects/effect.ts';
import { judgeMigrations } from '../../../../../automation/data/migrations/judge.ts';
import { splitStatements } from '../../../../../automation/data/migrations/statements.ts';

describe('what the files of a release have announced', () => {
  const left = async (sql: string, effects: Partial<Effect>[]) => {
    const file = { name: '2.sql', statements: await splitStatements(sql), as: 'expand' as const };
    const all = effects.map((effect) => ({ why: 'seen', instead: '', stops: false, ...effect }) as Effect);
    return unannounced(all, judgeMigrations([file]), [file], 'expand').map(({ object }) => object);
  };

  it('is a finding of the same rule about the same object', async () => {
    const sql = 'ALTER TABLE shop."Odd orders" DROP COLUMN a; UPDATE users SET b = 1';
    expect(
      await left(sql, [
        { rule: 'breaks-old-version', object: 'shop."Odd orders"' },
        { rule: 'changes-rows', object: 'public.users' },
      ]),
    ).to.deep.equal([]);
    expect(
      await left(sql, [
        { rule: 'breaks-old-version', object: 'public.users' },
        { rule: 'loosens', object: 'shop."Odd orders"' },
        { rule: 'changes-rows', object: 'public.users_archive' },
      ]),
    ).to.deep.equal(['public.users', 'shop."Odd orders"', 'public.users_archive']);
  });

  it('is not what stops, where the files name only what may be harmless, or another column', async () => {
    const gone = (column: string) => ({
      rule: 'breaks-old-version' as const,
      stops: true,
      object: 'public.users',
      why: `public.users.${column} is gone, and the old version uses it: its rows cannot be replicated any more`,
    });
    const sql = 'ALTER TABLE users DROP COLUMN a';
    expect(await left(sql, [gone('a')])).to.deep.equal([]);
    expect(await left(sql, [gone('b')])).to.deep.equal(['public.users']);
    expect(await left('ALTER TABLE users ADD CHECK (a > 0) NOT VALID', [gone('b')])).to.deep.equal(['public.users']);
    expect(await left('ALTER TABLE users ENABLE ROW LEVEL SECURITY', [gone('a')])).to.deep.equal(['public.users']);
  });

  it('is what a file of the same phase says', async () => {
    const file = {
      name: '2.sql',
      statements: await splitStatements('DROP TRIGGER touch ON orders'),
      as: 'contract' as const,
    };
    const effect: Effect = {
      rule: 'breaks-old-version',
      stops: false,
      object: 'touch on public.orders',
      why: 'seen',
      instead: '',
      unjudged: true,
    };
    expect(unannounced([effect], judgeMigrations([file]), [file], 'expand')).to.have.length(1);
    expect(unannounced([effect], judgeMigrations([file]), [file], 'incompatible')).to.have.length(1);
    expect(unannounced([effect], judgeMigrations([file]), [file], 'contract')).to.have.length(0);
  });

  it('is an object that a statement names, where there is no rule about it; a body names nothing', async () => {
    const effects = [
      { rule: 'breaks-old-version', unjudged: true, object: 'touch on public.orders' },
      { rule: 'breaks-old-version', unjudged: true, object: 'public.price(integer)' },
      { rule: 'breaks-old-version', unjudged: true, object: 'ON ROUTINE public.price(integer) TO PUBLIC' },
    ] as const;
    const sql = `CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION f();
      CREATE OR REPLACE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE EXECUTE ON FUNCTION price FROM PUBLIC`;
    expect(await left(sql, [...effects])).to.deep.equal([]);
    const setting = {
      rule: 'breaks-old-version',
      unjudged: true,
      object: 'search_path of role app in this database',
    } as const;
    expect(await left('ALTER ROLE app SET search_path = shop', [setting])).to.deep.equal([]);
    expect(await left(`DO $$ BEGIN DROP FUNCTION price; END $$`, [...effects])).to.have.length(3);
  });
});
