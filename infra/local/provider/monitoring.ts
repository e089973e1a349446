import { createHash } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../../lib/atomic-file.ts';
import type { EnvironmentSpec } from '../../model.ts';
import { searchPath, type Ports } from '../lib/layout.ts';
import {
  alertmanagerCommand,
  alertReceiverCommand,
  prometheusCommand,
  renderMonitoring,
} from '../monitoring/config.ts';
import type { Program } from '../supervisor/config.ts';
import { layoutOf, place, type Found, type Handler } from './handler.ts';
import { readProgram, removeProgram, startProgram } from './supervised.ts';

const inputs = place.extend({
  spec: z.custom<EnvironmentSpec>((value) => typeof value === 'object'),
  ports: z.custom<Ports>((value) => typeof value === 'object'),
  /** Secret, because a URL often contains a token. */
  alertReceivers: z.array(z.strictObject({ name: z.string(), webhook: z.url() })),
});
type Inputs = z.infer<typeof inputs>;

/** Prometheus, Alertmanager and the environment's own alert receiver. A changed configuration restarts all three. */
export const monitoring: Handler<Inputs> = {
  inputs,
  async create(of) {
    for (const [file, content] of filesOf(of)) await put(file, content);
    await Promise.all(programsOf(of).map((program) => startProgram(layoutOf(of), program)));
    return {};
  },
  async read(state) {
    const programs = programsOf(state);
    const found = await Promise.all(
      programs.map((program) => readProgram(layoutOf(state), program.name, () => program)),
    );
    if (found.every((one) => one === 'absent')) return 'absent';
    const parts = found.flatMap((one, index) => describe(programs[index] as Program, one));
    for (const [file, content] of filesOf(state)) {
      if ((await readFile(file, 'utf8').catch(() => undefined)) !== content)
        parts.push(`unexpected content in ${file}`);
    }
    return parts.length === 0 ? 'as recorded' : { drift: parts.join('; ') };
  },
  update(of) {
    return monitoring.create(of);
  },
  async delete(state) {
    const layout = layoutOf(state);
    await Promise.all(['prometheus', 'alertmanager', 'alert-receiver'].map((name) => removeProgram(layout, name)));
    for (const directory of [layout.prometheus(), layout.alertmanager()])
      await rm(directory, { recursive: true, force: true });
  },
};

function describe({ name }: Program, found: Found): string[] {
  if (found === 'as recorded') return [];
  return [`${name}: ${found === 'absent' ? 'it does not exist' : found.drift}`];
}

/** Pairs of path and content. */
function filesOf(of: Inputs): [string, string][] {
  const layout = layoutOf(of);
  const files = renderMonitoring({ spec: { ...of.spec, alertReceivers: of.alertReceivers }, ports: of.ports });
  const below = (directory: string, contents: Record<string, string>) =>
    Object.entries(contents).map(([name, content]): [string, string] => [join(directory, name), content]);
  return [...below(layout.prometheus(), files.prometheus), ...below(layout.alertmanager(), files.alertmanager)];
}

function programsOf(of: Inputs): Program[] {
  const layout = layoutOf(of);
  const { ports } = of;
  const hash = createHash('sha256')
    .update(JSON.stringify(filesOf(of)))
    .digest('hex');
  const program = (name: string, argv: string[], port: number, path: string): Program => ({
    name,
    argv,
    env: { PATH: searchPath() },
    cwd: layout.prometheus(),
    ready: { kind: 'http', url: `http://127.0.0.1:${port}${path}` },
    readySeconds: 30,
    stopSignal: 'TERM',
    stopSeconds: 10,
    stopGroup: false,
    logMegabytes: 5,
    restartOn: [hash],
  });
  return [
    program('prometheus', prometheusCommand(layout, ports), ports.prometheus, '/-/ready'),
    program('alertmanager', alertmanagerCommand(layout, ports), ports.alertmanager, '/-/ready'),
    program('alert-receiver', alertReceiverCommand(layout, ports), ports.alertReceiver, '/healthz'),
  ];
}

async function put(file: string, content: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await replaceFile(file, content);
}
