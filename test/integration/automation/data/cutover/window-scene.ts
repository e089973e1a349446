import {
  readOnlyWindow,
  type WindowOptions,
  type WindowResult,
} from '../../../../../automation/data/cutover/window.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import { messageOf } from '../../../../../infra/lib/errors.ts';
import { connect, close } from '../rig.ts';
import type { CutoverScene } from './scene.ts';

/** Neither the old version nor the replication survives this: a column has another name, and another one another type. */
export const incompatible = `
  ALTER TABLE entries RENAME COLUMN account TO holder;
  ALTER TABLE settings ALTER COLUMN value TYPE jsonb USING to_jsonb(value)`;

export const migrateGreen = ({ rig }: CutoverScene): Promise<void> => rig.run(rig.green, incompatible);

/** A read-only window from blue to green. By default all that is done in it succeeds. */
export function openWindow(scene: CutoverScene, options: Partial<WindowOptions> = {}): Promise<WindowResult> {
  const { rig, router } = scene;
  return readOnlyWindow({
    router,
    from: rig.blue,
    to: rig.green,
    settings: { longestMs: 30_000, drainMs: 1_000 },
    migrate: () => migrateGreen(scene),
    start: () => Promise.resolve(),
    check: () => Promise.resolve(),
    ...options,
  });
}

/** Writers at load, whose version on green knows the new name. Waits until so many writes are answered. */
export async function writeBoth(scene: CutoverScene, answered: number): Promise<void> {
  await scene.write(300, undefined, answered);
  scene.load.account.green = 'holder';
}

/** Users who read from whoever is live, all the time. */
export class Readers {
  readonly failures: string[] = [];
  answered = 0;
  #running = true;
  readonly #done: Promise<void>;

  constructor(scene: CutoverScene) {
    this.#done = this.#read(scene);
  }

  async #read({ rig, router }: CutoverScene): Promise<void> {
    const sessions = { blue: await connect(rig.blue.access, 'app'), green: await connect(rig.green.access, 'app') };
    while (this.#running)
      await sessions[router.split.live].query('SELECT count(*) FROM entries').then(
        () => void this.answered++,
        (error: unknown) => void this.failures.push(messageOf(error)),
      );
    await Promise.all([close(sessions.blue), close(sessions.green)]);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }
}

/** Whether the application can change a row there; otherwise PostgreSQL's reason. */
export const tryWrite = (scene: CutoverScene, colour: 'blue' | 'green'): Promise<string> =>
  withClient(scene.rig[colour].access, 'app', (client) => client.query('UPDATE counters SET n = n WHERE id = 1')).then(
    () => 'written',
    (error: unknown) => messageOf(error),
  );
