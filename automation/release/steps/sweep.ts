import type { EnvironmentName } from '../../../infra/model.ts';
import type { ReleaseContext } from '../context/context.ts';

/** Deletes what an interrupted run left on an environment: it costs money, and may hold a copy of the data. */
export async function sweep(
  { act, note, connect }: Pick<ReleaseContext, 'act' | 'note' | 'connect'>,
  environment: EnvironmentName,
): Promise<void> {
  const running = await connect(environment);
  if (running.sweep === undefined) return;
  const swept = await act(
    `sweep-${environment}`,
    `look for what earlier runs left on ${environment}`,
    () => running.sweep?.() ?? Promise.resolve([]),
  );
  if (swept.length > 0) note(`an earlier run had left, and it is deleted: ${swept.join(', ')}`, 'warning');
}
