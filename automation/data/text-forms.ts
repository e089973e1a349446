import type pg from 'pg';

/** Settings that make the text form of values the same in every session, and exact. */
export const textForms = {
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
};

/** Sets these forms for the transaction, and that names of objects are shown, and expected, with their schema. */
export async function useTextForms(client: pg.Client): Promise<void> {
  const forms = Object.entries({ ...textForms, search_path: 'pg_catalog' });
  await client.query(forms.map(([name, value]) => `SET LOCAL ${name} = '${value}'`).join('; '));
}
