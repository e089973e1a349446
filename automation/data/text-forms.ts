import type pg from 'pg';

/**
 * Every setting that the text form of a value depends on, whatever database or role have set. All sessions that compare or copy
 * values take them from here.
 */
export const textForms = {
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmlbinary: 'base64',
  array_nulls: 'on',
  quote_all_identifiers: 'off',
};

/** Sets these forms for the transaction, and that names of objects are shown, and expected, with their schema. */
export async function useTextForms(client: pg.Client): Promise<void> {
  const forms = Object.entries({ ...textForms, search_path: 'pg_catalog' });
  await client.query(forms.map(([name, value]) => `SET LOCAL ${name} = '${value}'`).join('; '));
}
