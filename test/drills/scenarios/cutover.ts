import type { Hands } from '../hands.ts';
import type { Check, Scenario } from '../scenario.ts';
import { kill, planted, resumed, rolledBack } from './expected.ts';

const some = (what: string, count: number): Check => ({ what, ok: count > 0, found: String(count) });

const held = async ({ router }: Hands): Promise<boolean> => (await router.read()).holdMs > 0;
const flipped = async ({ router, idle }: Hands): Promise<boolean> => (await router.read()).split?.live === idle;
/** Looked for from before the cutover begins: its hold lasts for milliseconds. */
const from = { stage: 'canary', afterMs: 0 } as const;

const killBackend = ({ live, signalSessions }: Hands): Check[] => [
  some('a session of the application was killed', signalSessions(live, 'app', 'SIGKILL', 1)),
];

/** Faults of the databases, and writes that do not end, where the writes move. */
export const atTheCutover: Scenario[] = [
  {
    name: 'killed-backend',
    fault: 'the kernel kills a session of the live database while writes are held',
    expect: rolledBack('cutover'),
    felt: 'failed requests',
    act: { ...from, when: held, run: (hands) => Promise.resolve(killBackend(hands)) },
  },
  {
    name: 'hung-writes',
    fault: 'no write to the new version ends, and some keep their transaction open; reads are fine',
    expect: rolledBack('bake'),
    felt: 'failed requests',
    ...planted('hangs-writes'),
  },
  {
    name: 'slow-writes',
    fault: 'every write to the new version takes longer than the cutover waits for one',
    expect: rolledBack('bake'),
    felt: 'failed requests',
    ...planted('slow-writes'),
  },
];

/** Those after which the release goes on: by itself, or by `resume` where it died with it. */
export const resumedCutover: Scenario[] = [
  {
    name: 'echo-crash',
    fault: 'the new colour’s database server is killed right after the flip',
    // The move of writes is finished once it answers again. A commit that was under way takes the version back: nobody knows its end.
    expect: resumed('cutover'),
    orElse: rolledBack('bake', 'user-journey'),
    felt: 'failed requests',
    act: {
      ...from,
      when: flipped,
      run: ({ idle, killDatabase }) =>
        Promise.resolve([some('processes of the database were killed', killDatabase(idle))]),
    },
  },
  {
    name: 'echo-session',
    fault: 'the release’s own sessions in the new colour’s database end right after the flip',
    expect: resumed('cutover'),
    felt: 'nothing',
    act: {
      ...from,
      when: flipped,
      run: ({ idle, signalSessions }) =>
        Promise.resolve([some('sessions of the release were ended', signalSessions(idle, 'admin', 'SIGTERM'))]),
    },
  },
  {
    name: 'killed-backend-resumed',
    fault: 'the kernel kills a session of the live database and the release while writes are held, then it is resumed',
    expect: resumed('cutover'),
    felt: 'failed requests',
    act: {
      ...from,
      when: held,
      run: async (hands) => [...killBackend(hands), ...(await kill(hands))],
    },
    endedBy: 'resume',
  },
];
