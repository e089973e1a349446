import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { HttpError, serve, type Answer } from '../http.ts';
import { version } from '../version.ts';

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

/** All pages are read once: what is not in this map cannot be asked for, whatever the path looks like. */
function load(directory: string): Map<string, { body: Buffer; headers: Record<string, string> }> {
  const files = new Map<string, { body: Buffer; headers: Record<string, string> }>();
  for (const name of readdirSync(directory)) {
    const body = readFileSync(join(directory, name));
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    const type = types[extname(name)] ?? 'application/octet-stream';
    const file = { body, headers: { 'content-type': type, etag, 'cache-control': 'no-cache' } };
    files.set(`/${name}`, file);
    if (name === 'index.html') files.set('/', file);
  }
  return files;
}

const files = load(join(import.meta.dirname, 'public'));

serve(
  (request, url): Answer => {
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new HttpError(405, 'This is a page to read.');
    if (url.pathname === '/healthz') return { status: 200, body: { status: 'ok', version } };
    const file = files.get(url.pathname);
    if (!file) {
      const missing = files.get('/404.html');
      return { status: 404, body: missing?.body, headers: { 'content-type': types['.html'] ?? '' } };
    }
    if (request.headers['if-none-match'] === file.headers['etag']) return { status: 304, headers: file.headers };
    return { status: 200, body: file.body, headers: file.headers };
  },
  (error) => {
    console.error(JSON.stringify({ level: 'error', message: (error as Error).message }));
    return new HttpError(500, 'Something went wrong.');
  },
);
