import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { move, replaceFile } from '../../lib/atomic-file.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import { until } from '../../lib/poll.ts';
import type { EnvironmentSpec } from '../../model.ts';
import { toolPath } from '../../lib/tools.ts';
import { balancerCommand, balancerSocket, balancerStopSeconds, renderBalancer } from '../haproxy/config.ts';
import { runtimeCommand } from '../haproxy/runtime.ts';
import { trafficMap } from '../haproxy/traffic-map.ts';
import type { Ports } from '../lib/layout.ts';
import { prepareSocketDirectory } from '../lib/socket-path.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import type { Program } from '../supervisor/config.ts';
import { layoutOf, place, type Handler } from './handler.ts';
import { readProgram, removeProgram, startProgram } from './supervised.ts';

const inputs = place.extend({
  spec: z.custom<EnvironmentSpec>((value) => typeof value === 'object'),
  ports: z.custom<Ports>((value) => typeof value === 'object'),
  /** Hashes of the certificate and of the route's secret. */
  restartOn: z.array(z.string().regex(/^\S+$/)),
});
type Inputs = z.infer<typeof inputs>;

const name = 'balancer';
const configuration = 'haproxy.cfg';
/** How long a new worker may take until it serves, ms. */
const reloadMs = 10_000;

/** The entry point. An update reloads HAProxy without refusing connections. */
export const balancer: Handler<Inputs> = {
  inputs,
  async create(of) {
    await writeFiles(of);
    const layout = layoutOf(of);
    await prepareSocketDirectory(balancerSocket(layout));
    await startProgram(layout, programOf(of));
    return {};
  },
  async read(state) {
    const layout = layoutOf(state);
    const found = await readProgram(layout, name, () => programOf(state));
    if (found !== 'as recorded') return found;
    const changed = await changedFiles(state);
    return changed.length === 0 ? 'as recorded' : { drift: `unexpected content in ${changed.join(', ')}` };
  },
  async update(of) {
    const supervisor = new Supervisor(layoutOf(of));
    const before = await supervisor.state(name);
    if (before === undefined || before.pid === 0) return balancer.create(of);
    await writeFiles(of);
    await reload(of, supervisor);
    return {};
  },
  async delete(state) {
    const layout = layoutOf(state);
    await removeProgram(layout, name);
    await rm(layout.balancer(), { recursive: true, force: true });
    const socket = balancerSocket(layout);
    if (dirname(socket) !== layout.balancer()) await rm(dirname(socket), { recursive: true, force: true });
  },
};

const render = (of: Inputs): Record<string, string> =>
  renderBalancer({ spec: of.spec, layout: layoutOf(of), ports: of.ports });

/** SIGUSR1: finishes the requests in flight before it stops. */
const programOf = (of: Inputs): Program => ({
  name,
  argv: balancerCommand(layoutOf(of)),
  env: {},
  cwd: layoutOf(of).balancer(),
  ready: { kind: 'http', url: `http://127.0.0.1:${of.ports.balancerMetrics}/metrics` },
  readySeconds: 20,
  stopSignal: 'USR1',
  stopSeconds: balancerStopSeconds + 5,
  stopGroup: false,
  // This is the access log. Traffic observations need several minutes of it, even at high request rates.
  logMegabytes: 50,
  restartOn: [],
});

/**
 * Writes the files. The new configuration is validated under another name first, so that an invalid one never replaces
 * the one in use. An existing traffic map is kept, because the router owns it.
 */
async function writeFiles(of: Inputs): Promise<void> {
  const directory = layoutOf(of).balancer();
  const { [configuration]: wanted = '', ...others } = render(of);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const [file, content] of Object.entries(others)) {
    if (file === trafficMap && (await read(join(directory, file))) !== undefined) continue;
    await replaceFile(join(directory, file), content);
  }
  const candidate = join(directory, `${configuration}.candidate`);
  await replaceFile(candidate, wanted);
  await check(directory, candidate);
  await move(candidate, join(directory, configuration));
}

async function check(directory: string, file: string): Promise<void> {
  const argv = ['-c', '-q', '-C', directory, '-f', file];
  const result = await execa(toolPath('haproxy'), argv, { ...bareEnvironment(), all: true, reject: false });
  if (result.exitCode === 0) return;
  throw new OperationError('checking the configuration of the balancer', result.all.trim(), `see ${file}`);
}

async function changedFiles(of: Inputs): Promise<string[]> {
  const directory = layoutOf(of).balancer();
  const changed: string[] = [];
  for (const [file, wanted] of Object.entries(render(of))) {
    const found = await read(join(directory, file));
    if (file === trafficMap ? found === undefined : found !== wanted) changed.push(file);
  }
  return changed;
}

/** Reloads and waits until a new worker serves. The old worker continues if the new one does not start. */
async function reload(of: Inputs, supervisor: Supervisor): Promise<void> {
  const doing = 'reloading the balancer';
  const socket = balancerSocket(layoutOf(of));
  const worker = async () => /^Pid: (\d+)/m.exec(await runtimeCommand(socket, 'show info', doing).catch(() => ''))?.[1];
  const before = await worker();
  await supervisor.signal(name, 'USR2');
  const todo = 'see balancer.log in the logs of the environment';
  await until(
    async () => {
      const now = await worker();
      return (now !== undefined && now !== before) || 'no new worker is serving';
    },
    { everyMs: 30, timeoutMs: reloadMs, doing, todo },
  );
}

const read = (file: string): Promise<string | undefined> => readFile(file, 'utf8').catch(() => undefined);
