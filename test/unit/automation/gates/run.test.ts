import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  absent,
  absentGate,
  check,
  passes,
  stops,
  type Gate,
  type Measurement,
  type Verdict,
} from '../../../../automation/journal/verdict.ts';
import { judge, runGate } from '../../../../automation/gates/run.ts';
import { createRedactor } from '../../../../infra/lib/redact.ts';

const now = new Date('2026-06-15T12:00:00Z');
const measured = (verdict: Verdict): Measurement => ({ name: verdict, measured: '1', wanted: '2', verdict });
const gate = (measure: Gate['measure']): Gate => ({ id: 'load', title: 'Load test', measure });
const waiver = { gate: 'load', reason: 'known and small', by: 'release manager', expires: '2026-06-15' };

describe('running a gate', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'greenlight-gate-'))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('lets the worst measurement win', async () => {
    const findings = { measurements: [measured('pass'), measured('fail'), measured('inconclusive')] };
    const result = await runGate(
      gate(() => Promise.resolve(findings)),
      { releaseDirectory: directory, now },
    );
    expect(result.verdict).to.equal('fail');
    expect(result.measured).to.contain('and 1 more');
  });

  it('calls it inconclusive when nothing was measured', async () => {
    const result = await runGate(
      gate(() => Promise.resolve({ measurements: [] })),
      { releaseDirectory: directory, now },
    );
    expect(result.verdict).to.equal('inconclusive');
  });

  it('says that a gate for which the definition has nothing was not run, and why', async () => {
    const result = await runGate(absentGate('unit-tests', 'Unit tests', 'the definition has no unit tests'), {
      releaseDirectory: directory,
      now,
      waivers: [{ ...waiver, gate: 'unit-tests' }],
    });
    expect(result).to.deep.include({ verdict: 'not-run', measured: 'the definition has no unit tests' });
    expect([stops(result.verdict), passes(result.verdict)]).to.deep.equal([false, false]);
  });

  it('judges a gate by what was measured, and names what was not', async () => {
    const part = absent('lost writes', '0', 'marked traffic only reads');
    const run = (...others: Verdict[]) =>
      runGate(
        gate(() => Promise.resolve({ measurements: [...others.map(measured), part] })),
        { releaseDirectory: directory, now },
      );
    expect(await run('pass')).to.deep.include({
      verdict: 'pass',
      measured: '1 of 1 checks passed; lost writes: not run: marked traffic only reads',
    });
    expect((await run('pass', 'inconclusive')).verdict).to.equal('inconclusive');
    expect((await run()).verdict).to.equal('not-run');
  });

  it('takes a database without tables for what it should be only where the definition has no migrations', async () => {
    const none: Measurement = { ...measured('inconclusive'), noTable: true };
    const run = (expectsTables: boolean, ...more: Measurement[]) =>
      runGate(
        gate(() => Promise.resolve({ measurements: [none, ...more] })),
        { releaseDirectory: directory, now, expectsTables },
      );
    expect((await run(true)).verdict).to.equal('inconclusive');
    expect((await run(false)).verdict).to.equal('not-run');
    expect((await run(false, measured('fail'))).verdict).to.equal('fail');
  });

  it('turns an exception into an error with its message', async () => {
    const result = await runGate(
      gate(() => Promise.reject(new Error('no such tool'))),
      { releaseDirectory: directory, now },
    );
    expect(result.verdict).to.equal('error');
    expect(result.measurements[0]?.note).to.contain('no such tool');
    expect(result.measured).to.contain('no such tool');
  });

  it('keeps the secrets out of evidence, measurements and messages', async () => {
    const redactor = createRedactor();
    redactor.register('s3cret-value');
    const leaking = gate(async ({ evidence }) => {
      await evidence.write('a.txt', 'header: s3cret-value');
      return { measurements: [check('header', 'hidden', 's3cret-value', false)] };
    });
    const result = await runGate(leaking, { releaseDirectory: directory, now, redactor });
    expect(result.evidence).to.deep.equal(['evidence/load/a.txt']);
    expect(readFileSync(join(directory, 'evidence/load/a.txt'), 'utf8')).to.not.contain('s3cret-value');
    expect(JSON.stringify(result)).to.not.contain('s3cret-value');
  });

  it('gives every run a folder of its own, so that old evidence is never taken for new', async () => {
    const folders: string[] = [];
    const writing = gate(async ({ evidence }) => {
      folders.push(evidence.file(''));
      await evidence.write('a.txt', String(folders.length));
      return { measurements: [measured('pass')] };
    });
    await runGate(writing, { releaseDirectory: directory, now });
    const second = await runGate(writing, { releaseDirectory: directory, now });
    expect(second.evidence).to.deep.equal(['evidence/load-2/a.txt']);
    expect(readFileSync(join(directory, 'evidence/load/a.txt'), 'utf8')).to.equal('1');
  });
});

describe('a waiver', () => {
  const verdict = (of: Verdict, waivers = [waiver], at = now) =>
    judge(
      gate(() => Promise.reject(new Error())),
      { measurements: [measured(of)] },
      waivers,
      at,
    );

  it('covers fail and inconclusive to the end of its last day', () => {
    expect(verdict('fail').verdict).to.equal('waived');
    expect(verdict('inconclusive').verdict).to.equal('waived');
    expect(verdict('fail', [waiver], new Date('2026-06-15T23:59:59Z')).waiver?.by).to.equal('release manager');
  });

  it('ends, and says so', () => {
    const late = verdict('fail', [waiver], new Date('2026-06-16T00:00:00Z'));
    expect(late.verdict).to.equal('fail');
    expect(late.measured).to.contain('ended on 2026-06-15');
  });

  it('never covers an error, nor another gate', () => {
    expect(verdict('error').verdict).to.equal('error');
    expect(verdict('fail', [{ ...waiver, gate: 'tls' }]).verdict).to.equal('fail');
  });

  it('does not touch a pass', () => {
    expect(verdict('pass')).to.include({ verdict: 'pass' }).and.not.have.property('waiver');
  });
});
