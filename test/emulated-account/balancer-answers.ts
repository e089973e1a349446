import type { Targets } from './balancer-targets.ts';
import { escapeXml } from './faults.ts';
import type { Answer } from './hooks.ts';

/** The targets in a call's input. */
export function targetsIn(input: Record<string, unknown>): { id: string; port: number | undefined }[] {
  const found = [];
  for (let i = 1; input[`Targets.member.${i}.Id`] !== undefined; i++) {
    const port = input[`Targets.member.${i}.Port`];
    found.push({ id: String(input[`Targets.member.${i}.Id`]), port: port === undefined ? undefined : Number(port) });
  }
  return found;
}

const unknown = {
  state: 'unused',
  reason: 'Target.NotRegistered',
  description: 'Target is not registered to the target group',
};

/** Health of the requested targets, or of all. */
export function healthXml(targets: Targets, wanted: { id: string; port: number | undefined }[]): Answer {
  const all = targets.all();
  const { port: standard, health } = targets.group;
  const asked = wanted.map(({ id, port = standard }) => {
    const found = all.find((target) => target.id === id && target.port === port);
    return found ?? { id, port, ...unknown };
  });
  const members = (wanted.length === 0 ? all : asked).map((target) => memberOf(target, health.port));
  return answerXml('DescribeTargetHealth', `<TargetHealthDescriptions>${members.join('')}</TargetHealthDescriptions>`);
}

interface Described {
  id: string;
  port: number | undefined;
  state: string;
  reason?: string;
  description?: string;
}

function memberOf({ id, port, state, reason, description }: Described, healthPort: number | undefined): string {
  const portOf = (value: number | undefined, name: string) =>
    value === undefined ? '' : `<${name}>${value}</${name}>`;
  const because =
    reason === undefined ? '' : `<Reason>${reason}</Reason><Description>${escapeXml(description ?? '')}</Description>`;
  return (
    `<member><Target><Id>${escapeXml(id)}</Id>${portOf(port, 'Port')}</Target>` +
    `${portOf(healthPort ?? port, 'HealthCheckPort')}<TargetHealth><State>${state}</State>${because}</TargetHealth></member>`
  );
}

export function answerXml(action: string, result: string): Answer {
  const namespace = 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/';
  const metadata = '<ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata>';
  const body = `<${action}Response xmlns="${namespace}"><${action}Result>${result}</${action}Result>${metadata}</${action}Response>`;
  return { status: 200, headers: { 'content-type': 'text/xml' }, body: Buffer.from(body) };
}
