import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { alertsGate } from '../../../../../automation/gates/environment/alerts.ts';
import { runGate } from '../../../../../automation/gates/run.ts';
import type { AlertDelivery, Alerts } from '../../../../../infra/platform/alerts.ts';
import type { InstanceState, Instances } from '../../../../../infra/platform/instances.ts';

const goodRules = ['InstanceDown', 'HighErrorRate', 'SlowResponses'];

/** An environment in memory whose monitoring tells of a stopped instance, unless a part of it is broken. */
function environment(
  broken: { rules?: string[]; silent?: boolean; about?: string; failures?: number; ids?: string[] } = {},
) {
  const ids = broken.ids ?? ['api.green.1', 'api.green.2'];
  const states = new Map<string, InstanceState['state']>(ids.map((id) => [id, 'running']));
  const delivered: AlertDelivery[] = [];
  const failures = [Date.now() - 5_000];
  const instances: Instances = {
    list: () => Promise.resolve([...states].map(([id, state]) => ({ id, state }))),
    stop(id) {
      states.set(id, 'stopped');
      failures.push(...Array.from({ length: broken.failures ?? 0 }, () => Date.now()));
      const labels = { instance: broken.about ?? id };
      if (!broken.silent)
        delivered.push({ receiver: 'on-call', alert: 'InstanceDown', status: 'firing', labels, at: Date.now() });
      return Promise.resolve();
    },
    start: (id) => Promise.resolve(void states.set(id, 'running')),
  };
  const alerts: Alerts = {
    deliveryMs: 20,
    rules: () => Promise.resolve(broken.rules ?? goodRules),
    active: () => Promise.resolve([]),
    deliveries: (since) => Promise.resolve(delivered.filter(({ at }) => at >= since)),
    watches: () => Promise.resolve(true),
    failures: (since) => Promise.resolve({ 'on-call': failures.filter((at) => at >= since).length }),
  };
  return { alerts, instances, states };
}

describe('the gate of alerts', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'greenlight-alerts-'))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const run = async (parts: ReturnType<typeof environment>) => {
    const heard: string[] = [];
    const gate = alertsGate({
      ...parts,
      instance: 'api.green.1',
      waitMs: 20,
      pollMs: 1,
      onDelivered: ({ alert }) => heard.push(alert),
    });
    const result = await runGate(gate, { releaseDirectory: directory });
    return { result, heard, state: parts.states.get('api.green.1') };
  };

  it('passes when the alert arrives, old failures do not count, and the instance is back', async () => {
    const { result, heard, state } = await run(environment());
    expect(result.verdict).to.equal('pass');
    expect(heard).to.deep.equal(['InstanceDown']);
    expect(state).to.equal('running');
  });

  it('fails when the receiver is silent, and starts the instance again', async () => {
    const { result, state } = await run(environment({ silent: true }));
    expect(result.verdict).to.equal('fail');
    expect(state).to.equal('running');
  });

  it('does not take an alert about another instance for its own', async () => {
    expect((await run(environment({ about: 'api.green.2' }))).result.verdict).to.equal('fail');
  });

  it('fails when a receiver missed a notification', async () => {
    const { result } = await run(environment({ failures: 1 }));
    expect(result.measurements.find(({ verdict }) => verdict === 'fail')?.name).to.equal('receiver on-call');
  });

  it('fails when a kind of rule is not loaded', async () => {
    const { result } = await run(environment({ rules: ['InstanceDown', 'HighErrorRate'] }));
    expect(result.measurements.find(({ verdict }) => verdict === 'fail')?.name).to.equal('rules for response times');
  });

  it('refuses to stop the only instance', async () => {
    const { result, state } = await run(environment({ ids: ['api.green.1'] }));
    expect(result.verdict).to.equal('error');
    expect(result.measurements[0]?.note).to.contain('not redundant');
    expect(state).to.equal('running');
  });

  it('starts the instance again when the monitoring breaks meanwhile', async () => {
    const parts = environment();
    parts.alerts.deliveries = () => Promise.reject(new Error('receiver is gone'));
    const { result, state } = await run(parts);
    expect(result.verdict).to.equal('error');
    expect(state).to.equal('running');
  });
});
