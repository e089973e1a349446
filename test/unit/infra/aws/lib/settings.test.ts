import { expect } from 'chai';
import { parseAwsSettings } from '../../../../../infra/aws/lib/settings.ts';
import { settings } from '../../../../lib/declared.ts';

describe('settings of AWS', () => {
  it('are taken as they are, with defaults for what may be left out', () => {
    const { cidrBlock: _cidr, logDays: _log, backupDays: _backup, ...least } = settings;
    expect(parseAwsSettings(least)).to.deep.equal({ ...settings, logDays: 90, backupDays: 14 });
  });

  const wrong: [string, unknown, string][] = [
    ['an unknown key', { ...settings, regoin: 'eu-west-1' }, 'regoin'],
    ['an account id that is none', { ...settings, accountId: '1234' }, 'aws.accountId: an account id has 12 digits'],
    ['one zone', { ...settings, availabilityZones: ['eu-central-1a'] }, 'aws.availabilityZones: two zones at least'],
    [
      'a zone elsewhere',
      { ...settings, availabilityZones: ['eu-central-1a', 'us-east-1a'] },
      'aws.availabilityZones: us-east-1a: not in region eu-central-1',
    ],
    [
      'a region that is none',
      { ...settings, region: 'eu-centrall-1' },
      'aws.region: there is no such region; one looks like eu-central-1 (did you mean "eu-central-1"?)',
    ],
    [
      'backups in a region that is none',
      { ...settings, backupRegion: 'eu-westt-1' },
      'aws.backupRegion: there is no such region',
    ],
    ['all zones elsewhere', { ...settings, region: 'eu-west-3' }, 'aws.region: all zones are of eu-central-1'],
    [
      'CPU units that Fargate has not',
      { ...settings, tasks: { ...settings.tasks, cpu: 500 } },
      'aws.tasks.cpu: Fargate offers 256, 512, 1024',
    ],
    [
      'memory that does not go with them',
      { ...settings, tasks: { ...settings.tasks, cpu: 512, memory: 512 } },
      'aws.tasks.memory: with cpu 512 Fargate offers 1024, 2048, 3072, 4096',
    ],
    [
      'memory between two steps',
      { ...settings, tasks: { ...settings.tasks, cpu: 8192, memory: 17408 } },
      'aws.tasks.memory: with cpu 8192 Fargate offers 16384 to 61440 in steps of 4096',
    ],
    [
      'an old PostgreSQL',
      { ...settings, database: { ...settings.database, version: '14.2' } },
      'aws.database.version: give a version of PostgreSQL 15 to 18',
    ],
    [
      'a class that is none',
      { ...settings, database: { ...settings.database, instanceClass: 'm7g.large' } },
      'aws.database.instanceClass: a class of instances looks like db.m7g.large',
    ],
    [
      'backups in the same region',
      { ...settings, backupRegion: 'eu-central-1' },
      'aws.backupRegion: must be another region',
    ],
    ['less than two tasks', { ...settings, tasks: { ...settings.tasks, max: 1 } }, 'aws.tasks.max'],
    [
      'a shrinking database',
      { ...settings, database: { ...settings.database, maxStorage: 20 } },
      'aws.database.maxStorage: must not be below storage',
    ],
    ['backups for a day', { ...settings, backupDays: 1 }, 'aws.backupDays'],
    [
      'a version without minor',
      { ...settings, database: { ...settings.database, version: '17' } },
      'aws.database.version',
    ],
  ];
  for (const [what, value, message] of wrong)
    it(`with ${what} are refused, and said where`, () => {
      expect(() => parseAwsSettings(value)).to.throw(message);
    });

  it('tell all that is wrong at once', () => {
    const value = { ...settings, accountId: 'x', owner: '' };
    expect(() => parseAwsSettings(value)).to.throw(/aws\.accountId[^]*aws\.owner/);
  });
});
