import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { OperationError } from '../../../../infra/lib/errors.ts';
import { acquireLock, LockedError, readLock, type LockHolder } from '../../../../automation/commands/lock.ts';

const lockModule = join(import.meta.dirname, '../../../../automation/commands/lock.ts');

/** Takes the lock when told to, says how that went, and keeps it until it is told to release or is killed. */
const taker = `
  const { acquireLock } = await import(${JSON.stringify(lockModule)});
  let lock;
  for await (const line of (await import('node:readline')).createInterface({ input: process.stdin })) {
    const [verb, release] = line.split(' ');
    try {
      if (verb === 'take') { lock = acquireLock(process.argv[1], { owner: 'tester', release }); console.log('won ' + (lock.note ?? '')); }
      if (verb === 'unlock') { lock.unlock(); console.log('unlocked'); }
    } catch (error) { console.log(error.name + ' ' + error.message.replaceAll('\\n', ' ')); }
  }`;

describe('lock of an environment, with real processes', () => {
  let directory: string;
  const children: ChildProcess[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'lock-'));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) await kill(child);
    rmSync(directory, { recursive: true });
  });

  const start = () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', taker, directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ask = async (line: string): Promise<string> => {
      child.stdin.write(`${line}\n`);
      return String((await answers.next()).value);
    };
    return { child, ask };
  };
  const kill = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  const lockFiles = (): string[] => readdirSync(directory).filter((f) => f.startsWith('lock'));
  const change = (to: Partial<LockHolder>): void => {
    const file = join(directory, 'lock.json');
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as LockHolder), ...to }));
  };

  it('is refused while its owner lives, saying who and since when, and free after it', async () => {
    const first = start();
    expect(await first.ask('take r1')).to.equal('won ');
    expect(() => acquireLock(directory, { owner: 'second', release: 'r2' }))
      .to.throw(LockedError, /tester has it for release r1 since \d{4}-.*process \d+ on /)
      .with.property('holder')
      .include({ pid: first.child.pid });
    expect(readLock(directory)?.release).to.equal('r1');
    await first.ask('unlock');
    expect(readLock(directory)).to.equal(undefined);
    const lock = acquireLock(directory, { owner: 'second', release: 'r2' });
    expect(lock.note).to.equal(undefined);
    lock.unlock();
    expect(lockFiles()).to.deep.equal([]);
  });

  it('is taken over from a killed owner by exactly one of many, again and again', async () => {
    let owner = start();
    await owner.ask('take r0');
    const takers = Array.from({ length: 4 }, start);
    for (let round = 1; takers.length > 0; round += 1) {
      await kill(owner.child);
      const answers = await Promise.all(takers.map((t) => t.ask(`take r${round}`)));
      const winners = takers.filter((_, i) => answers[i]!.startsWith('won'));
      expect(winners, answers.join('\n')).to.have.length(1);
      expect(answers.filter((a) => a.startsWith('LockedError'))).to.have.length(takers.length - 1);
      expect(answers.find((a) => a.startsWith('won'))).to.match(
        /took over the lock of release r\d+ by tester: its process \d+ is dead/,
      );
      owner = winners[0]!;
      takers.splice(takers.indexOf(owner), 1);
    }
    await owner.ask('unlock');
    expect(lockFiles(), 'nothing of the whole chain stays').to.deep.equal([]);
  });

  it('is won by exactly one of many when it is free', async () => {
    const takers = Array.from({ length: 4 }, start);
    const answers = await Promise.all(takers.map((t) => t.ask('take r1')));
    expect(answers.filter((a) => a.startsWith('won'))).to.have.length(1);
  });

  it('is taken over where the pid belongs to another process by now', () => {
    acquireLock(directory, { owner: 'first', release: 'r1' });
    change({ processStart: '1' });
    const lock = acquireLock(directory, { owner: 'second', release: 'r2' });
    expect(lock.note).to.include('its pid belongs to another process');
    lock.unlock();
  });

  it('of another machine is only taken over after its lease, and the old owner notices', () => {
    const old = acquireLock(directory, { owner: 'first', release: 'r1' });
    change({ host: `not-${hostname()}`, leaseUntil: new Date(Date.now() + 60_000).toISOString() });
    expect(() => acquireLock(directory, { owner: 'second', release: 'r2' })).to.throw(
      LockedError,
      'can be taken over after',
    );
    expect(old.held()).to.equal(true);
    change({ leaseUntil: new Date(Date.now() - 1).toISOString() });
    const lock = acquireLock(directory, { owner: 'second', release: 'r2' });
    expect(lock.note).to.include('has not renewed it');
    expect(old.held()).to.equal(false);
    old.unlock();
    expect(lock.held(), 'the old owner cannot release what is not its own').to.equal(true);
    lock.unlock();
  });

  it('renews its lease', async () => {
    const lock = acquireLock(directory, { owner: 'first', release: 'r1', leaseMs: 60 });
    const first = lock.holder.leaseUntil;
    while (readLock(directory)?.leaseUntil === first) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(Date.parse(readLock(directory)!.leaseUntil)).to.be.above(Date.parse(first));
    lock.unlock();
  });

  it('that cannot be read stops everything, and says so', () => {
    writeFileSync(join(directory, 'lock.json'), '{"tok');
    expect(() => acquireLock(directory, { owner: 'x', release: 'y' })).to.throw(OperationError, 'delete this file');
  });
});
