import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import type { Context } from '../handler.ts';
import { telling, type Surroundings } from '../provider.ts';
import type { Properties } from '../serve.ts';
import { clientsIn, type AccountClients } from './clients.ts';

/** The account that the provider works in. Configuring it checks the credentials first. */
export class Account implements Surroundings {
  #region: string | undefined;
  #id = '';
  readonly #clients = new Map<string, AccountClients>();

  async configure(args: Properties): Promise<void> {
    this.#region = (args['region'] as string | undefined) ?? process.env['AWS_REGION'];
    const { Account: id } = await telling('finding out which account the credentials belong to', () =>
      this.#in(this.#home).identity.send(new GetCallerIdentityCommand()),
    );
    this.#id = id as string;
    const allowed = listOf(args['allowedAccountIds']);
    if (allowed.length > 0 && !allowed.includes(this.#id)) throw new Error(`AWS account ID not allowed: ${this.#id}`);
  }

  context(logicalName: string, region = this.#home): Context {
    return { logicalName, region, accountId: this.#id, clients: this.#in(region) };
  }

  get #home(): string {
    if (this.#region === undefined) throw new Error('Missing region configuration');
    return this.#region;
  }

  #in(region: string): AccountClients {
    const clients = this.#clients.get(region) ?? clientsIn(region);
    this.#clients.set(region, clients);
    return clients;
  }
}

/** Lists in the configuration are JSON. */
const listOf = (value: unknown): string[] =>
  typeof value === 'string' ? (JSON.parse(value) as string[]) : ((value as string[] | undefined) ?? []);
