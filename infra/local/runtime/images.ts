import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { engineNames, findEngine, type Engine, type WantedEngine } from '../../containers/engine.ts';
import { currentImage, ensureImage, makeImage, pushImage, referenceOf, removeImages } from '../../containers/images.ts';
import { findRuntime } from '../../containers/runtime.ts';
import { readImages, writeImages, type ImageRecord } from '../../containers/record.ts';
import { home } from '../../lib/paths.ts';
import type { Artefact } from '../../model.ts';
import type { Images, ImagesRequest } from '../../platform/images.ts';

/** Images on this machine's container engine. */
export function createLocalImages(wanted: WantedEngine, redact: (text: string) => string): Images {
  return {
    async make(request) {
      if (request.services.every(({ image }) => image === undefined)) return [];
      const engine = await findEngine(wanted);
      const runtime = await findRuntime(engine);
      const services: Record<string, ImageRecord> = {};
      const notes = unenforced(engine);
      for (const { name, image } of request.services) {
        if (image === undefined) continue;
        const { record, notes: said } = await make({ engine, runtime, redact }, request, name, image);
        services[name] = record;
        notes.push(...said);
      }
      const { jobs, out } = request;
      await writeImages(out, {
        engine: engine.name,
        ...(runtime === undefined ? {} : { runtime }),
        ...(jobs === undefined ? {} : { jobs }),
        services,
      });
      return notes;
    },

    async moved(artefact) {
      const record = readImages(artefact.location);
      if (record === undefined) return [];
      const engine = await findEngine(record.engine);
      const said = Object.entries(record.services).map(async ([service, { id, reference }]) => {
        if (reference === undefined) return [];
        const now = await currentImage(engine, reference);
        if (now === undefined || now === id) return [];
        return [
          `${reference} has moved since ${service} ${artefact.version} was built: it is ${now} now; the release goes on with ${id}`,
        ];
      });
      return (await Promise.all(said)).flat();
    },

    async removeAll(application) {
      const removed: string[] = [];
      for (const name of engineNames) {
        const engine = await findEngine(name).catch(() => undefined);
        if (engine !== undefined) removed.push(...(await removeImages(engine, application)));
      }
      return removed;
    },
  };
}

async function make(
  { engine, runtime, redact }: { engine: Engine; runtime: string | undefined; redact: (text: string) => string },
  request: ImagesRequest,
  service: string,
  image: NonNullable<ImagesRequest['services'][number]['image']>,
): Promise<{ record: ImageRecord; notes: string[] }> {
  const { application, version, registry, timeoutMs, signal, logs } = request;
  const place = { root: request.root, secrets: home(), runtime: engine.name === 'podman' ? runtime : undefined };
  const made = await makeImage(engine, { application, version, service, image, ...place, timeoutMs, signal });
  await mkdir(logs, { recursive: true });
  await writeFile(join(logs, `image-${service}.log`), redact(made.log), { mode: 0o600 });
  const { id } = made.facts;
  const tag = `${registry ?? ''}/${application}/${service}:${version}`;
  const source = registry === undefined ? made.source : await pushImage(engine, id, tag, { signal });
  return {
    record: {
      id,
      ...('reference' in image ? { reference: referenceOf(image.reference, version) } : {}),
      ...(source === undefined ? {} : { source }),
      readOnly: image.readOnly,
    },
    notes: made.notes,
  };
}

/** What of the limits has no effect, as one sentence. */
function unenforced({ name, enforces }: Engine): string[] {
  const without = [...(enforces.memory ? [] : ['memory']), ...(enforces.cpus ? [] : ['processors'])];
  if (without.length === 0) return [];
  return [`${name} cannot limit ${without.join(' and ')} of containers here: this user has no control groups for it`];
}

/** Makes the images of a version be there, before it is started. */
export async function ensureImages(application: string, { version, location }: Artefact): Promise<void> {
  const record = readImages(location);
  if (record === undefined) return;
  const engine = await findEngine(record.engine);
  for (const [service, image] of Object.entries(record.services))
    await ensureImage(engine, image, { application, service, version });
}
