import type { EntryPoint } from '../../../infra/platform/router.ts';
import { secrets } from '../../../infra/lib/redact.ts';
import { passes, worst, type Gate } from '../../journal/verdict.ts';
import { askRoutes, judgeRoutes } from './routes.ts';

interface Side {
  entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>;
  /** Headers that select the header route. Their values are secrets. */
  headers: Record<string, string>;
}

export interface RoutesGate extends Side {
  id: string;
  title: string;
  paths: readonly string[];
  /** The version to compare with; undefined: there is none. */
  live?: Side | undefined;
}

/** Said in every title, so that nobody takes this for tests of the application. */
export const notItsTests = "asked by Greenlight; not the application's own tests";

/** Asks the routes of a version by GET, and the same of the version that is live. It knows a version that is down or broken, and nothing else. */
export function routesGate({ id, title, entry, headers, paths, live }: RoutesGate): Gate {
  return {
    id,
    title: `${title} (${notItsTests})`,
    async measure({ evidence }) {
      for (const value of Object.values({ ...headers, ...live?.headers })) secrets.register(value);
      const answers = await askRoutes(entry, headers, paths);
      const beside = live === undefined ? undefined : await askRoutes(live.entry, live.headers, paths);
      await evidence.write('routes.json', JSON.stringify({ answers, live: beside }, undefined, 2));
      const measurements = judgeRoutes(answers, beside);
      const good = passes(worst(measurements.map(({ verdict }) => verdict)));
      const measured = answers.map(({ path, status }) => `${path} ${status}`).join(', ');
      const wanted = live === undefined ? 'each below 500' : 'each as the live version';
      return {
        measurements,
        ...(good ? { summary: { measured: `${measured}; redirects not followed`, wanted } } : {}),
      };
    },
  };
}
