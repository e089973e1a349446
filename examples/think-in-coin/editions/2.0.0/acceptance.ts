import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it } from 'node:test';
import { newLearner } from '../../tests/client.ts';

export const somePreferences = { currency: 'CHF', theme: 'dark', goalDays: 3 };

/** What 2.0.0 has beside, or instead of, what 1.0.0 has. */
export function editionAcceptance(): void {
  it('gives points for best scores, and counts the streak', async () => {
    const { client } = await newLearner();
    const before = (await client.get('/api/progress')).body;
    assert.deepEqual([before['points'], before['streak']], [0, { days: 0, longest: 0 }]);
    for (const [lessonId, answer] of [
      ['budget', 1],
      ['budget', 1],
      ['crypto', 0],
    ])
      await client.post('/api/progress', { lessonId, answer, key: randomUUID() });
    const after = (await client.get('/api/progress')).body;
    assert.equal(after['points'], 12);
    assert.equal((after['streak'] as { days: number }).days >= 1, true);
  });

  it('has learning goals instead of reminders', async () => {
    const { client } = await newLearner();
    const first = (await client.get('/api/preferences')).body;
    assert.deepEqual(first, { currency: 'EUR', theme: 'system', goalDays: 0 });
    const wrong = await client.patch('/api/preferences', { ...first, goalDays: 8, key: randomUUID() });
    assert.equal(wrong.status, 400);
  });
}
