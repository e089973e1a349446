import { readdir } from 'node:fs/promises';
import { messageOf } from '../../lib/errors.ts';
import { colours, type Colour, type EnvironmentName, type Split } from '../../model.ts';
import type { Found } from '../../platform/platform.ts';
import { balancerSocket } from '../haproxy/config.ts';
import { parseShowMap, runtimeCommand } from '../haproxy/runtime.ts';
import { parseTrafficMap, storedTraffic, trafficMap } from '../haproxy/traffic-map.ts';
import { Layout } from '../lib/layout.ts';
import { clusterName, serverPid } from '../postgres/cluster.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

/** Finds balancer, databases and supervised processes of an environment on this machine. Changes nothing. */
export async function findEnvironment(environment: EnvironmentName): Promise<Found> {
  const layout = new Layout(environment);
  const traffic = await findTraffic(layout);
  const databases = await Promise.all(colours.map((colour) => findDatabase(layout, colour)));
  const services = await findServices(layout);
  return {
    where: 'this machine',
    live: traffic.split?.live,
    databases: colours.filter((_, index) => databases[index] !== undefined),
    versions: services.versions,
    facts: [traffic.fact, ...databases, ...services.facts].filter((fact) => fact !== undefined),
  };
}

/** Asks the balancer. If it does not answer, reads the traffic map that it loads at its start. */
async function findTraffic(layout: Layout): Promise<{ split?: Split | undefined; fact?: string }> {
  const doing = 'asking the balancer which colour is live';
  const answer = await runtimeCommand(balancerSocket(layout), `show map ${trafficMap}`, doing).catch(() => '');
  try {
    const { split } = parseTrafficMap(parseShowMap(answer));
    return split === undefined ? {} : { split, fact: `the balancer runs and sends writes to ${split.live}` };
  } catch {
    // Not running or not ready: use the file.
  }
  const noAnswer = 'the balancer does not answer';
  try {
    const split = (await storedTraffic(layout.balancer()))?.split;
    return split === undefined
      ? {}
      : { split, fact: `${noAnswer}, and its traffic map says that ${split.live} is live` };
  } catch (error) {
    return { fact: `${noAnswer}, and its traffic map in ${layout.balancer()} is damaged: ${messageOf(error)}` };
  }
}

/** Undefined if the directory is empty or missing. Any content counts, because it may be a damaged database. */
async function findDatabase(layout: Layout, colour: Colour): Promise<string | undefined> {
  const directory = layout.database(colour);
  const entries = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (entries.length === 0) return undefined;
  const name = await clusterName(directory);
  const pid = await serverPid({ directory });
  const what = name === undefined ? 'files that are not a complete Greenlight cluster' : `the database ${name}`;
  return `${directory} has ${what}${pid === undefined ? '' : `, served by process ${pid}`}`;
}

/** Reads the supervisor's files, which also exist while the supervisor is not running. */
async function findServices(layout: Layout): Promise<Pick<Found, 'versions' | 'facts'>> {
  const supervisor = new Supervisor(layout);
  const running = new Set((await supervisor.list()).filter(({ pid }) => pid > 0).map(({ name }) => name));
  const found = await Promise.all(
    colours.map(async (colour) => [colour, await supervisor.variables(`.${colour}.`)] as const),
  );
  const facts: string[] = [];
  const versions: Found['versions'] = {};
  for (const [colour, programs] of found) {
    const names = Object.keys(programs);
    if (names.length === 0) continue;
    const own = [...new Set(Object.values(programs).map((variables) => variables['GREENLIGHT_VERSION']))];
    if (own.length === 1 && own[0] !== undefined) versions[colour] = own[0];
    const up = names.filter((name) => running.has(name)).length;
    facts.push(
      `${up} of ${names.length} services of ${colour} run, version ${own.map((version) => version ?? 'unknown').join(' and ')}`,
    );
  }
  return { versions, facts };
}
