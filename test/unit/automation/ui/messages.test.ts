import { hostname } from 'node:os';
import { expect } from 'chai';
import { OperationError } from '../../../../infra/lib/errors.ts';
import { LockedError } from '../../../../automation/commands/lock.ts';
import { secrets } from '../../../../infra/lib/redact.ts';
import { printError } from '../../../../automation/ui/error.ts';
import { exitCodeOf } from '../../../../automation/ui/exit-codes.ts';
import { renderStatus, type StatusModel } from '../../../../automation/ui/status.ts';
import { painter } from '../../../../automation/ui/text.ts';

const print = (error: unknown, env: Record<string, string> = {}) => {
  let text = '';
  const code = printError(error, { write: (part: string) => (text += part) } as unknown as NodeJS.WritableStream, env);
  return { text, code };
};

describe('errors in the terminal', () => {
  it('of the user are three lines: doing, found, to do', () => {
    const { text, code } = print(
      new OperationError(
        'reading greenlight.config.ts',
        '2 keys are wrong:\ncanary.steps: too big\nx: unknown',
        'correct them',
      ),
    );
    expect(text.split('\n')).to.deep.equal([
      '✕ reading greenlight.config.ts',
      '  found: 2 keys are wrong:',
      '         canary.steps: too big',
      '         x: unknown',
      '  to do: correct them',
      '',
    ]);
    expect(code).to.equal(1);
  });

  it('of Greenlight say so and how to report them, with a stack only on demand', () => {
    const error = new TypeError('x is not a function', { cause: new Error('deeper') });
    const { text, code } = print(error);
    expect(text)
      .to.include('defect of Greenlight')
      .and.include('x is not a function')
      .and.include('DEBUG=greenlight')
      .and.not.include('    at ');
    expect(code).to.equal(70);
    expect(print(error, { DEBUG: 'other,greenlight' }).text)
      .to.include('    at ')
      .and.include('caused by Error: deeper');
  });

  it('of a lock have a code of their own', () => {
    const holder = {
      token: 't',
      pid: 1,
      processStart: '1',
      host: hostname(),
      owner: 'ops',
      release: 'r1',
      since: 's',
      leaseUntil: 'l',
    };
    expect(print(new LockedError(holder, '/e')).code).to.equal(5);
  });

  it('are never wider than the window', () => {
    let text = '';
    const window = { write: (part: string) => (text += part), columns: 40 } as unknown as NodeJS.WritableStream;
    const problem = 'aws.integrations.payments: is missing: tasks on AWS cannot reach a stand-in of this machine';
    printError(new OperationError('reading a file with a long name/of/one', `1 problem\n${problem}`, 'x'), window, {});
    const lines = text.split('\n');
    expect(Math.max(...lines.map((line) => line.length))).to.be.at.most(40);
    expect(lines.map((line) => line.trim()).join(' ')).to.include(problem);
  });

  it('hold no secret', () => {
    secrets.register('correct horse battery');
    expect(print(new OperationError('connecting', 'correct horse battery was refused', 'x')).text).to.include(
      '*** was refused',
    );
    let text = '';
    const window = { write: (part: string) => (text += part), columns: 22 } as unknown as NodeJS.WritableStream;
    printError(new OperationError('connecting', 'it was correct horse battery', 'x'), window, {});
    expect(text).to.include('***').and.not.include('horse');
  });

  it('are understood whatever is thrown', () => {
    expect(print('just text')).to.deep.include({ code: 70 }).with.property('text').includes('just text');
  });
});

describe('exit codes', () => {
  it('tell the verdicts apart', () => {
    expect((['go', 'no-go', 'rolled-back', 'failed', 'aborted'] as const).map((v) => exitCodeOf(v))).to.deep.equal([
      0, 2, 3, 1, 130,
    ]);
    expect(exitCodeOf('no-go', true)).to.equal(4);
  });
});

describe('status in the terminal', () => {
  const model: StatusModel = {
    environments: [
      {
        name: 'production',
        entry: 'https://localhost:8443',
        split: { live: 'blue', percent: 10 },
        colours: [
          {
            colour: 'blue',
            version: '1.4.2',
            role: 'live',
            weightPercent: 90,
            instances: { up: 4, total: 4 },
            database: 'primary',
            lagBytes: undefined,
            lagMs: undefined,
          },
          {
            colour: 'green',
            version: '2.0.0',
            role: 'canary',
            weightPercent: 10,
            instances: { up: 3, total: 4 },
            database: 'replica',
            lagBytes: 1200,
            lagMs: 3,
          },
        ],
        holdMs: 0,
        alerts: [{ alert: 'InstanceDown', since: Date.parse('2026-11-20T22:01:00Z') }],
        lastRelease: { id: 'r2', version: '2.0.0', verdict: 'in progress', endedAt: undefined },
      },
      {
        name: 'staging',
        entry: undefined,
        split: undefined,
        colours: [],
        holdMs: 0,
        alerts: [],
        lastRelease: undefined,
      },
    ],
  };

  it('is a table per environment', () => {
    expect(renderStatus(model, painter(false)).split('\n')).to.deep.equal([
      'production  https://localhost:8443',
      '  colour  version  role    reads  instances  database  lag',
      '  blue    1.4.2    live    90 %   4 of 4 up  primary',
      '  green   2.0.0    canary  10 %   3 of 4 up  replica   3 ms, 1.2 kB',
      '  writes   flow',
      '  alerts   InstanceDown since 20 Nov 2026, 22:01:00 UTC',
      '  release  r2, 2.0.0: in progress',
      '',
      'staging  not up',
    ]);
  });

  it('names the last release also where the environment is down, or cannot be looked at', () => {
    const [production, staging] = model.environments;
    const gone = { ...staging!, lastRelease: { id: 'r1', version: '2.0.0', verdict: 'no-go', endedAt: undefined } };
    const mute = { ...production!, problem: 'no answer' };
    expect(renderStatus({ environments: [gone, mute] }, painter(false)).split('\n')).to.deep.equal([
      'staging  not up',
      '  release  r1, 2.0.0: no-go',
      '',
      'production  cannot be looked at',
      '  no answer',
      '  release  r2, 2.0.0: in progress',
    ]);
  });

  it('says that writes are refused, and for how long at most', () => {
    const refused = { environments: [{ ...model.environments[0]!, holdMs: 9500, refuses: true as const }] };
    expect(renderStatus(refused, painter(false))).to.include('writes   refused with 503 for at most 9.5 s more');
  });

  it('says that writes are held, and what there is to do where nothing is up', () => {
    const held = { environments: [{ ...model.environments[0]!, holdMs: 1500 }] };
    expect(renderStatus(held, painter(false))).to.include('writes   held for at most 1.5 s more');
    expect(renderStatus({ environments: [] }, painter(false))).to.include('npm run release');
  });
});
