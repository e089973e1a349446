import { expect } from 'chai';
import { idleColourCost, monthlyCost, type Cost } from '../../../../../infra/aws/cost/cost.ts';
import { estimate, renderEstimate, summariseCost } from '../../../../../infra/aws/cost/estimate.ts';
import { prices, type Price } from '../../../../../infra/aws/cost/prices.ts';
import type { AwsSettings } from '../../../../../infra/aws/lib/settings.ts';
import type { DeclaredStacks } from '../../../../../infra/aws/declared/resource-tree.ts';
import { declareEnvironment, settings, spec } from '../../../../lib/declared.ts';

/** In dollars of us-east-1, for which the table is complete. */
const virginia: AwsSettings = {
  ...settings,
  region: 'us-east-1',
  availabilityZones: ['us-east-1a', 'us-east-1b'],
};

const usd = ({ lines }: Cost, what: string): number => {
  const found = lines.filter((line) => line.what.includes(what));
  expect(found, what).to.have.lengthOf(1);
  return found[0]?.usd ?? 0;
};

describe('cost', () => {
  let production: DeclaredStacks;
  let staging: DeclaredStacks;

  before(async () => {
    production = await declareEnvironment('production', { live: 'blue', percent: 0 });
    staging = await declareEnvironment('staging', { live: 'blue', percent: 0 });
  });

  it('counts a standby like its instance, in hours and in storage', () => {
    // 2 x 730 h x 0.168 and 2 x 50 GB x 0.115.
    expect(usd(monthlyCost(production, virginia), 'blue-database and its standby: db.m7g.large')).to.be.closeTo(
      245.28,
      0.001,
    );
    expect(usd(monthlyCost(production, virginia), 'blue-database and its standby: storage')).to.be.closeTo(11.5, 0.001);
    // One of each.
    expect(usd(monthlyCost(staging, virginia), 'blue-database: db.m7g.large')).to.be.closeTo(122.64, 0.001);
  });

  it('counts the tasks of the live colour by processor and memory', () => {
    const cost = monthlyCost(production, virginia);
    // 3 tasks x 730 h x 0.5 vCPU x 0.04048, and x 1 GB x 0.004445.
    expect(usd(cost, 'production-blue-api: processor')).to.be.closeTo(44.3256, 0.0001);
    expect(usd(cost, 'production-blue-api: memory')).to.be.closeTo(9.73455, 0.0001);
    expect(cost.lines.filter(({ what }) => what.includes('green-api'))).to.deep.equal([]);
  });

  it('counts gateways, endpoints and addresses by zone', () => {
    // 2 x 730 x 0.045; 4 endpoints x 2 zones x 730 x 0.01; (2 of the balancer + 2 of the gateways) x 730 x 0.005.
    expect(usd(monthlyCost(production, virginia), '2 NAT gateways')).to.be.closeTo(65.7, 0.001);
    expect(usd(monthlyCost(production, virginia), '8 interface endpoints')).to.be.closeTo(58.4, 0.001);
    expect(usd(monthlyCost(production, virginia), 'public addresses')).to.be.closeTo(14.6, 0.001);
    expect(usd(monthlyCost(staging, virginia), '1 NAT gateway')).to.be.closeTo(32.85, 0.001);
  });

  it('counts an alarm by its metrics, and secrets with those that RDS keeps', () => {
    // Per colour 2 services x (2 + 1 + 1) and 3 of the database: 22 x 0.10; 4 of the roles, 1 of the header route and 2 of RDS x 0.40.
    expect(usd(monthlyCost(production, virginia), 'alarms')).to.be.closeTo(2.2, 0.001);
    expect(usd(monthlyCost(production, virginia), 'secrets')).to.be.closeTo(2.8, 0.001);
  });

  it('adds up to its lines', () => {
    const { lines, usd: sum } = monthlyCost(production, virginia);
    expect(sum).to.be.closeTo(
      lines.reduce((total, line) => total + line.quantity * line.price.usd, 0),
      1e-9,
    );
  });

  it('gives the idle colour by the hour: its tasks, and its database', () => {
    // 5 tasks x (0.5 x 0.04048 + 1 x 0.004445) + 2 x 0.168 + 100 GB x 0.115 / 730.
    const hour = idleColourCost(production, virginia);
    expect(hour.usd).to.be.closeTo(0.1012 + 0.022225 + 0.336 + 0.0157534, 1e-6);
    expect(hour.unknown).to.deep.equal([]);
  });

  it('lists what has no price instead of guessing it', () => {
    const { unknown, lines } = monthlyCost(production, settings);
    expect(prices['eu-central-1']?.['rds.instance.db.m7g.large']).to.equal(undefined);
    expect(unknown).to.include('production-blue-database and its standby: db.m7g.large in eu-central-1');
    expect(lines.filter(({ what }) => what.includes('db.m7g.large'))).to.deep.equal([]);
  });

  it('gives no number for a region without prices', () => {
    for (const cost of [monthlyCost, idleColourCost]) {
      const { lines, unknown } = cost(production, { region: 'mx-central-1', backupRegion: 'eu-west-1' });
      expect(lines).to.deep.equal([]);
      expect(unknown).to.deep.equal(['everything: no price of mx-central-1 is in the table']);
    }
  });

  it('knows where each price is from, and of when', () => {
    for (const price of Object.values(prices).flatMap((region) => Object.values(region) as Price[])) {
      expect(price.source.length).to.be.above(10);
      expect(price.date).to.match(/^20\d\d-\d\d(-\d\d)?$/);
      expect(price.usd).to.be.above(0);
    }
  });

  it('is shown with the tree, the dates of its prices, its assumptions and what it lacks', async () => {
    const found = await estimate({ environment: 'production', spec: spec('production'), settings: virginia });
    const text = renderEstimate(found);
    expect(text).to.contain('production-foundation: ').and.to.contain(found.priceDate);
    expect(text).to.contain('1 LCU').and.to.contain('2 NAT gateways');
    expect(text).to.contain('1460 x $0.168 per hour = $245.28');
    expect(text).to.contain('Not in the price table').and.to.contain('traffic to the internet');
    expect(text).to.contain('A month, together: 1 part has no price (below), without it $');
    const { idleColourPerHour, monthly } = found;
    expect(summariseCost(found))
      .to.contain(`costs $${idleColourPerHour.usd.toFixed(4)}`)
      .and.to.contain(`production costs $${monthly.usd.toFixed(0)}, without 1 part that has no price`)
      .and.to.contain(found.priceDate);
  });

  it('is shown without a number where nothing has a price', async () => {
    const nowhere = { ...settings, region: 'mx-central-1', availabilityZones: ['mx-central-1a', 'mx-central-1b'] };
    const found = await estimate({ environment: 'staging', spec: spec('staging'), settings: nowhere });
    const text = renderEstimate(found);
    expect(summariseCost(found)).to.contain('not known').and.not.to.contain('$');
    expect(text).to.contain('staging in mx-central-1: no estimate').and.not.to.contain('$');
  });
});
