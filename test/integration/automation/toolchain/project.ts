import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../../../infra/lib/paths.ts';

/** The set-up finds its project from where it lies, so it is tried in a copy, with programs that only tell a version. */
export interface CopiedProject {
  root: string;
  /** The only directory on PATH. */
  bin: string;
  run(profile: string, env?: Record<string, string>): Promise<{ code: number; text: string }>;
  /** Makes the list of tools one long: k6, from this source. */
  onlyTool(source: object, rest?: object): Promise<void>;
  write(path: string, text: string): Promise<void>;
  program(path: string, script: string): Promise<void>;
  tools(): Promise<string[]>;
  remove(): Promise<void>;
}

const setup = join('automation', 'toolchain', 'setup.mjs');

export async function copyProject(): Promise<CopiedProject> {
  const root = await mkdtemp(join(tmpdir(), 'greenlight-setup-'));
  const bin = join(root, 'path');
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  };
  const program = async (path: string, script: string): Promise<void> => {
    await write(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
  };
  for (const part of ['automation/toolchain', 'infra/lib/search.mjs', 'infra/lib/place.mjs']) {
    await mkdir(dirname(join(root, part)), { recursive: true });
    await cp(join(packageRoot, part), join(root, part), { recursive: true });
  }
  await write(join(root, 'package.json'), '{}');
  await write(join(root, 'package-lock.json'), JSON.stringify({ packages: { '': {} } }));
  await write(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages: {} }));
  await program(join(root, 'node_modules/.bin/node'), '');
  await program(join(bin, 'tar'), 'PATH=/usr/bin:/bin exec tar "$@"');
  return {
    root,
    bin,
    write,
    program,
    run: (profile, env = {}) =>
      new Promise((resolve) => {
        const options = { cwd: root, env: { PATH: bin, HOME: root, ...env } };
        execFile(process.execPath, [join(root, setup), profile], options, (error, _stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code), text: stderr });
        });
      }),
    onlyTool: (source, rest = {}) =>
      writeFile(
        join(root, 'automation/toolchain/tools.json'),
        JSON.stringify({
          tools: [
            {
              name: 'k6',
              use: 'load tests',
              programs: ['k6'],
              profiles: ['release'],
              wanted: { min: '1.8.1' },
              version: ['version'],
              source: { version: '1.8.1', seconds: 1, ...source },
              byHand: 'see its page',
              ...rest,
            },
          ],
        }),
      ),
    tools: () => readdir(join(root, '.greenlight', 'tools')),
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

export const build = { kind: 'go-install', package: 'go.example.invalid/k6', seconds: 2 };

/** A `go` that "builds" k6, and counts. */
export const goThatBuilds =
  'printf "#!/bin/sh\\necho k6 v1.8.1\\n" > "$GOBIN/k6"; /bin/chmod 755 "$GOBIN/k6"; echo built >> "$HOME/builds"';

export const builds = (root: string): Promise<string> => readFile(join(root, 'builds'), 'utf8').catch(() => '');
