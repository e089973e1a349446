import { checkRelease } from '../../../../automation/config/load.ts';
import type { ReleaseDefinitionInput } from '../../../../automation/config/schema.ts';
import type { ReleaseSettings } from '../../../../automation/release/context/context.ts';
import type { Replacement } from '../../../../automation/release/context/release.ts';
import type { Engine } from '../../../../automation/stacks/engine.ts';
import type { Artefact } from '../../../../infra/model.ts';
import type { Environment } from '../../../../infra/platform/environment.ts';
import type { Platform } from '../../../../infra/platform/platform.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';

/** What differs from `validDefinition`: whole sections, but single keys of `application` and of `data`. */
type Changes = Partial<Omit<ReleaseDefinitionInput, 'application' | 'data'>> & {
  /** The schema says whether `migrations` has one of its forms. */
  application?: Partial<Omit<ReleaseDefinitionInput['application'], 'migrations'>> & { migrations?: object };
  data?: ReleaseDefinitionInput['data'];
};

/** What a test plays of `T`: only what its stages use. */
type Played<T> = Partial<Record<keyof T, unknown>>;

interface Overrides
  extends
    Pick<ReleaseSettings, 'directory' | 'journal'>,
    Partial<Pick<ReleaseSettings, 'ask' | 'approved' | 'signal' | 'waiting'>> {
  kind?: Replacement['kind'];
  definition?: Changes;
  /** The build of the live version. */
  old?: Artefact;
  /** What the platform connects to. */
  environment?: Played<Environment>;
  platform?: Partial<Replacement['platform']> & Played<Platform>;
  engine?: Played<Engine>;
}

export const oldArtefact: Artefact = { version: '1.0.0', digest: 'sha256:1', location: '' };

/** The settings of a release `r` of 2.0.0 on green, where 1.0.0 is live on blue. Nobody is asked, and the engine has nothing to change. */
export function releaseSettings({
  definition,
  old = oldArtefact,
  environment,
  platform,
  engine,
  ...given
}: Overrides): ReleaseSettings & Replacement {
  const connected = { close: () => Promise.resolve(), ...environment };
  return {
    id: 'r',
    kind: 'release',
    environment: 'production',
    definition: definitionWith(definition),
    engine: engine ?? {
      up: () => Promise.resolve({ changes: {}, ms: 1, orphans: [] }),
      refresh: () => Promise.resolve([]),
    },
    platform: { connect: () => Promise.resolve(connected), settlesMs: 0, idleColour: 'taken down', ...platform },
    from: { colour: 'blue', version: old.version, artefact: old },
    to: { colour: 'green', version: '2.0.0' },
    signal: new AbortController().signal,
    waiting: () => undefined,
    ...given,
  } as unknown as ReleaseSettings & Replacement;
}

function definitionWith({ application, data, ...sections }: Changes = {}) {
  const valid = validDefinition();
  const changed = {
    ...valid,
    ...sections,
    application: { ...valid.application, ...application },
    data: { ...valid.data, ...data },
  };
  return checkRelease('shop.config.ts', changed, () => []);
}
