import type { EnvironmentName, EnvironmentSpec } from '../../model.ts';
import { assumedUse, idleColourCost, monthlyCost, neverPriced, type Cost, type CostLine } from './cost.ts';
import { declareApart, renderTree, resourceTree, type StackTree } from '../declared/resource-tree.ts';
import type { AwsSettings } from '../lib/settings.ts';

export interface Estimate {
  environment: EnvironmentName;
  region: string;
  tree: StackTree[];
  monthly: Cost;
  /** An hour of bake time, in which the inactive colour runs. */
  idleColourPerHour: Cost;
  /** What has no price and is in no sum. */
  unknown: string[];
  /** Dates of the prices used, `<oldest> to <newest>`. Undefined if there are none. */
  priceDate: string | undefined;
}

/** Resources and cost of an environment. Needs no account and no network. */
export async function estimate(request: {
  environment: EnvironmentName;
  spec: EnvironmentSpec;
  settings: AwsSettings;
}): Promise<Estimate> {
  const { environment, settings } = request;
  const spec = { ...request.spec, environment };
  const declared = await declareApart(spec, settings);
  const monthly = monthlyCost(declared, settings);
  const idleColourPerHour = idleColourCost(declared, settings);
  return {
    environment,
    region: settings.region,
    tree: resourceTree(spec, declared),
    monthly,
    idleColourPerHour,
    unknown: [...new Set([...monthly.unknown, ...idleColourPerHour.unknown, ...neverPriced])],
    priceDate: dates([...monthly.lines, ...idleColourPerHour.lines]),
  };
}

function dates(lines: CostLine[]): string | undefined {
  const all = lines.map(({ price }) => price.date).sort();
  return all.length === 0 ? undefined : `${all[0]} to ${all.at(-1)}`;
}

/** In two sentences, for the journal of a release. Pure. */
export function summariseCost({ environment, monthly, idleColourPerHour, priceDate, region }: Estimate): string {
  if (priceDate === undefined) return `the cost of ${environment} is not known: there are no prices of ${region}`;
  const most = (cost: Cost, digits: number): string => {
    const count = cost.unknown.length;
    const parts = count === 1 ? '1 part that has' : `${count} parts that have`;
    const missing = count === 0 ? '' : `, without ${parts} no price`;
    return `${money(cost.usd, digits)}${missing}`;
  };
  return `the inactive colour costs ${most(idleColourPerHour, 4)}, per hour of bake time; all of ${environment} costs ${most(monthly, 0)}, a month (list prices of ${priceDate})`;
}

/** For the terminal. Pure. */
export function renderEstimate(found: Estimate): string {
  return [renderTree(found.tree), '', ...renderCost(found)].join('\n');
}

function renderCost({ environment, region, monthly, idleColourPerHour, unknown, priceDate }: Estimate): string[] {
  const missing = ['', 'Not in the price table, so in no sum:', ...unknown.map((what) => `  ${what}`)];
  if (priceDate === undefined) return [`${environment} in ${region}: no estimate`, ...missing];
  const { lcu, natGb, logGb, millionRequests } = assumedUse;
  const of = (kind: CostLine['kind']) => monthly.lines.filter((line) => line.kind === kind);
  return [
    `${environment} in ${region}, list prices in US dollars without tax, of ${priceDate}`,
    '',
    `A month, fixed: ${money(total(of('fixed')))}`,
    ...table(of('fixed')),
    `A month, by use: ${money(total(of('use')))} for ${millionRequests} million requests, ${lcu} LCU, ${natGb} GB through NAT, ${logGb} GB of logs`,
    ...table(of('use')),
    `A month, together: ${atLeast(monthly)}${money(monthly.usd)}`,
    '',
    `The inactive colour, per hour of bake time: ${atLeast(idleColourPerHour)}${money(idleColourPerHour.usd, 4)} (the month includes its database)`,
    ...table(idleColourPerHour.lines, 4),
    ...missing,
  ];
}

/** Prefix of a sum that lacks parts, and so is a lower bound. */
function atLeast({ unknown: { length } }: Cost): string {
  if (length === 0) return '';
  return length === 1
    ? '1 part has no price (below), without it '
    : `${length} parts have no price (below), without them `;
}

const total = (lines: CostLine[]): number => lines.reduce((sum, { usd }) => sum + usd, 0);
const money = (usd: number, digits = 2): string => `$${usd.toFixed(digits)}`;

/** `load balancer   730 x $0.0225 per hour = $16.43`. */
function table(lines: CostLine[], digits = 2): string[] {
  const width = Math.max(0, ...lines.map(({ what }) => what.length));
  return lines.map(({ what, quantity, price, usd }) => {
    const count = Number(quantity.toFixed(quantity < 10 ? 4 : 1));
    return `  ${what.padEnd(width)}  ${count} x $${price.usd} per ${price.per} = ${money(usd, digits)}`;
  });
}
