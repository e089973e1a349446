import { expect } from 'chai';
import { isAmong } from '../../../../automation/data/own-records.ts';

describe('the tables in which a migration command keeps its record', () => {
  it('are meant by a name with or without schema, and with or without the quotes of SQL', () => {
    const of = (table: string, wanted: string): boolean => isAmong(table, [wanted]);
    expect(of('public.alembic_version', 'alembic_version')).to.equal(true);
    expect(of('public.alembic_version', 'public.alembic_version')).to.equal(true);
    expect(of('public.old_alembic_version', 'alembic_version')).to.equal(false);
    expect(of('public."__EFMigrationsHistory"', '__EFMigrationsHistory')).to.equal(true);
    expect(of('"Shop"."SequelizeMeta"', 'Shop.SequelizeMeta')).to.equal(true);
    expect(of('public.SequelizeMeta', 'public."SequelizeMeta"')).to.equal(true);
  });
});
