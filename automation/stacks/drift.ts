import { isDeepStrictEqual } from 'node:util';
import type { EngineSettings } from '../../infra/platform/engine.ts';
import { resourceName } from './events.ts';
import type { RecordedResource } from './state.ts';

/** A resource that differs from the state. */
export interface Drift {
  resource: string;
  what: string;
}

/** The differences between the states before and after a refresh. Changes of `volatile` properties are not drift. */
export function drifts(
  before: RecordedResource[],
  after: RecordedResource[],
  volatile: EngineSettings['volatile'],
): Drift[] {
  return before.flatMap((old) => {
    const resource = resourceName(old.urn);
    const now = after.find(({ urn }) => urn === old.urn);
    if (now === undefined) return [{ resource, what: 'it is gone' }];
    const drift = now.outputs?.['drift'];
    if (typeof drift === 'string') return [{ resource, what: drift }];
    const compared = (outputs: Properties = {}): Properties => without(outputs, volatile[old.type] ?? []);
    const [was, is] = [compared(old.outputs), compared(now.outputs)];
    const keys = Object.keys({ ...was, ...is }).filter((key) => key !== 'drift');
    const changed = keys.filter((key) => !isDeepStrictEqual(readable(was[key]), readable(is[key])));
    return changed.length === 0 ? [] : [{ resource, what: `changed: ${changed.join(', ')}` }];
  });
}

type Properties = Record<string, unknown>;

/** Removes properties by path: `tags/Name` is `Name` in `tags`. An object that becomes empty is removed too. */
function without(properties: Properties, paths: string[]): Properties {
  return paths.reduce((rest, path) => {
    const [key = '', ...inner] = path.split('/');
    const { [key]: value, ...others } = rest;
    if (inner.length === 0 || typeof value !== 'object' || value === null) return inner.length === 0 ? others : rest;
    const kept = without(value as Properties, [inner.join('/')]);
    return Object.keys(kept).length === 0 ? others : { ...rest, [key]: kept };
  }, properties);
}

/**
 * A value in a comparable form. A secret is encrypted anew whenever the state is written, so its ciphertext is left
 * out. Of files and archives the state always has the hash, but not always the contents.
 */
function readable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  if ('ciphertext' in value) return 'secret';
  const properties = value as Properties;
  if (assetSignatures.includes(properties[signatureKey])) return { hash: properties['hash'] };
  return Object.fromEntries(Object.entries(properties).map(([key, inner]) => [key, readable(inner)]));
}

/** The key and the values by which the state marks assets and archives (Pulumi SDK, `sig` properties). */
const signatureKey = '4dabf18193072939515e22adb298388d';
const assetSignatures: unknown[] = ['c44067f5952c0a294b673a41bacd8c21', '0def7320c3a5731c473e5ecbe6d01bc7'];
