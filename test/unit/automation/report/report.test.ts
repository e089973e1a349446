import { expect } from 'chai';
import { OperationError } from '../../../../infra/lib/errors.ts';
import type { Event, JournalEntry, StructureComparison } from '../../../../automation/journal/events.ts';
import { riskMeasurement } from '../../../../automation/journal/migration-risks.ts';
import { buildReport } from '../../../../automation/report/model/build.ts';
import { renderJson } from '../../../../automation/report/json.ts';
import { journalOf } from '../../../lib/journals.ts';

const firstGoLive = (): JournalEntry[] =>
  journalOf('go').map((entry) => {
    if (entry.type !== 'release.started') return entry;
    const { from: _from, ...rest } = entry;
    return { ...rest, kind: 'go-live' };
  });
const until = (entries: JournalEntry[], last: (entry: JournalEntry) => boolean): JournalEntry[] =>
  entries.slice(0, entries.findIndex(last) + 1);
const append = (entries: JournalEntry[], event: Event): JournalEntry[] => [
  ...entries,
  { ...event, seq: entries.length + 1, at: entries.at(-1)!.at, prev: '' },
];

describe('report of a journal', () => {
  it('of a go has the stable part, complete', () => {
    const report = JSON.parse(renderJson(buildReport(journalOf('go')))) as Record<string, unknown>;
    expect(report).to.deep.include({
      schemaVersion: 1,
      verdict: 'go',
      release: '20261120-220000-2.0.0',
      environment: 'production',
      from: { colour: 'blue', version: '1.4.2' },
      to: { colour: 'green', version: '2.0.0' },
      writes: { acknowledged: 3175, lost: 0, duplicated: 0, unknown: 1 },
      hold: { maxMs: 34, unmeasured: 0 },
      rollback: null,
    });
    expect(report['requests']).to.include({ total: 15876, failed: 0, countedBy: 'synthetic' });
    expect(report['overhead']).to.include({ wallMs: 317531, observationMs: 159480 });
    const [stage] = report['stages'] as object[];
    expect(stage).to.include({ id: 'preflight', verdict: 'pass', ms: 2100, startedAt: '2026-11-20T22:00:00.015Z' });
    const gate = (report['gates'] as { id: string }[]).find(({ id }) => id === 'load');
    expect(gate).to.deep.include({
      verdict: 'pass',
      measured: '4 of 4 checks passed',
      wanted: 'every check',
      evidence: ['evidence/load/log.txt'],
    });
    expect((report['stages'] as { verdict: string }[]).every((s) => s.verdict === 'pass')).to.equal(true);
  });

  it('of a no-go lists what was never reached, as not run', () => {
    const { verdict, stages, gates, requests, checklist } = buildReport(journalOf('no-go'));
    expect(verdict).to.equal('no-go');
    expect(stages.map((s) => s.verdict)).to.deep.equal(['pass', 'pass', 'fail', ...Array<string>(7).fill('not-run')]);
    expect(gates.find((g) => g.id === 'load')!.verdict).to.equal('fail');
    expect(gates.filter((g) => g.verdict === 'not-run').map((g) => g.id)).to.include.members([
      'capacity',
      'user-journey',
    ]);
    expect(requests).to.include({ total: null, failed: null });
    expect(checklist.find((line) => line.id === 'performance')).to.include({
      verdict: 'fail',
      measured: 'p95 of GET /api/lessons: 612 ms',
    });
    expect(checklist.find((line) => line.id === 'downtime')!.verdict).to.equal('not-run');
  });

  it('of a rollback says why, how long and whether anything was lost', () => {
    const { rollback, cutovers, frames, risks } = buildReport(journalOf('rolled-back'));
    expect(rollback).to.include({ automatic: true, ms: 380, lossless: true });
    expect(cutovers.map((c) => c.direction)).to.deep.equal(['forward', 'rollback']);
    expect(frames.at(-1)).to.deep.include({ title: 'Rolled back' });
    expect(frames.at(-1)!.colours.blue).to.include({ readsPercent: 100, writes: true });
    expect(risks.find((risk) => risk.id === 'disruption')!.status).to.equal('held');
  });

  it('of an unfinished release says where it is, and what may or may not have happened', () => {
    const { verdict, reason, stages, unfinished } = buildReport(journalOf('unfinished'));
    expect(verdict).to.equal('in-progress');
    expect(reason).to.include('“Canary”').and.include('resume');
    expect(stages.find((s) => s.id === 'canary')!.verdict).to.equal('running');
    expect(unfinished).to.deep.equal([{ id: 'traffic-10', what: 'set 10 % of reads to green' }]);
  });

  it('can be made after every single entry', () => {
    const entries = journalOf('rolled-back');
    for (let n = 1; n <= entries.length; n += 1) expect(buildReport(entries.slice(0, n)).journal.entries).to.equal(n);
  });

  it('is the readiness report while a person is asked', () => {
    const entries = append(
      until(journalOf('aborted'), (e) => e.type === 'stage.ended' && e.stage === 'prepare'),
      { type: 'stage.started', stage: 'approval' },
    );
    expect(buildReport(entries).reason).to.equal(
      'Ready for the decision: 15 of 15 gates so far have passed, 1 of them by a waiver. No traffic has moved yet.',
    );
  });

  it('draws the states of the traffic with the share that was observed', () => {
    const { frames } = buildReport(journalOf('go'));
    expect(frames.map((frame) => frame.title)).to.deep.equal([
      'Before the release',
      'Green is ready, without traffic',
      'Canary: 10 % of reads',
      'Canary: 50 % of reads',
      'Writes are held',
      'Green is live',
      'After the clean-up',
    ]);
    expect(frames[2]!.observed!.green).to.be.within(7, 9);
    expect(frames[5]!.observed).to.deep.equal({ blue: 0, green: 100 });
  });

  it('of a first go-live starts without traffic', () => {
    const { frames, from } = buildReport(firstGoLive());
    expect(from).to.equal(null);
    expect(frames[0]).to.deep.include({ title: 'Before the first go-live' });
    expect(frames[0]!.colours.blue).to.deep.equal({ version: null, readsPercent: 0, writes: false });
  });

  it('of a first go-live shows the entry point opening, which no traffic entry tells', () => {
    const entries = firstGoLive().filter((e) => e.type !== 'traffic.set' && !e.type.startsWith('cutover.'));
    expect(buildReport(entries).frames.at(-1)).to.deep.include({ title: 'Green is live' });
  });

  it('holds risks for real when the damage was measured', () => {
    const damaged = journalOf('go').map((entry) =>
      entry.type === 'synthetic.ended'
        ? { ...entry, requests: { total: 10, failed: 1 }, writes: { ...entry.writes!, lost: 2 } }
        : entry,
    );
    const { risks, checklist } = buildReport(damaged);
    expect(risks.filter((risk) => risk.status === 'occurred').map((risk) => risk.id)).to.deep.equal([
      'data-loss',
      'disruption',
    ]);
    expect(checklist.find((line) => line.id === 'downtime')).to.include({
      verdict: 'fail',
      measured: '1 of 10 failed, counted by the clients',
    });
  });

  it('names what migrations risk: open until it is accepted, and before the decision', () => {
    const named = (accepted?: string) => {
      const risk = { rule: 'loosens', place: '005.sql:3', why: 'public.a.b may be null' } as const;
      const measurement = riskMeasurement(accepted === undefined ? risk : { ...risk, accepted }, {
        stops: false,
        instead: 'write it so',
      });
      const entries = journalOf('go').map((entry): JournalEntry => {
        if (entry.type !== 'gate.judged' || entry.gate.id !== 'unit-tests') return entry;
        return { ...entry, gate: { ...entry.gate, id: 'migrations', measurements: [measurement] } };
      });
      const decision = entries.findIndex((entry) => entry.type === 'stage.started' && entry.stage === 'approval');
      return {
        risk: buildReport(entries).risks.find(({ id }) => id === 'schema'),
        reason: buildReport(entries.slice(0, decision + 1)).reason,
      };
    };
    const open = named();
    expect(open.risk?.status).to.equal('open');
    expect(open.risk?.mitigations.at(-1)).to.include({
      text: '005.sql:3: public.a.b may be null',
      verdict: 'inconclusive',
      proof: 'loosens: nobody has accepted it',
    });
    expect(open.reason).to.include('Nobody has accepted 1 risk of its migrations');
    const accepted = named('agreed with the team');
    expect(accepted.risk?.status).to.equal('held');
    expect(accepted.risk?.mitigations.at(-1)?.proof).to.equal('loosens, accepted: agreed with the team');
    expect(accepted.reason).to.not.include('Nobody');
  });

  it('never takes an empty measurement for a pass', () => {
    const empty = journalOf('go').map((entry): JournalEntry => {
      if (entry.type === 'synthetic.ended')
        return {
          ...entry,
          requests: { total: 0, failed: 0 },
          writes: { acknowledged: 0, lost: 0, duplicated: 0, unknown: 0 },
        };
      if (entry.type === 'data.compared' || entry.type === 'backup.restored') return { ...entry, tables: [] };
      return entry;
    });
    const verdicts = Object.fromEntries(buildReport(empty).checklist.map((line) => [line.id, line.verdict]));
    expect(verdicts).to.include({ downtime: 'inconclusive', transition: 'inconclusive', backup: 'inconclusive' });
  });

  it('judges what a restored backup has beside its rows', () => {
    const backupOf = (structure: Partial<StructureComparison>) => {
      const journal = journalOf('go').map((entry): JournalEntry => {
        if (entry.type !== 'backup.restored' || entry.structure === undefined) return entry;
        return { ...entry, structure: { ...entry.structure, ...structure } };
      });
      return buildReport(journal).checklist.find(({ id }) => id === 'backup');
    };
    expect(backupOf({})?.verdict).to.equal('pass');
    expect(backupOf({ different: ['sequence s is at 1'] })?.verdict).to.equal('fail');
    expect(backupOf({ unknown: ['index i is missing'] })?.verdict).to.equal('inconclusive');
  });

  it('judges a table that differs, and names it', () => {
    const broken = journalOf('go').map((entry) =>
      entry.type === 'data.compared' && entry.moment === 'cutover'
        ? {
            ...entry,
            tables: entry.tables.map((t) =>
              t.table === 'users' ? { ...t, equal: false, detail: '3 rows only on blue' } : t,
            ),
          }
        : entry,
    );
    const line = buildReport(broken).checklist.find(({ id }) => id === 'transition');
    expect(line).to.include({ verdict: 'fail', measured: 'not equal: users (cutover)' });
  });

  it('gives a gate that no requirement names a line of its own', () => {
    const gate = {
      id: 'load-endpoints',
      title: 'New',
      verdict: 'fail' as const,
      measured: 'x',
      wanted: 'y',
      measurements: [],
      evidence: [],
      ms: 1,
      observationMs: 0,
    };
    const report = buildReport(append(journalOf('go'), { type: 'gate.judged', stage: 'bake', gate }));
    expect(report.checklist.at(-1)).to.deep.include({ id: 'other', verdict: 'fail', gates: ['load-endpoints'] });
  });

  it('takes the last result of a gate that was judged again', () => {
    const entries = journalOf('no-go');
    const judged = entries.find((e) => e.type === 'gate.judged' && e.gate.id === 'load')!;
    if (judged.type !== 'gate.judged') throw new Error('no load gate');
    const again = append(entries, {
      type: 'gate.judged',
      stage: judged.stage,
      gate: { ...judged.gate, verdict: 'pass' },
    });
    expect(
      buildReport(again)
        .gates.filter((g) => g.id === 'load')
        .map((g) => g.verdict),
    ).to.deep.equal(['pass']);
  });

  it('thins a long release and keeps its peaks and its sum', () => {
    const entries = journalOf('go');
    const windows = entries.flatMap((e) => (e.type === 'traffic.observed' ? [e] : []));
    const many: JournalEntry[] = Array.from({ length: 2000 }, (_, i) => {
      const window = windows[i % windows.length]!;
      const blue = { ...window.colours.blue, p95Ms: i === 1234 ? 9999 : 5 };
      return { ...window, from: i * 1000, to: (i + 1) * 1000, colours: { ...window.colours, blue } };
    });
    const { traffic } = buildReport([entries[0]!, ...many]);
    expect(traffic.length).to.be.at.most(240);
    expect(Math.max(...traffic.map((p) => p.colours.blue.p95Ms!))).to.equal(9999);
    const sum = traffic.reduce((total, p) => total + (p.colours.blue.perSecond * (p.to - p.from)) / 1000, 0);
    expect(Math.round(sum)).to.equal(
      many.reduce((total, e) => total + (e.type === 'traffic.observed' ? e.colours.blue.requests : 0), 0),
    );
  });

  it('cannot be made of a journal without a release', () => {
    expect(() => buildReport([])).to.throw(OperationError, 'no start of a release');
  });
});
