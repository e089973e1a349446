import quick from '../e2e/quick.config.ts';
import { stateBucket, stateKey } from './emulated.ts';

const given = (name: string): string => process.env[`GREENLIGHT_TEST_${name}`] ?? '';
const [staging, production, feed] = given('PORTS').split(',').map(Number);
const authority = given('AUTHORITY');

/** The sample's release on the emulated account: what differs from a real one is where things are, and how late metrics come. */
export default {
  ...quick,
  platform: 'aws' as const,
  environments: {
    staging: { ...quick.environments?.staging, port: staging },
    production: { ...quick.environments?.production, port: production },
  },
  aws: {
    ...quick.aws,
    domains: { staging: '127.0.0.1', production: '127.0.0.1' },
    hostedZoneId: given('HOSTED_ZONE'),
    state: { bucket: stateBucket, key: stateKey },
    authorities: { entry: authority, databases: authority, databasePeers: authority },
    metrics: { periodSeconds: Number(given('PERIOD')), delaySeconds: 3 * Number(given('PERIOD')) },
    integrations: { 'price-feed': `http://127.0.0.1:${feed}` },
  },
  // Writes are held for twice as long as 95 of 100 requests may take: here they take milliseconds.
  slo: { ...quick.slo, p95Ms: 1_000 },
  // A load balancer of AWS cannot hold a request: clients try again, and it takes longer until everybody is held.
  cutover: { holdMs: 10_000, drainMs: 5_000 },
};
