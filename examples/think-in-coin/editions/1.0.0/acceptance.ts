import assert from 'node:assert/strict';
import { it } from 'node:test';
import { newLearner } from '../../tests/client.ts';

export const somePreferences = { currency: 'CHF', theme: 'dark', reminder: 'weekly' };

/** What only 1.0.0 has. */
export function editionAcceptance(): void {
  it('has reminders, off at first', async () => {
    const { client } = await newLearner();
    assert.equal((await client.get('/api/preferences')).body['reminder'], 'none');
  });
}
