import { expect } from 'chai';
import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { AccessLog, parseAccessLine, type AccessRecord } from '../../../../../infra/local/haproxy/access-log.ts';
import { parseStat, parseTime, summarize } from '../../../../../infra/local/runtime/metrics.ts';

const line = (at: number, rest = 'blue api read split 200 3 -- - -') => `greenlight ${at} ${rest}\n`;

describe('a line of the access log', () => {
  it('is read with all its fields', () => {
    expect(parseAccessLine('greenlight 17 green api write wrote 502 12 SH synthetic -')).to.deep.equal({
      at: 17,
      colour: 'green',
      service: 'api',
      kind: 'write',
      by: 'wrote',
      status: 502,
      ms: 12,
      state: 'SH',
      synthetic: true,
    });
    expect(parseAccessLine('greenlight 17 - web read - 404 0 LR - -')?.colour).to.equal(undefined);
  });

  it('is told from what else the balancer writes', () => {
    for (const other of [
      '',
      '[WARNING] (1) : Server x is DOWN',
      'greenlight',
      'greenlight x blue api read split 200 3 -- - -',
    ]) {
      expect(parseAccessLine(other), other).to.equal(undefined);
    }
  });
});

describe('following the access log', () => {
  let directory: string;
  let file: string;
  let log: AccessLog;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'gl-log-'));
    file = join(directory, 'balancer.log');
    log = new AccessLog(file);
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  const times = async (from: number) => (await log.since(from)).map(({ at }) => at);
  const rotate = async () => {
    await rename(`${file}.1`, `${file}.2`).catch(() => undefined);
    await rename(file, `${file}.1`);
    await writeFile(file, '');
  };

  it('reads what is new, and each line once and whole', async () => {
    await writeFile(file, line(1) + line(2) + 'greenlight 3 blue a');
    expect(await times(0)).to.deep.equal([1, 2]);
    await appendFile(file, 'pi read split 200 3 -- - -\n' + line(4));
    expect(await times(0)).to.deep.equal([1, 2, 3, 4]);
    expect(await times(3)).to.deep.equal([3, 4]);
  });

  it('reads lines that cross the blocks in which it reads', async () => {
    const count = 60_000;
    await writeFile(file, Array.from({ length: count }, (_, index) => line(index)).join(''));
    expect(await times(0)).to.deep.equal(Array.from({ length: count }, (_, index) => index));
  });

  it('survives rotation, also twice between two calls', async () => {
    await writeFile(file, line(1));
    expect(await times(0)).to.deep.equal([1]);
    await appendFile(file, line(2));
    await rotate();
    await appendFile(file, line(3));
    expect(await times(0)).to.deep.equal([1, 2, 3]);
    await rotate();
    await appendFile(file, line(4));
    await rotate();
    await appendFile(file, line(5));
    expect(await times(0)).to.deep.equal([1, 2, 3, 4, 5]);
  });

  it('starts in rotated files, and begins again in an emptied one', async () => {
    await writeFile(`${file}.1`, line(1) + line(2));
    await writeFile(file, line(3) + line(3));
    expect(await times(1)).to.deep.equal([1, 2, 3, 3]);
    await truncate(file);
    await appendFile(file, line(4));
    expect(await times(4)).to.deep.equal([4]);
  });

  it('goes back for a window that begins earlier', async () => {
    const old = 1_000;
    const recent = 10_000_000;
    await writeFile(file, line(old) + line(recent));
    expect(await times(recent)).to.deep.equal([recent]);
    expect(await times(0)).to.deep.equal([old, recent]);
  });

  it('rejects a window whose beginning was rotated away, and goes on for later ones', async () => {
    await writeFile(`${file}.1`, line(100));
    await writeFile(file, line(200));
    const error = await log.since(50).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(OperationError);
    expect(await times(100)).to.deep.equal([100, 200]);
  });

  it('rejects when there is no log', async () => {
    expect(await log.since(0).catch((reason: unknown) => reason)).to.be.instanceOf(OperationError);
  });
});

describe('a window of traffic', () => {
  const record = (more: Partial<AccessRecord>): AccessRecord => ({
    at: 10,
    colour: 'blue',
    service: 'api',
    kind: 'read',
    by: 'split',
    status: 200,
    ms: 5,
    state: '--',
    synthetic: false,
    ...more,
  });
  const blue = (...records: AccessRecord[]) => summarize(records, 0, 100, 300).colours.blue;

  it('is half open: with its beginning, without its end', () => {
    const records = [0, 99, 100].map((at) => record({ at }));
    expect(blue(...records).requests).to.equal(2);
    expect(summarize(records, 0, 100, 300).newestAt).to.equal(100);
    expect(summarize([], 0, 100, 300).newestAt).to.equal(undefined);
  });

  it('counts as errors: 5xx, no answer, and answers that broke off', () => {
    const errors = [
      { status: 500 },
      { status: -1 },
      { status: 0 },
      { state: 'SD' },
      { state: 'sD' },
      { status: 504, state: 'sH' },
    ];
    for (const error of errors)
      expect(blue(record(error)), JSON.stringify(error)).to.include({ requests: 1, errors: 1 });
    for (const fine of [{ status: 404 }, { status: 301 }, { state: 'CD' }]) {
      expect(blue(record(fine)), JSON.stringify(fine)).to.include({ requests: 1, errors: 0 });
    }
  });

  it('counts a client that left as an error only where it had waited in vain', () => {
    expect(blue(record({ status: -1, state: 'CH', ms: 299 })).requests).to.equal(0);
    expect(blue(record({ status: -1, state: 'CH', ms: 300 }))).to.include({ requests: 1, errors: 1 });
  });

  it('leaves out the header route and what reached no colour', () => {
    expect(blue(record({ by: 'header' }), record({ colour: undefined })).requests).to.equal(0);
  });
});

describe('CPU time', () => {
  it('is read from /proc/<pid>/stat, whatever the name of the process holds', () => {
    const stat = '42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 150 50 20 30 20 0 1 0 99';
    expect(parseStat(stat)).to.deep.equal({ pid: 42, parent: 7, seconds: 2.5 });
    expect(parseStat('')).to.equal(undefined);
  });

  it('is read from ps', () => {
    expect(parseTime('0:01.50')).to.equal(1.5);
    expect(parseTime('02:03:04')).to.equal(7384);
    expect(parseTime('1-00:00:10')).to.equal(86_410);
  });
});
