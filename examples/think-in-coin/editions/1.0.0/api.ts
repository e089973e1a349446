import { currencies, themes, type ApiEdition } from '../../api/edition.ts';
import { choice, given } from '../../api/input.ts';

export const edition: ApiEdition = {
  progressDetails: () => Promise.resolve({}),

  async readPreferences(db, accountId) {
    const { rows } = await db.query<Record<string, unknown>>(
      'select currency, theme, reminder from public.preferences where account_id = $1',
      [accountId],
    );
    return rows[0] ?? {};
  },

  async savePreferences(db, accountId, body) {
    await db.query(
      `update public.preferences set currency = coalesce($2, currency), theme = coalesce($3, theme),
         reminder = coalesce($4, reminder), updated_at = now()
       where account_id = $1`,
      [
        accountId,
        given(body, 'currency', (name) => choice(body, name, currencies)),
        given(body, 'theme', (name) => choice(body, name, themes)),
        given(body, 'reminder', (name) => choice(body, name, ['none', 'weekly', 'daily'])),
      ],
    );
  },
};
