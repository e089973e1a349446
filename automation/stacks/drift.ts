import { isDeepStrictEqual } from 'node:util';
import type { EngineSettings } from '../../infra/platform/engine.ts';
import { resourceName } from './events.ts';
import type { RecordedResource } from './state.ts';

/** A resource that is not as the state says. */
export interface Drift {
  resource: string;
  what: string;
}

/** What the record says now that it did not say before; `volatile` properties may change as they like. */
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

/** `tags/Name` is a property of `tags`. What has nothing left is left out: it may not have been there before. */
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
 * A secret is encrypted anew whenever the state is written, so its text says nothing about a change; of files and archives the
 * engine keeps the contents or not, but always the hash.
 */
function readable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  if ('ciphertext' in value) return 'secret';
  const properties = value as Properties;
  if (assetSignatures.includes(properties[signatureKey])) return { hash: properties['hash'] };
  return Object.fromEntries(Object.entries(properties).map(([key, inner]) => [key, readable(inner)]));
}

/** How the engine marks files and archives in its state. */
const signatureKey = '4dabf18193072939515e22adb298388d';
const assetSignatures: unknown[] = ['c44067f5952c0a294b673a41bacd8c21', '0def7320c3a5731c473e5ecbe6d01bc7'];
