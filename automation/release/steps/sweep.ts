import type { EnvironmentName } from '../../../infra/model.ts';
import type { ReleaseContext } from '../context/context.ts';

/** Deletes temporary resources that an interrupted run left on an environment: they cost money, and may hold a copy of the data. */
export async function sweep(
  { act, note, connect }: Pick<ReleaseContext, 'act' | 'note' | 'connect'>,
  environment: EnvironmentName,
): Promise<void> {
  const running = await connect(environment);
  if (running.sweep === undefined) return;
  const swept = await act(
    `sweep-${environment}`,
    `look for temporary resources of earlier runs on ${environment}`,
    () => running.sweep?.() ?? Promise.resolve([]),
  );
  if (swept.length > 0) note(`deleted temporary resources of an earlier run: ${swept.join(', ')}`, 'warning');
}
