import { expect } from 'chai';
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { execa } from 'execa';
import { databaseUrl } from '../../../infra/application/database-url.ts';
import { packageRoot } from '../../../infra/lib/paths.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { toolPath } from '../../../infra/lib/tools.ts';
import { checkCounters } from '../../../automation/data/comparison/ledger.ts';
import { readRuns, runDirectory, runFiles } from '../../../automation/release/synthetic/runs.ts';
import release from '../../../greenlight.config.ts';
import { openWorkshop, withClient, type Workshop } from './sample.ts';

interface Numbers {
  requests: number;
  failed: number;
  p95Ms: number | undefined;
  droppedIterations: number;
  endpoints: Record<string, { requests: number; failed: number; p95Ms: number }>;
  colours: Record<string, { requests: number }>;
}

describe('sample application: k6 journey', function () {
  this.timeout(60_000);
  let shop: Workshop;
  let access: DatabaseAccess;
  let baseUrl: string;

  before(async () => {
    shop = await openWorkshop();
    const v2 = await shop.build('2.0.0');
    access = await shop.database(v2);
    baseUrl = await shop.serve(v2, access);
  });
  after(() => shop.close());

  const start = (name: string, env: Record<string, string>) => {
    const directory = runDirectory(join(shop.directory, name), 1);
    mkdirSync(directory, { recursive: true });
    const { consoleFile: ledger, summaryFile: summary } = runFiles(directory);
    const process = execa(
      toolPath('k6'),
      [
        'run',
        '--quiet',
        '--no-usage-report',
        '--log-format',
        'raw',
        '--console-output',
        ledger,
        'loadtests/journey.ts',
      ],
      {
        cwd: packageRoot,
        env: { BASE_URL: baseUrl, SSL_CERT_FILE: shop.caFile, SUMMARY: summary, ...env },
        all: true,
        reject: false,
      },
    );
    const lines = async () =>
      (await readFile(ledger, 'utf8').catch(() => ''))
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, string>);
    const numbers = async () => (JSON.parse(await readFile(summary, 'utf8')) as { greenlight: Numbers }).greenlight;
    return { process, lines, numbers };
  };

  it('gives the asked rate over TLS, and every acknowledged write is in the database once', async () => {
    const run = start('full', { RATE: '100', DURATION: '5' });
    const { exitCode, all } = await run.process;
    expect(exitCode, all).to.equal(0);
    const numbers = await run.numbers();
    expect(numbers.requests).to.equal(500);
    expect(numbers).to.include({ failed: 0, droppedIterations: 0 });
    expect(numbers.p95Ms).to.be.above(0);
    expect(numbers.colours['blue']?.requests).to.equal(numbers.requests);
    for (const [name, endpoint] of Object.entries(numbers.endpoints)) expect(endpoint.requests, name).to.be.above(0);
    const total = Object.values(numbers.endpoints).reduce((sum, one) => sum + one.requests, 0);
    expect(total).to.equal(numbers.requests);

    const lines = await run.lines();
    const acknowledged = lines.filter((line) => line['ledger'] === 'ack');
    expect(lines.filter((line) => line['ledger'] !== 'sent')).to.deep.equal(acknowledged);
    const keys = acknowledged.map((line) => line['key'] ?? '');
    expect(keys.length).to.equal(numbers.requests / 5);
    const sql = release.data?.ledger?.sql ?? '';
    const found = await withClient(
      databaseUrl(access, 'app'),
      async (client) => (await client.query<{ key: string; copies: number }>(sql, [keys])).rows,
    );
    expect(found.every((row) => row.copies === 1)).to.equal(true);
    expect(new Set(found.map((row) => row.key))).to.deep.equal(new Set(keys));
    const { counters } = await readRuns(join(shop.directory, 'full'));
    const increments = acknowledged.filter((line) => line['counter'] !== undefined);
    expect(increments.length).to.equal(numbers.requests / 10);
    expect(Object.values(counters).reduce((sum, one) => sum + one.acknowledged, 0)).to.equal(increments.length);
    const looked = await checkCounters(access, release.data?.ledger?.counters ?? '', counters);
    expect(looked).to.deep.equal({ lost: 0, doubled: 0 });
    for (const { name, sql: broken } of release.data?.invariants ?? []) {
      const { rowCount } = await withClient(databaseUrl(access, 'app'), (client) => client.query(broken));
      expect(rowCount, name).to.equal(0);
    }
  });

  it('shows an increment that an older value has overwritten, which no key shows', async () => {
    const { counters } = await readRuns(join(shop.directory, 'full'));
    const sql = release.data?.ledger?.counters ?? '';
    const change = (by: string) =>
      withClient(databaseUrl(access, 'admin'), (client) =>
        client.query(
          `update progress set attempts = attempts ${by} where (account_id, lesson_id) in
             (select account_id, lesson_id from progress_events group by 1, 2 having count(*) > 1 order by 1, 2 limit 1)`,
        ),
      );
    await change('+ 1');
    expect(await checkCounters(access, sql, counters)).to.deep.equal({ lost: 0, doubled: 1 });
    await change('- 2');
    expect(await checkCounters(access, sql, counters)).to.deep.equal({ lost: 1, doubled: 0 });
    await change('+ 1');
  });

  it('ends at SIGINT with its summary', async () => {
    const run = start('stopped', { RATE: '20', DURATION: '300' });
    while (!(await run.lines()).some((line) => line['ledger'] === 'ack')) await wait(100);
    run.process.kill('SIGINT');
    await run.process;
    const numbers = await run.numbers();
    expect(numbers.requests).to.be.within(5, 2000);
    expect(numbers.failed).to.equal(0);
  });

  it('does not start without learners, and says so', async () => {
    const nowhere = start('nowhere', { RATE: '5', DURATION: '2', BASE_URL: 'https://127.0.0.1:1' });
    const { exitCode, all } = await nowhere.process;
    expect(exitCode).to.not.equal(0);
    expect(all).to.match(/a learner could not sign up/);
    const [line] = await nowhere.lines();
    expect(line).to.include({ request: 'failed', method: 'POST', url: '/api/accounts', status: 0 });
  });

  it('logs every failed request, and a write without an answer as unknown', async () => {
    const run = start('broken', { RATE: '30', DURATION: '300' });
    while ((await run.lines()).length === 0) await wait(100);
    await shop.killServices();
    // Both, as a write may fail in the middle of a visit, and the next visit begins a moment later.
    const logged = async (key: string, value: string) => (await run.lines()).some((line) => line[key] === value);
    while (!((await logged('ledger', 'unknown')) && (await logged('url', '/')))) await wait(100);
    run.process.kill('SIGINT');
    await run.process;
    const lines = await run.lines();
    const failed = lines.filter((line) => line['request'] === 'failed');
    expect((await run.numbers()).failed).to.equal(failed.length);
    expect(failed.some((line) => line['method'] === 'GET' && line['url'] === '/')).to.equal(true);
  });
});
