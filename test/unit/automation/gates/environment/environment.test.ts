import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { deviceNumber, volumeEncrypted, parseListeners, parseLsof } from '../../../../../infra/local/runtime/audit.ts';
import { worst, type Measurement } from '../../../../../automation/journal/verdict.ts';
import { compareSettings, judgeParity } from '../../../../../automation/gates/environment/parity.ts';
import {
  localPolicies,
  privacyPolicies,
  type PolicyFacts,
} from '../../../../../automation/gates/environment/policies.ts';
import { judgeResources } from '../../../../../automation/gates/environment/resource-policies.ts';

const verdict = (all: Measurement[]) => worst(all.map((m) => m.verdict));

describe('listening addresses', () => {
  it('are read from lsof where the kernel has no table of them', () => {
    const output = 'p501\nf21\nn127.0.0.1:18000\nf22\nn*:8443\np502\nf9\nn[::1]:18000\nn*:8443\n';
    expect(parseLsof(output)).to.deep.equal(['127.0.0.1:18000', '*:8443', '[::1]:18000']);
  });
});

describe('parity', () => {
  const production = {
    environment: 'production',
    port: 443,
    database: { maxConnections: 100 },
    writes: { paths: ['/track'] },
    services: [
      { name: 'api', instances: 3, health: '/healthz' },
      { name: 'web', instances: 2, health: '/' },
    ],
  };
  const judged = (staging: object) => {
    const { compared, differences } = compareSettings(staging, production);
    return judgeParity(compared, differences);
  };

  it('passes with intended differences, and lists them', () => {
    const staging = {
      ...production,
      environment: 'staging',
      port: 444,
      services: [
        { ...production.services[1], instances: 1 },
        { ...production.services[0], instances: 1 },
      ],
    };
    const measurements = judged(staging);
    expect(verdict(measurements)).to.equal('pass');
    expect(measurements[0]?.measured).to.contain('services.api.instances').and.to.contain('port');
  });

  it('fails on a difference that nobody meant, and names it', () => {
    const staging = {
      ...production,
      services: [{ ...production.services[0], health: '/other' }, production.services[1]],
    };
    expect(judged(staging)).to.deep.include({
      name: 'services.api.health',
      measured: '"/other"',
      wanted: 'as in production: "/healthz"',
      verdict: 'fail',
      note: 'A release that passes on staging may fail on production.',
    });
  });

  it('fails on a component that staging does not have', () => {
    expect(verdict(judged({ ...production, services: [production.services[0]] }))).to.equal('fail');
  });

  it('is inconclusive when there was nothing to compare', () =>
    expect(verdict(judgeParity(0, []))).to.equal('inconclusive'));
});

describe('policies', () => {
  const good: PolicyFacts = {
    databaseConnections: { encrypted: 4, plain: 0 },
    passwordEncryption: 'scram-sha-256',
    secretFiles: [{ path: 'secrets/a', mode: 0o100600 }],
    listeners: ['127.0.0.1:5432', '0.0.0.0:8443'],
    publicPorts: [8443],
    unmasked: [{ column: 'users.email', rows: 0, checked: 9 }],
    unclassified: { suspects: [], columns: 12, empty: 3 },
    volumeEncrypted: true,
  };
  const judged = (change: PolicyFacts) =>
    verdict([...localPolicies, ...privacyPolicies].flatMap((policy) => policy({ ...good, ...change })));

  it('pass on good facts', () => expect(judged({})).to.equal('pass'));
  for (const [what, change, wanted] of [
    ['a plain connection', { databaseConnections: { encrypted: 4, plain: 1 } }, 'fail'],
    ['no connection seen', { databaseConnections: { encrypted: 0, plain: 0 } }, 'inconclusive'],
    ['md5 passwords', { passwordEncryption: 'md5' }, 'fail'],
    ['a secret that others can read', { secretFiles: [{ path: 'a', mode: 0o640 }] }, 'fail'],
    ['no secret file seen', { secretFiles: [] }, 'inconclusive'],
    ['an open database', { listeners: ['0.0.0.0:5432'] }, 'fail'],
    ['an open database on IPv6', { listeners: ['[::]:5432'] }, 'fail'],
    ['real data outside production', { unmasked: [{ column: 'users.email', rows: 1, checked: 9 }] }, 'fail'],
    [
      'a column that looks personal',
      {
        unclassified: {
          suspects: ['public.users.phone: looks like a phone number by its name'],
          columns: 12,
          empty: 0,
        },
      },
      'fail',
    ],
    ['no column at all', { unclassified: { suspects: [], columns: 0, empty: 0 } }, 'inconclusive'],
    ['no value to check', { unmasked: [{ column: 'users.email', rows: 0, checked: 0 }] }, 'inconclusive'],
    ['an unencrypted volume', { volumeEncrypted: false }, 'fail'],
    ['a volume that nobody can tell of', { volumeEncrypted: undefined }, 'pass'],
  ] as [string, PolicyFacts, string][])
    it(`${what}: ${wanted}`, () => expect(judged(change)).to.equal(wanted));

  it('say nothing about masking in production', () => expect(privacyPolicies[0]?.({})).to.deep.equal([]));
});

describe('rules for resources', () => {
  const topic = (props: Record<string, unknown>) => ({ type: 'aws:sns/topic:Topic', name: 'alarms', props });
  const good = topic({ kmsMasterKeyId: 'key', tags: { owner: 'x', environment: 'staging' } });
  const stack = (...resources: ReturnType<typeof topic>[]) => [
    { environment: 'staging' as const, kind: 'foundation' as const, resources },
  ];

  it('pass, and say how many applied to how many', () => {
    const judged = judgeResources({ expected: true, stacks: stack(good) });
    expect(verdict(judged)).to.equal('pass');
    expect(judged.map(({ name, measured }) => `${name}: ${measured}`)).to.deep.equal([
      'rules for resources: 2 of 14 apply to 1 resources',
      'encrypted-at-rest: 1 resources',
      'tagged: 1 resources',
    ]);
  });

  it('fail with the stack, the resource and what is wrong', () => {
    const judged = judgeResources({ expected: true, stacks: stack(good, topic({ tags: good.props['tags'] })) });
    const [found] = judged.filter((measurement) => measurement.verdict === 'fail');
    expect(found?.name).to.equal('encrypted-at-rest');
    expect(found?.measured).to.contain('staging-foundation alarms: kmsMasterKeyId is not set');
  });

  it('are inconclusive where they had to apply and found nothing', () => {
    expect(verdict(judgeResources({ expected: true, stacks: [] }))).to.equal('inconclusive');
    const local = { type: 'greenlight:index:Cluster', name: 'blue', props: {} };
    expect(verdict(judgeResources({ expected: true, stacks: stack(local) }))).to.equal('inconclusive');
  });

  it('say that none applies on a platform that they are not about', () => {
    const local = { type: 'greenlight:index:Cluster', name: 'blue', props: {} };
    const judged = judgeResources({ expected: false, stacks: stack(local) });
    expect(verdict(judged)).to.equal('pass');
    expect(judged.map(({ measured }) => measured)).to.deep.equal(['0 of 14 apply to 1 resources']);
  });

  it('fail on what staging would not show of production', () => {
    const judged = judgeResources({ expected: true, stacks: stack(good), parity: ['staging has no queue'] });
    expect(judged.at(-1)).to.include({ measured: 'staging has no queue', verdict: 'fail' });
  });
});

describe('the volume under the data', () => {
  const sysfs = (devices: Record<string, string | string[]>): string => {
    const root = mkdtempSync(join(tmpdir(), 'sysfs-'));
    for (const [device, what] of Object.entries(devices)) {
      const directory = join(root, device, ...(typeof what === 'string' ? ['dm'] : ['slaves']));
      mkdirSync(directory, { recursive: true });
      if (typeof what === 'string') writeFileSync(join(directory, 'uuid'), what);
      else for (const name of what) symlinkSync(join(root, name), join(directory, name));
    }
    return root;
  };
  const own = deviceNumber(statSync(tmpdir()).dev);
  const encrypted = async (devices: Record<string, string | string[]>) => {
    const root = sysfs(devices);
    try {
      return await volumeEncrypted(tmpdir(), root);
    } finally {
      rmSync(root, { recursive: true });
    }
  };

  it('is known to be encrypted by dm-crypt, directly or below a logical volume', async () => {
    expect(await encrypted({ [own]: 'CRYPT-LUKS2-0123' })).to.equal(true);
    expect(await encrypted({ [own]: ['a'], a: 'CRYPT-LUKS2-0123' })).to.equal(true);
  });

  it('is not known to be, where a disk under it is plain', async () => {
    expect(await encrypted({ [own]: ['a', 'b'], a: 'CRYPT-LUKS2-0123', b: [] })).to.equal(undefined);
    expect(await encrypted({})).to.equal(undefined);
  });

  it('is found by the numbers of its device', () => {
    expect([65024, 2049, 64768].map(deviceNumber)).to.deep.equal(['254:0', '8:1', '253:0']);
  });
});

describe("the kernel's table of sockets", () => {
  it('gives the addresses that listen', () => {
    const table = [
      '  sl  local_address rem_address   st',
      '   0: 0100007F:1538 00000000:0000 0A 00000000:00000000',
      '   1: 00000000:20FB 00000000:0000 0A 00000000:00000000',
      '   2: 0100007F:D431 0100007F:1538 01 00000000:00000000',
      '   3: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A',
      '   4: 00000000000000000000000000000000:0051 00000000000000000000000000000000:0000 0A',
      '   5: 0000000000000000FFFF00000100007F:0052 00000000000000000000000000000000:0000 0A',
    ].join('\n');
    expect(parseListeners(table)).to.deep.equal([
      '127.0.0.1:5432',
      '0.0.0.0:8443',
      '[::1]:80',
      '[::]:81',
      '[::ffff:127.0.0.1]:82',
    ]);
  });
});
