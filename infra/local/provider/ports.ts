import { mkdir, rm } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { replaceFile } from '../../lib/atomic-file.ts';
import type { Ports } from '../lib/layout.ts';
import { allocatePorts, preferredPort } from '../supervisor/ports.ts';
import { inTurn, recordedPorts, register, reservedPorts, unregister } from '../supervisor/reserved-ports.ts';
import { layoutOf, place, type Handler, type Place } from './handler.ts';

const inputs = place.extend({
  https: z.number().int().optional(),
  services: z.record(z.string(), z.number().int().min(1)),
  integrations: z.array(z.string()),
});
type Inputs = z.infer<typeof inputs>;
interface Computed {
  ports: Ports;
}

/** The environment's ports, in `ports.json`. Allocated ports are kept when others are added. */
export const ports: Handler<Inputs, Computed> = {
  inputs,
  async create(wanted) {
    return record(wanted, await recorded(wanted));
  },
  async read(state) {
    const found = await recorded(state);
    if (found === undefined) return { drift: 'ports.json is missing' };
    return isDeepStrictEqual(found, state.ports) ? 'as recorded' : { drift: 'ports.json was changed' };
  },
  async update(wanted, state) {
    return record(wanted, state.ports);
  },
  async delete(state) {
    await rm(layoutOf(state).portsFile(), { force: true });
    await unregister(state.directory);
  },
};

/** One environment at a time: until its ports are recorded, another one would not see them. */
const record = (wanted: Inputs, old: Ports | undefined): Promise<Computed> =>
  inTurn(async () => {
    const reserved = await reservedPorts(wanted.directory);
    const result = await allocatePorts(wanted, preferredPort(wanted.directory), old, reserved);
    const file = layoutOf(wanted).portsFile();
    await mkdir(wanted.directory, { recursive: true, mode: 0o700 });
    await replaceFile(file, `${JSON.stringify(result, undefined, 2)}\n`);
    await register(wanted.directory);
    return { ports: result };
  });

const recorded = (of: Place): Promise<Ports | undefined> => recordedPorts(layoutOf(of).portsFile());
