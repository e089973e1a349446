import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const module = new URL('../../../../../infra/local/postgres/unprivileged.ts', import.meta.url).href;

/** What `unprivileged` makes of `true` in a process that was started behind `prefix`; or why it refuses. */
function argumentsFor(directory: string, prefix: string[] = []): string {
  const program = `import { unprivileged } from ${JSON.stringify(module)};
    try { console.log(unprivileged(['true'], process.argv[1]).join(' ')); } catch (error) { console.log(error.message); }`;
  const [command = '', ...args] = [...prefix, process.execPath, '--input-type=module', '-e', program, directory];
  return execFileSync(command, args, { encoding: 'utf8' });
}

const without = (...capabilities: string[]): string[] => [
  'setpriv',
  `--bounding-set=${capabilities.map((name) => `-${name}`).join(',')}`,
  `--inh-caps=-all`,
];

describe('a server of root', () => {
  let folder: string;
  before(async function () {
    if (process.getuid?.() !== 0 || process.platform !== 'linux') this.skip();
    folder = await mkdtemp(join(tmpdir(), 'greenlight-'));
    await mkdir(join(folder, 'data'), { mode: 0o755 });
  });
  after(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  it('has no rights at all where its user can get to the data', async () => {
    await chmod(folder, 0o755);
    expect(argumentsFor(join(folder, 'data'))).to.match(/--reuid=\d+ .*--inh-caps=-all true\n$/);
    await chmod(folder, 0o700);
  });

  it('may pass through directories, and no more, where root alone can get to the data', () => {
    expect(argumentsFor(join(folder, 'data/not/yet/there'))).to.contain('--ambient-caps=-all,+dac_read_search true');
  });

  it('makes do with the wider capability where a container has only that', () => {
    expect(argumentsFor(join(folder, 'data'), without('dac_read_search'))).to.contain(
      '--ambient-caps=-all,+dac_override true',
    );
  });

  it('is refused, with the reason, where there is no way', () => {
    expect(argumentsFor(join(folder, 'data'), without('dac_read_search', 'dac_override'))).to.match(
      /^running PostgreSQL as \w+ in .*: \w+ cannot reach that directory.*\n {2}move the project/,
    );
  });
});
