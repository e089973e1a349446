import { CreateHostedZoneCommand, DeleteHostedZoneCommand, type Route53Client } from '@aws-sdk/client-route-53';

const mostTries = 500;

/**
 * Creates a hosted zone whose id begins with `Z`, as AWS's do and the settings require. Moto's ids begin with any
 * letter or digit and cannot be chosen, so zones are created and deleted until one fits: 36 on average.
 */
export async function createHostedZone(names: Route53Client, domain: string): Promise<string> {
  for (let i = 0; i < mostTries; i += 1) {
    const asked = new CreateHostedZoneCommand({ Name: domain, CallerReference: `${Date.now()}-${i}` });
    const { HostedZone } = await names.send(asked);
    const id = HostedZone?.Id?.split('/').at(-1) ?? '';
    if (/^Z[A-Z0-9]+$/.test(id)) return id;
    await names.send(new DeleteHostedZoneCommand({ Id: id }));
  }
  throw new Error(`moto gave no hosted zone with an id that begins with Z in ${mostTries} tries`);
}
