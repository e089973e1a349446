import { expect } from 'chai';
import { problemsOf, saysWhere, validWaiver, type Case, type Draft } from './problems-of.ts';

/* eslint-disable @typescript-eslint/no-unsafe-member-access -- see Draft */

const incompatible = { files: ['006.sql'], readOnlyWindow: { longestSeconds: 60 } };
/** A definition that is right but for one key of `migrations.incompatible`. */
const withWindow = (change: object, expected: string): [(draft: Draft) => void, string] => [
  (d) => {
    d.canary = { steps: [] };
    d.application.migrations.incompatible = { ...incompatible, ...change };
  },
  `application.migrations.incompatible.${expected}`,
];

const cases: Case[] = [
  [
    'contract names with the command form',
    (d) => (d.application.migrations = { expand: ['migrate'], contract: ['004.sql'] }),
    'application.migrations.contract[0]: "004.sql" is the name of a file; file names need "directory"',
  ],
  [
    'a contract name with a folder',
    (d) => (d.application.migrations.contract = ['../004.sql']),
    'application.migrations.contract[0]: "../004.sql" is not the name of an SQL file',
  ],
  [
    'a canary before a read-only window',
    (d) => (d.application.migrations.incompatible = incompatible),
    'canary.steps: there can be no canary: with application.migrations.incompatible the new version serves nobody before the read-only window; set it to [], or take incompatible out',
  ],
  [
    'a canary before a read-only window of a command',
    (d) => {
      const { readOnlyWindow } = incompatible;
      d.application.migrations = { expand: ['migrate'], incompatible: { command: ['more'], readOnlyWindow } };
      d.canary = { steps: [50] };
    },
    'canary.steps: there can be no canary',
  ],
  [
    'an incompatible name with a folder',
    ...withWindow({ files: ['b/006.sql'] }, 'files[0]: "b/006.sql" is not the name of an SQL file'),
  ],
  [
    'an incompatible name twice',
    ...withWindow({ files: ['006.sql', '006.sql'] }, 'files[1]: "006.sql" is there twice'),
  ],
  ['no incompatible name', ...withWindow({ files: [] }, 'files: found []; give at least 1 entry')],
  [
    'a file that is incompatible and contract',
    (d) => {
      d.canary = { steps: [] };
      d.application.migrations = { directory: 'migrations', contract: ['006.sql'], incompatible };
    },
    'application.migrations.incompatible.files[0]: "006.sql" is in contract, too; a file runs once, so remove one',
  ],
  [
    'a window whose length nobody has thought about',
    ...withWindow({ readOnlyWindow: {} }, 'readOnlyWindow.longestSeconds: is missing; give a number: longest time'),
  ],
  [
    'a window without end',
    ...withWindow(
      { readOnlyWindow: { longestSeconds: 3601 } },
      'readOnlyWindow.longestSeconds: found 3601; give at most 3600',
    ),
  ],
  [
    'a window that is over before it begins',
    ...withWindow({ readOnlyWindow: { longestSeconds: 4 } }, 'readOnlyWindow.longestSeconds: found 4; give at least 5'),
  ],
  [
    'an accepted finding of a rule that is none',
    (d) => (d.application.migrations.accept = [{ file: '005.sql', rule: 'losens', reason: 'longer names come later' }]),
    'application.migrations.accept[0].rule: found "losens"; choose one of "breaks-old-version", "breaks-replication", "loosens"',
  ],
  [
    'an accepted finding that no file can have',
    (d) =>
      (d.application.migrations.accept = [{ file: 'a/005.sql', rule: 'loosens', reason: 'longer names come later' }]),
    'application.migrations.accept[0].file: "a/005.sql" is not the name of an SQL file',
  ],
  [
    'an accepted finding that is about nothing',
    (d) => (d.application.migrations.accept = [{ rule: 'loosens', reason: 'longer names come later' }]),
    'application.migrations.accept[0]: it needs a file or an object',
  ],
  [
    'an accepted finding of a command that is about a file',
    (d) =>
      (d.application.migrations = {
        expand: ['migrate'],
        accept: [{ object: 'public.a', file: '005.sql', rule: 'loosens', reason: 'longer names come later' }],
      }),
    'application.migrations.accept[0].file: unknown key',
  ],
  [
    'an accepted finding that cannot run',
    (d) =>
      (d.application.migrations.accept = [{ file: '005.sql', rule: 'not-transactional', reason: 'it is faster so' }]),
    'application.migrations.accept[0].rule: found "not-transactional"; choose one of',
  ],
  [
    'an accepted finding without a reason',
    (d) => (d.application.migrations.accept = [{ file: '005.sql', rule: 'loosens', reason: 'ok' }]),
    'application.migrations.accept[0].reason: found "ok"; give at least 10 characters',
  ],
  [
    'a finding that is accepted twice',
    (d) => {
      const entry = { file: '005.sql', rule: 'loosens', reason: 'longer names come later' };
      d.application.migrations.accept = [entry, { ...entry }];
    },
    'application.migrations.accept[1]: "loosens" of 005.sql is there twice; remove one',
  ],
];

describe('messages about wrong migrations', () => {
  saysWhere(cases);

  it('says that a key belongs to the other form of the migrations', () => {
    const files = (d: Draft) => {
      d.canary = { steps: [] };
      d.application.migrations = { expand: ['migrate'], incompatible };
    };
    expect(problemsOf(files)).to.deep.equal([
      'application.migrations.incompatible.command: is missing; give a list, in [ ]',
      'application.migrations.incompatible.files: unknown key here: it belongs to another form of this setting, so leave it out',
    ]);
  });

  it('accepts a release without a canary, and one with a read-only window', () => {
    expect(problemsOf((d) => (d.canary = { steps: [] }))).to.deep.equal([]);
    for (const longestSeconds of [5, 3600]) {
      const files = (d: Draft) => {
        d.canary = { steps: [] };
        d.application.migrations.incompatible = { ...incompatible, readOnlyWindow: { longestSeconds } };
      };
      expect(problemsOf(files)).to.deep.equal([]);
    }
    const command = (d: Draft) => {
      const { readOnlyWindow } = incompatible;
      d.canary = { steps: [] };
      d.application.migrations = { expand: ['migrate'], incompatible: { command: ['more'], readOnlyWindow } };
      d.waivers = [{ ...validWaiver, gate: 'read-only-window' }];
    };
    expect(problemsOf(command)).to.deep.equal([]);
    const withoutWindow = problemsOf((d) => (d.waivers = [{ ...validWaiver, gate: 'read-only-window' }]));
    expect(withoutWindow.join()).to.include('waivers[0].gate');
  });
});
