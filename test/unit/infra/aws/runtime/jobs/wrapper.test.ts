import { expect } from 'chai';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { authorityVariable, parseOutput, wrappedCommand } from '../../../../../../infra/aws/runtime/jobs/wrapper.ts';

const marker = 'greenlight-0123456789abcdef';

describe('wrapper of a job', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'greenlight wrapper '))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const argv = (command: string[], more: { results?: string; keepHome?: boolean } = {}) =>
    wrappedCommand({ marker, directory: join(folder, 'work'), command, keepHome: false, ...more });
  /** Really run by sh. */
  function run(command: string[], more: Parameters<typeof argv>[1] = {}, env: Record<string, string> = {}) {
    const [program = '', ...args] = argv(command, more);
    const done = spawnSync(program, args, {
      env: { PATH: process.env['PATH'], HOME: '/home/me', ...env },
      encoding: 'utf8',
    });
    return { status: done.status, ...parseOutput(done.stdout.split('\n').slice(0, -1), marker), stderr: done.stderr };
  }

  it('ends with the exit code of the command, and says it', () => {
    const { status, exitCode, lines } = run(['sh', '-c', 'echo "two  words"; exit 7']);
    expect({ status, exitCode, lines }).to.deep.equal({ status: 7, exitCode: 7, lines: ['two  words'] });
  });

  it('gives the command its arguments as they are', () => {
    const awkward = [`it's`, '"$HOME"', '$(exit 1)', 'ünï', 'two\nlines', ''];
    const { lines } = run(['node', '-e', 'console.log(JSON.stringify(process.argv.slice(1)))', ...awkward]);
    expect(JSON.parse(lines.join('\n'))).to.deep.equal(awkward);
  });

  it('prints results behind the output, also of a command that failed', () => {
    const results = join(folder, 'work/results.xml');
    const {
      status,
      results: found,
      lines,
    } = run(['sh', '-c', 'printf "<a/>ü" > "$0"; printf open; exit 1', results], { results });
    expect(status).to.equal(1);
    expect(found?.toString()).to.equal('<a/>ü');
    expect(lines).to.deep.equal(['open']);
  });

  it('prints none where none were written, and an empty file as one', () => {
    const results = join(folder, 'work/results.xml');
    expect(run(['true'], { results }).results).to.equal(undefined);
    expect(run(['sh', '-c', ': > "$0"', results], { results }).results?.length).to.equal(0);
  });

  it('gives a directory of its own, and takes it away', () => {
    const { lines } = run(['sh', '-c', 'echo "$TMPDIR:$HOME"; touch "$TMPDIR/x"']);
    expect(lines).to.deep.equal([`${join(folder, 'work')}:${join(folder, 'work')}`]);
    expect(existsSync(join(folder, 'work'))).to.be.false;
    expect(run(['sh', '-c', 'echo "$HOME"'], { keepHome: true }).lines).to.deep.equal(['/home/me']);
  });

  it('makes a file of the authority that is to be trusted', () => {
    const show = ['sh', '-c', `cat "$NODE_EXTRA_CA_CERTS"; echo "[$${authorityVariable}]"`];
    expect(run(show, {}, { [authorityVariable]: 'PEM\ntext' }).lines).to.deep.equal(['PEM', 'text', '[]']);
    expect(run(['sh', '-c', 'echo "[$NODE_EXTRA_CA_CERTS]"']).lines).to.deep.equal(['[]']);
  });

  it('says where there is no such program, or no place to write', () => {
    expect(run(['no-such-program'])).to.include({ status: 127, refused: 'missing', exitCode: undefined });
    const [program = '', ...args] = wrappedCommand({
      marker,
      directory: '/proc/none',
      command: ['true'],
      keepHome: true,
    });
    const done = spawnSync(program, args, { encoding: 'utf8' });
    expect(parseOutput(done.stdout.split('\n'), marker).refused).to.equal('cannot write');
  });

  it('passes SIGTERM on, and waits for what the command does then', async () => {
    const results = join(folder, 'work/results.xml');
    const script = `process.on('SIGTERM', () => setTimeout(() => { require('fs').writeFileSync(process.argv[1], 'late'); process.exit(5) }, 200)); console.log('ready'); setInterval(() => {}, 1000)`;
    const [program = '', ...args] = argv(['node', '-e', script, results], { results });
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (data: Buffer) => (text += data.toString()));
    while (!text.includes('ready')) await sleep(10);
    child.kill('SIGTERM');
    const code = await new Promise((done) => child.once('close', done));
    const output = parseOutput(text.split('\n'), marker);
    expect([code, output.exitCode, output.results?.toString()]).to.deep.equal([5, 5, 'late']);
  });
});

describe('output of a job', () => {
  const parse = (...lines: string[]) => parseOutput(lines, marker);

  it('has no results where a part of them, or the end, is missing', () => {
    const whole = [
      `${marker} data H4sIAAAAAAAAA8vILCpRSMxLUQCzFUpS`,
      `${marker} data iwtKMvPTAQDJ2ySiFAAAAA==`,
      `${marker} end 0`,
    ];
    expect(parse(...whole.slice(0, 2)).results).to.equal(undefined);
    expect(parse(whole[0] ?? '', whole[2] ?? '').results).to.equal(undefined);
  });

  it('is not mistaken for what the wrapper says, where it only looks like it', () => {
    const { lines, exitCode } = parse(
      `${marker.slice(0, -1)} end 3`,
      `/tmp/${marker}/x`,
      `${marker} end 0`,
      'to stderr, later',
    );
    expect(lines).to.deep.equal([`${marker.slice(0, -1)} end 3`, `/tmp/${marker}/x`, 'to stderr, later']);
    expect(exitCode).to.equal(0);
  });

  it('keeps what was written without an end of line', () => {
    expect(parse(`open${marker} end 0`).lines).to.deep.equal(['open']);
    expect(parse('a', '', 'b', `${marker} end 0`).lines).to.deep.equal(['a', '', 'b']);
  });
});
