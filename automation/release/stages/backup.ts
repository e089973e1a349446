import { proveBackup } from '../steps/data/proven-backup.ts';
import { rehearse } from '../steps/data/rehearsal.ts';
import type { Stage } from '../context/stage.ts';

const restored = 'Backup restored and compared';

/**
 * The backup just made is restored into a scratch cluster, and there, on real data and with nothing at stake, what
 * could go wrong is tried: the restore, the migrations, the new version with writes, the old version on the new schema, the
 * contract migrations.
 */
export const backup: Stage = {
  id: 'backup',
  title: 'Backup and rehearsal on a copy',

  plan: ({ kind }) =>
    kind === 'go-live'
      ? { steps: ['nothing is live yet: the first backup is made after going live'], workMs: 0, observationMs: 0 }
      : {
          steps: ['back up the database and the configuration; check every byte against its checksum'],
          gates: {
            'backup-restore': 'Backup restored into a scratch cluster and compared with what is live',
            'migration-rehearsal': 'Migrations run there, invariants hold',
            'rehearsal-acceptance': 'Acceptance tests of the new version there, with writes',
            compatibility: 'Acceptance tests of the old version on the new schema',
            'contract-rehearsal':
              'Contract migrations run there, invariants hold, acceptance tests of the new version pass again',
          },
          workMs: 35_000,
          observationMs: 0,
        },

  async apply(context) {
    if (context.from === undefined) {
      context.note('nothing is live yet: the first backup is made after going live');
      return;
    }
    const scratch = await proveBackup(context, context.from, { id: 'backup-restore', title: restored });
    if (scratch === undefined) return;
    try {
      await rehearse(context, context.from, scratch.access);
    } finally {
      await scratch.dispose();
    }
  },

  verify: () => Promise.resolve(undefined),
  // A backup is kept, whatever becomes of the release.
  undo: () => Promise.resolve(undefined),
};
