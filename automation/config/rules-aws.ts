import { report, type Context, type Unsure } from './rules.ts';

type Definition = Unsure<{
  platform: string;
  aws: Unsure<{ metrics: Unsure<{ periodSeconds: number; delaySeconds: number }> }>;
  application: Unsure<{ integrations: (Unsure<{ name: string; url: string }> | undefined)[] }>;
  alerts: Unsure<{ receivers: (Unsure<{ name: string; webhook: string }> | undefined)[] }>;
  canary: Unsure<{ stepSeconds: number }>;
  bake: Unsure<{ seconds: number }>;
}>;

/** Periods of the metrics that a time has to hold, so that something can be said of it. */
const leastPeriods = 2;

/** What the platform aws needs beside what every platform does. */
export function fitsAws(definition: Definition, ctx: Context): void {
  if (definition?.platform !== 'aws') return;
  if (definition.aws === undefined)
    report(ctx, ['aws'], 'is missing: platform "aws" needs it; npm run init shows all its settings');
  list(definition.application?.integrations).forEach((integration, index) => {
    if (integration == null || integration.url !== undefined) return;
    const path = ['application', 'integrations', index, 'url'];
    report(
      ctx,
      path,
      'is missing: tasks on AWS cannot reach a stand-in of this machine; give the address of a real one',
    );
  });
  list(definition.alerts?.receivers).forEach((receiver, index) => {
    if (typeof receiver?.webhook !== 'string' || receiver.webhook.startsWith('https://')) return;
    report(
      ctx,
      ['alerts', 'receivers', index, 'webhook'],
      'is not https, and SNS sends to nothing else; give an https address',
    );
  });
  watchedLongEnough(definition, ctx);
}

/** A canary step or bake time shorter than what CloudWatch tells apart would always be inconclusive. */
function watchedLongEnough(definition: NonNullable<Definition>, ctx: Context): void {
  const period = definition.aws?.metrics?.periodSeconds ?? 60;
  const least = leastPeriods * period;
  const times = { 'canary.stepSeconds': definition.canary?.stepSeconds, 'bake.seconds': definition.bake?.seconds };
  for (const [path, seconds] of Object.entries(times)) {
    if (seconds === undefined || seconds >= least) continue;
    const why = `${seconds} is too short on AWS, whose metrics come each ${period} s`;
    report(ctx, path.split('.'), `${why}; give ${least} or more`);
  }
}

const list = <T>(value: T[] | null | undefined): T[] => (Array.isArray(value) ? value : []);
