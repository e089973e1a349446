import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { childEnvironment } from '../../infra/lib/child-environment.ts';
import { findEngine, type Engine } from '../../infra/containers/engine.ts';

/** What images of tests are known by. */
const testLabel = 'greenlight.test';

/**
 * Images of tests: this Node with its libraries, FROM scratch, as no base image can be pulled everywhere. The engine
 * caches the layers between tests.
 */
export class ImageFolder {
  readonly directory = mkdtempSync(join(tmpdir(), 'greenlight-image-test-'));

  constructor() {
    const node = realpathSync(process.execPath);
    const libraries = execFileSync('ldd', [node], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g);
    for (const [from, to] of [[node, '/bin/node'], ...[...libraries].map(([, file]) => [file, file])]) {
      const target = join(this.directory, 'node', to as string);
      mkdirSync(dirname(target), { recursive: true });
      cpSync(realpathSync(from as string), target);
    }
    this.write('app/marker.txt', 'artefact');
  }

  write(file: string, text: string): void {
    const path = join(this.directory, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  /** A Dockerfile with the application in `app/`. */
  dockerfile(lines: string[], name = 'Dockerfile'): void {
    const text = [
      'FROM scratch',
      `LABEL ${testLabel}=yes`,
      'COPY node /',
      'ENV PATH=/bin',
      'WORKDIR /app',
      'COPY app /app',
      ...lines,
      '',
    ];
    this.write(name, text.join('\n'));
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The engine of tests, and what it says to a command. */
export const testEngine = (): Promise<Engine> => findEngine('podman');

export const podman = (...args: string[]): string =>
  execFileSync('podman', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...childEnvironment() });

/** Removes what tests have built for an application, with its layers. */
export function removeTestImages(application: string): void {
  const ids = podman('images', '--quiet', '--no-trunc', '--filter', `reference=localhost/greenlight/${application}/*`);
  for (const id of new Set(ids.split('\n').filter(Boolean))) podman('rmi', '--force', id);
  podman('image', 'prune', '--force', '--filter', `label=${testLabel}`);
}

/** A server that answers its version, its user and its variables, and finishes on SIGTERM. */
export const server = `
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
const kept = [];
const answer = {
  '/healthz': () => 'ok',
  '/version': () => process.env.GREENLIGHT_VERSION,
  '/env': () => JSON.stringify(process.env),
  '/user': () => String(process.getuid()),
  '/write': () => { try { writeFileSync('/app/file', 'x'); return 'written'; } catch (error) { return error.code; } },
  '/tmp': () => { writeFileSync('/tmp/file', 'x'); return 'written'; },
  '/hog': () => { for (;;) kept.push(Buffer.alloc(8e6, 1)); },
};
const http = createServer((request, response) => response.end((answer[request.url] ?? (() => 'none'))()));
http.listen(Number(process.env.PORT), process.env.HOST, () => console.log('listening'));
process.on('SIGTERM', () => {
  console.log('ending');
  if (process.env.STUBBORN !== 'yes') http.close(() => process.exit(0));
});
`;
