import type { Colour } from '../../../../infra/model.ts';
import type { Backup } from '../../../../infra/platform/backups.ts';
import type { ReleaseContext } from '../../context/context.ts';

/** Backs up a colour's database together with the release definition and what runs; records it. */
export async function takeBackup(
  context: ReleaseContext,
  colour: Colour,
  version: string,
): Promise<{ backup: Backup; configuration: unknown }> {
  const { backups } = await context.connect();
  const configuration = {
    environment: context.spec(),
    definition: context.definition,
    live: { colour, version },
    release: context.id,
  };
  const started = performance.now();
  const backup = await context.act('backup', `back up ${context.environment} (${colour}, ${version})`, () =>
    backups.take(colour, version, configuration),
  );
  const ms = Math.round(performance.now() - started);
  const { id, bytes, lsn } = backup;
  context.journal.append({ type: 'backup.taken', id, bytes, lsn, ms });
  return { backup, configuration };
}
