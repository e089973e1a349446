import { expect } from 'chai';
import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { AccessLog, parseAccessLine } from '../../../../../infra/local/haproxy/access-log.ts';
import { Traffic } from '../../../../../infra/local/haproxy/traffic.ts';
import { parseStat, parseTime } from '../../../../../infra/local/runtime/metrics.ts';

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

  it('[J2] takes the time until the answer began where that lasts as long as somebody listens', () => {
    const ms = (rest: string) => parseAccessLine(`greenlight 17 blue api ${rest}`)?.ms;
    expect(ms('tunnel split 101 3600000 -- - - 3599990')).to.equal(10);
    expect(ms('stream split 200 5000 CD - - 4900')).to.equal(100);
    expect(ms('stream split 504 30000 sH - - -1')).to.equal(30_000);
    expect(ms('read split 200 5000 -- - - 4900')).to.equal(5000);
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

describe('the access log', () => {
  let directory: string;
  let file: string;
  let log: AccessLog;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'gl-log-'));
    file = join(directory, 'balancer.log');
    log = new AccessLog(file);
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  /** Times of what was read, after `anew` where the reading began with the oldest file. */
  const read = async () => {
    const seen: (number | string)[] = [];
    await log.read(
      ({ at }) => seen.push(at),
      () => seen.push('anew'),
    );
    return seen;
  };
  const rotate = async () => {
    await rename(`${file}.1`, `${file}.2`).catch(() => undefined);
    await rename(file, `${file}.1`);
    await writeFile(file, '');
  };

  it('is read on, each line once and whole', async () => {
    await writeFile(file, line(1) + line(2) + 'greenlight 3 blue a');
    expect(await read()).to.deep.equal(['anew', 1, 2]);
    await appendFile(file, 'pi read split 200 3 -- - -\n' + line(4));
    expect(await read()).to.deep.equal([3, 4]);
  });

  it('may have lines that cross the blocks in which it is read', async () => {
    const count = 60_000;
    await writeFile(file, Array.from({ length: count }, (_, index) => line(index)).join(''));
    expect((await read()).slice(1)).to.deep.equal(Array.from({ length: count }, (_, index) => index));
  });

  it('is rotated, also twice between two readings', async () => {
    await writeFile(file, line(1));
    expect(await read()).to.deep.equal(['anew', 1]);
    await appendFile(file, line(2));
    await rotate();
    await appendFile(file, line(3));
    expect(await read()).to.deep.equal([2, 3]);
    await rotate();
    await appendFile(file, line(4));
    await rotate();
    await appendFile(file, line(5));
    expect(await read()).to.deep.equal([4, 5]);
  });

  it('begins again in an emptied file, and where the file that was read last is gone', async () => {
    await writeFile(`${file}.1`, line(1));
    await writeFile(file, line(2) + line(2));
    expect(await read()).to.deep.equal(['anew', 1, 2, 2]);
    await truncate(file);
    await appendFile(file, line(3));
    expect(await read()).to.deep.equal([3]);
    await rename(file, join(directory, 'elsewhere'));
    await writeFile(file, line(4));
    expect(await read()).to.deep.equal(['anew', 1, 4]);
  });

  describe('in windows', () => {
    let traffic: Traffic;
    beforeEach(() => (traffic = new Traffic(file, 300)));
    const requests = async (from: number, to = Infinity) => (await traffic.window(from, to)).colours.blue.requests;
    const minute = 60_000;

    it('is counted from the beginning of the first one on, in rotated files too', async () => {
      await writeFile(`${file}.1`, line(1) + line(2));
      await writeFile(file, line(3) + line(3));
      expect(await requests(2)).to.equal(3);
      await appendFile(file, line(4));
      expect(await requests(2)).to.equal(4);
      expect(await requests(3, 4)).to.equal(2);
    });

    it('is read again for a window that begins earlier, or where none began before', async () => {
      await writeFile(file, line(minute) + line(2 * minute) + line(9 * minute));
      expect(await requests(2 * minute)).to.equal(2);
      expect(await requests(minute, 9 * minute)).to.equal(2);
      expect(await requests(5 * minute)).to.equal(1);
      expect(await requests(2 * minute)).to.equal(2);
    });

    it('is refused for a window whose beginning was rotated away, and goes on for later ones', async () => {
      await writeFile(`${file}.1`, line(100));
      await writeFile(file, line(200));
      expect(await requests(50).catch((reason: unknown) => reason)).to.be.instanceOf(OperationError);
      expect(await requests(100)).to.equal(2);
      expect(await requests(50).catch((reason: unknown) => reason)).to.be.instanceOf(OperationError);
    });

    it('is refused where there is none', async () => {
      expect(await requests(0).catch((reason: unknown) => reason)).to.be.instanceOf(OperationError);
    });
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
