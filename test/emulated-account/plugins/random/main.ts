import { randomBytes, randomInt } from 'node:crypto';
import { endWithEngine } from '../parent.ts';
import { serve, type Properties } from '../serve.ts';
import { createProvider } from '../provider.ts';
import type { Context, Handler, Table } from '../handler.ts';

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** The real plug-in's special characters. */
const special = '!@#$%&*()-_=+[]{}<>:?';

/** A change of any input generates a new value. Otherwise the value never changes. */
const fresh = (make: (inputs: Properties) => { id: string; outputs: Properties }): Handler => ({
  replaces: 'all',
  create: (inputs) => Promise.resolve(make(inputs)),
});

const table: Table = {
  'random:index/randomPassword:RandomPassword': fresh((inputs) => {
    const from = inputs['special'] === false ? letters : letters + special;
    const characters = Array.from({ length: inputs['length'] as number }, () => from[randomInt(from.length)]);
    return { id: 'none', outputs: { result: characters.join('') } };
  }),
  'random:index/randomId:RandomId': fresh((inputs) => {
    const bytes = randomBytes(inputs['byteLength'] as number);
    const prefix = (inputs['prefix'] as string | undefined) ?? '';
    const [b64Url, b64Std] = [prefix + bytes.toString('base64url'), prefix + bytes.toString('base64')];
    const hex = prefix + bytes.toString('hex');
    return {
      id: bytes.toString('base64url'),
      outputs: { hex, b64Url, b64Std, dec: prefix + BigInt(`0x${bytes.toString('hex')}`) },
    };
  }),
};

endWithEngine();
// Needs no account: its values exist only in the engine's state.
const nowhere = { configure: () => Promise.resolve(), context: (logicalName: string) => ({ logicalName }) as Context };
await serve(createProvider({ name: 'random', version: '4.21.2' }, table, nowhere));
