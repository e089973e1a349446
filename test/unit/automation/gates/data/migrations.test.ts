import { expect } from 'chai';
import { judgeFacts, type MigrationFacts } from '../../../../../automation/gates/data/migrations.ts';
import { judge } from '../../../../../automation/gates/run.ts';
import { migrationRisks } from '../../../../../automation/journal/migration-risks.ts';
import { worst } from '../../../../../automation/journal/verdict.ts';

describe('judging migrations', () => {
  const finding = (rule: MigrationFacts['judgements'][number]['rule'], stops: boolean, file = '2.sql') => ({
    file,
    line: 3,
    rule,
    stops,
    why: `it ${rule}`,
    instead: 'write it so',
  });
  const facts = (given: Partial<MigrationFacts> = {}): MigrationFacts => ({
    pending: ['2.sql'],
    problems: [],
    judgements: [finding('safe', false)],
    unknown: [],
    ...given,
  });
  const verdict = (given: Partial<MigrationFacts>, accept: Parameters<typeof judgeFacts>[1] = []) =>
    worst(judgeFacts(facts(given), accept).measurements.map((m) => m.verdict));
  const accept = (rule: string, file = '2.sql') => [{ file, rule, reason: 'it was agreed on' }];
  const gate = { id: 'migrations', title: 'Migrations' };
  const resultOf = (given: Partial<MigrationFacts>, accepted: Parameters<typeof judgeFacts>[1] = []) => ({
    ...judge(gate, judgeFacts(facts(given), accepted), [], new Date()),
    evidence: [],
    ms: 1,
    observationMs: 0,
  });

  it('passes where everything is safe, and where nothing is pending', () => {
    expect(verdict({})).to.equal('pass');
    expect(verdict({ pending: [], judgements: [] })).to.equal('pass');
  });

  it('is inconclusive where files hold nothing, or cannot be read', () => {
    expect(verdict({ judgements: [] })).to.equal('inconclusive');
    expect(verdict({ judgements: [finding('unread', true)] })).to.equal('inconclusive');
  });

  it('fails on what the old version or the replication does not survive, and says where, why and what to write', () => {
    for (const rule of ['breaks-old-version', 'breaks-replication', 'not-transactional'] as const) {
      const [found] = judgeFacts(facts({ judgements: [finding(rule, true)] }), []).measurements;
      expect(found).to.include({ name: `${rule} 2.sql:3`, measured: `it ${rule}`, verdict: 'fail' });
      expect(found?.note).to.match(/^2\.sql:3: write it so\./);
    }
  });

  it('says once that a read-only window is another way, and only of what it would help', () => {
    const choice = /migrations\.incompatible/;
    const notes = (judgements: MigrationFacts['judgements'], accepted: Parameters<typeof judgeFacts>[1] = []) =>
      judgeFacts(facts({ judgements }), accepted).measurements.filter(({ note = '' }) => choice.test(note));
    const breaking = [finding('breaks-old-version', true), finding('breaks-replication', true, '3.sql')];
    expect(notes(breaking).map(({ name }) => name)).to.deep.equal(['breaks-replication 3.sql:3']);
    expect(notes([finding('not-transactional', true), finding('breaks-old-version', false)])).to.deep.equal([]);
    expect(notes([finding('breaks-old-version', true)], accept('breaks-old-version'))).to.deep.equal([]);
  });

  it('fails on files that cannot be run, and on accepted files that are not there', () => {
    const problem = { file: '3.SQL', found: 'its name does not end in .sql', todo: 'rename it' };
    expect(verdict({ problems: [problem] })).to.equal('fail');
    expect(verdict({ unknown: ['9.sql'] })).to.equal('fail');
    // Also where nothing else is pending.
    expect(verdict({ pending: [], judgements: [], problems: [problem] })).to.equal('fail');
  });

  it('passes with risks that are named, accepted or not', () => {
    const judgements = [finding('loosens', false), finding('changes-rows', false), finding('long-lock', false)];
    expect(verdict({ judgements })).to.equal('pass');
    const result = resultOf({ judgements }, accept('loosens'));
    expect(result.measured).to.include('3 named as risks');
    expect(migrationRisks([result])).to.deep.equal([
      { rule: 'loosens', place: '2.sql:3', why: 'it loosens', accepted: 'it was agreed on' },
      { rule: 'changes-rows', place: '2.sql:3', why: 'it changes-rows' },
      { rule: 'long-lock', place: '2.sql:3', why: 'it long-lock' },
    ]);
  });

  it('waives what is accepted by file and rule, with the reason, and nothing else', () => {
    const judgements = [finding('breaks-old-version', true)];
    expect(verdict({ judgements }, accept('breaks-old-version'))).to.equal('waived');
    expect(verdict({ judgements }, accept('breaks-old-version', '3.sql'))).to.equal('fail');
    expect(verdict({ judgements }, accept('loosens'))).to.equal('fail');
    expect(verdict({ judgements: [finding('not-transactional', true)] }, accept('not-transactional'))).to.equal('fail');
    const [found] = resultOf({ judgements }, accept('breaks-old-version')).measurements;
    expect(found?.note).to.equal('Accepted: it was agreed on');
  });

  it('names no risk of what failed, and the last run alone', () => {
    expect(migrationRisks([resultOf({ judgements: [finding('breaks-old-version', true)] })])).to.deep.equal([]);
    const risky = resultOf({ judgements: [finding('loosens', false)] });
    expect(migrationRisks([risky, resultOf({})])).to.deep.equal([]);
    expect(migrationRisks([])).to.deep.equal([]);
  });
});
