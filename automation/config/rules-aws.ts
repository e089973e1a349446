import { report, type Context, type Unsure } from './rules.ts';

type Definition = Unsure<{
  platform: string;
  aws: Unsure<{ integrations: Record<string, unknown> }>;
  application: Unsure<{ integrations: (Unsure<{ name: string; url: string }> | undefined)[] }>;
  alerts: Unsure<{ receivers: (Unsure<{ name: string; webhook: string }> | undefined)[] }>;
}>;

/** What the platform aws needs beside what every platform does. */
export function fitsAws(definition: Definition, ctx: Context): void {
  if (definition?.platform !== 'aws') return;
  if (definition.aws === undefined)
    return report(ctx, ['aws'], 'is missing: platform "aws" needs it; npm run init shows all its settings');
  list(definition.application?.integrations).forEach((integration) => {
    if (integration?.name === undefined || integration.url !== undefined) return;
    if (definition.aws?.integrations?.[integration.name] !== undefined) return;
    const path = ['aws', 'integrations', integration.name];
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
}

const list = <T>(value: T[] | null | undefined): T[] => (Array.isArray(value) ? value : []);
