import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withClient } from '../../../../../automation/data/connect.ts';
import { readOnlyWindow } from '../../../../../automation/data/cutover/window.ts';
import { unmark } from '../../../../../automation/data/written-by.ts';
import { changesBy } from '../../../../../automation/data/effects/changes.ts';
import { startSync, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import type { JournalEntry, WindowRehearsed } from '../../../../../automation/journal/events.ts';
import { journalFile, openJournal, readJournal, type Journal } from '../../../../../automation/journal/journal.ts';
import type { PastRelease } from '../../../../../automation/journal/history.ts';
import type { ReleaseSettings } from '../../../../../automation/release/context/context.ts';
import type { Replacement } from '../../../../../automation/release/context/release.ts';
import type { Session } from '../../../../../automation/release/start.ts';
import { messageOf } from '../../../../../infra/lib/errors.ts';
import type { Colour, StackKind } from '../../../../../infra/model.ts';
import type { Job } from '../../../../../infra/platform/jobs.ts';
import { createRig, expand, value, type Rig } from '../../data/rig.ts';
import { MemoryRouter } from '../../data/traffic.ts';
import { oldArtefact, releaseSettings } from '../settings.ts';

export const schema = `CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL); INSERT INTO people VALUES (1, 'Ada'), (2, 'Grace');
  CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes VALUES (1, 'one')`;
export const rename = 'ALTER TABLE people RENAME COLUMN name TO full_name';
const file = '006_one_name.sql';
const junit = (good: boolean): string =>
  `<testsuite tests="1"><testcase name="one">${good ? '' : '<failure message="no"/>'}</testcase></testsuite>`;

/**
 * Blue live with 1.0.0, green following, and a release of 2.0.0 whose migration renames a column, up to its cutover. Databases and
 * migrations are real; engine, balancer and tests are played.
 */
export class WindowedRelease {
  rig!: Rig;
  router!: MemoryRouter;
  directory!: string;
  journal!: Journal;
  /** What the engine was asked to apply: `green 2.0.0`. */
  applied: string[] = [];
  smoke = true;
  /** Called when the new version is started. */
  onStart: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  ask: ReleaseSettings['ask'];
  invariants: { name: string; sql: string }[] = [];
  longestSeconds = 60;
  approved = true;
  kind: 'release' | 'rehearsal' = 'release';
  #rehearsed: { changes: Pick<WindowRehearsed, 'postgres' | 'changes' | 'counts'> } | undefined;

  async begin(): Promise<void> {
    this.rig ??= await createRig();
    Object.assign(this, { applied: [], smoke: true, ask: undefined, invariants: [], longestSeconds: 60 });
    this.onStart = () => Promise.resolve();
    this.kind = 'release';
    this.approved = true;
    const { rig } = this;
    // What the one before made live there.
    await withClient(rig.green.access, 'admin', unmark);
    if (this.#rehearsed === undefined) {
      await rig.fresh(schema);
      await expand(rig, '');
      this.#rehearsed = { changes: await changesBy(rig.green.access, () => rig.run(rig.green, rename)) };
    }
    await rig.fresh(schema);
    await expand(rig, 'CREATE TABLE badges (id int PRIMARY KEY)');
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
    this.router = new MemoryRouter();
    this.directory = mkdtempSync(join(tmpdir(), 'greenlight-window-'));
    mkdirSync(join(this.directory, '2.0.0', 'migrations'), { recursive: true });
    writeFileSync(join(this.directory, '2.0.0', 'migrations', '001_first.sql'), 'SELECT 1');
    writeFileSync(join(this.directory, '2.0.0', 'migrations', file), rename);
    this.journal = openJournal(this.directory);
    this.#recordBeginning();
  }

  end(): void {
    this.journal.close();
    rmSync(this.directory, { recursive: true });
  }

  #recordBeginning(): void {
    const { journal } = this;
    journal.append({
      type: 'release.started',
      release: 'r',
      kind: 'release',
      application: 'shop',
      environment: 'production',
      platform: 'local',
      from: { colour: 'blue', version: '1.0.0' },
      to: { colour: 'green', version: '2.0.0' },
      readOnlyWindow: { longestMs: this.longestSeconds * 1000 },
      source: { commit: '', branch: '', dirty: false },
      stages: [],
      settings: {},
    });
    const artefact = { version: '2.0.0', digest: 'sha256:2', location: join(this.directory, '2.0.0') };
    journal.append({ type: 'artefact.built', artefact, ms: 1, files: 1, bytes: 1 });
    journal.append({
      type: 'window.rehearsed',
      ms: 100,
      startMs: 100,
      expectedMs: 12_000,
      ...this.#rehearsed!.changes,
    });
    journal.append({ type: 'approval.given', by: 'ada', how: 'terminal' });
  }

  get settings(): ReleaseSettings & Replacement {
    const { rig, router, directory, journal } = this;
    return releaseSettings({
      kind: this.kind,
      directory,
      journal,
      definition: {
        application: {
          migrations: {
            directory: 'migrations',
            incompatible: { files: [file], readOnlyWindow: { longestSeconds: this.longestSeconds } },
          },
        },
        // Only what the stages do themselves: no marked traffic.
        synthetic: { script: 'package.json', requestsPerSecond: 0 },
        canary: { steps: [] },
        data: { invariants: this.invariants },
      },
      engine: this.#engine(),
      environment: {
        router,
        databases: { of: (colour: Colour) => Promise.resolve(rig[colour].access) },
        provide: () => Promise.resolve(),
        metrics: { delayMs: 0, periodMs: 0, window: () => Promise.reject(new Error('nobody counts')) },
        jobs: {
          run: async ({ results, log }: Job) => {
            await writeFile(results ?? log, junit(this.smoke));
            return { exitCode: this.smoke ? 0 : 1, timedOut: false, ms: 1, tail: '' };
          },
        },
      },
      platform: {
        name: 'local',
        artefacts: { find: () => Promise.resolve(undefined) },
        heldWrites: 'wait',
        initialCopy: 'logical',
      },
      ask: this.ask,
      approved: this.approved,
    });
  }

  #engine() {
    return {
      up: async (request: { kind: StackKind; colour?: { artefact?: { version: string } }; signal: AbortSignal }) => {
        const version = request.colour?.artefact?.version;
        this.applied.push(`${request.kind} ${version ?? ''}`.trim());
        if (version !== undefined) {
          await this.onStart(request.signal);
          this.router.servers = [{ colour: 'green', service: 'api', instance: 1, healthy: true }];
        }
        return { changes: {}, ms: 1, orphans: [] };
      },
      destroy: ({ kind }: { kind: StackKind }) => Promise.resolve(this.applied.push(`${kind} destroyed`)),
      refresh: () => Promise.resolve([]),
      exists: (_: unknown, kind: StackKind) => Promise.resolve(kind === 'blue'),
      outputs: () => Promise.resolve({}),
      config: () => Promise.resolve({ kind: 'blue', colour: { colour: 'blue', artefact: oldArtefact } }),
    };
  }

  /** What `resume` and `rollback` go on with. */
  get open(): { session: Session; past: PastRelease } {
    const { definition, platform, engine, ask } = this.settings;
    const entries = this.journal.entries();
    const started = entries[0] as PastRelease['started'];
    const { signal, waiting } = this.settings;
    const session = { definition, platform, engine, ask, signal, waiting, show: () => undefined, hasLock: () => true };
    return {
      session: session as unknown as Session,
      past: { id: 'r', directory: this.directory, entries, started, ended: undefined },
    };
  }

  /** As they are on disk: what goes on with a release has a journal of its own. */
  entries = () => readJournal(join(this.directory, journalFile)).entries;

  types = (): JournalEntry['type'][] => this.journal.entries().map(({ type }) => type);

  /** Moves the writes as the release does, and records nothing. */
  moved = () =>
    readOnlyWindow({
      router: this.router,
      from: this.rig.blue,
      to: this.rig.green,
      settings: { longestMs: 30_000, drainMs: 1_000 },
      migrate: () => this.rig.run(this.rig.green, rename),
      start: () => Promise.resolve(),
      check: () => Promise.resolve(),
    });

  /** Writes through the balancer, as whoever is live knows the column; resolves to the colour, or to why not. */
  write = (id: number): Promise<string> =>
    this.router
      .write((colour) => {
        const column = colour === 'blue' ? 'name' : 'full_name';
        return withClient(this.rig[colour].access, 'app', async (client) => {
          await client.query(`INSERT INTO people (id, ${column}) VALUES ($1, 'someone')`, [id]);
          return colour;
        });
      })
      .catch(messageOf);

  read = (): Promise<number> => value(this.rig[this.router.split.live], 'SELECT count(*)::int FROM people');
}
